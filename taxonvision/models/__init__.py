"""Backbones, heads, the model directory and its float conversion to TFLite.

Importing this package costs nothing: its modules load TensorFlow only when they build or read a
network.
"""

import os

# Keras picks its engine when it is first imported; this package is imported before that.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
