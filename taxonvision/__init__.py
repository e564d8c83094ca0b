"""taxonvision teaches a camera to name living things."""

__version__ = "0.1.0"
