"""A catalog becomes a model."""
