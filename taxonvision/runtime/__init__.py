"""A bundle becomes names, with LiteRT and without TensorFlow."""
