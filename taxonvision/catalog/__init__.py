"""Tables and photographs become one catalog."""
