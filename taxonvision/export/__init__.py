"""A model becomes bundles that a device can run and check."""
