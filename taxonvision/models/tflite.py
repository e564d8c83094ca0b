"""A Keras model becomes a float32 TFLite graph with a fixed batch."""

from __future__ import annotations

import keras

from taxonvision.chatter import without_chatter


def to_tflite(model: keras.Model, batch: int, input_type: str = "float32") -> bytes:
    """Convert a model of one image input [N, S, S, 3] to float32 TFLite with N = `batch`.

    `input_type` is float32 or uint8; the values are 0–255 either way.

    Only built-in TFLite operators come out: nothing is left to TensorFlow's (Flex) operators, and
    the converter refuses what it cannot express.
    """
    import tensorflow as tf

    shape = (batch, *model.inputs[0].shape[1:])
    inputs = keras.Input(batch_shape=shape, dtype=input_type, name="photograph")
    pixels = inputs if input_type == "float32" else keras.ops.cast(inputs, "float32")
    fixed = keras.Model(inputs, model(pixels))
    with without_chatter():
        converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
        return converter.convert()
