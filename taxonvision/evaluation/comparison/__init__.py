"""Models side by side on the same photographs, and the sentences about it."""
