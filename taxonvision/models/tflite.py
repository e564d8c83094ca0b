"""A Keras model becomes a float32 TFLite graph with a fixed batch."""

from __future__ import annotations

import keras

from taxonvision.chatter import without_chatter


def to_tflite(model: keras.Model, batch: int) -> bytes:
    """Convert a model of one image input [N, S, S, 3] to float32 TFLite with N = `batch`.

    Only built-in TFLite operators come out: nothing is left to TensorFlow's (Flex) operators, and
    the converter refuses what it cannot express.
    """
    import tensorflow as tf

    inputs = keras.Input(batch_shape=(batch, *model.inputs[0].shape[1:]), name="photograph")
    fixed = keras.Model(inputs, model(inputs))
    with without_chatter():
        converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
        return converter.convert()
