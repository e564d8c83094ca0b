"""Backbone and head put together: RGB 0–255 in, probabilities of the classes out."""

from __future__ import annotations

import keras
import numpy as np


def assemble(backbone: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> keras.Model:
    """A classifier from float32 [N, S, S, 3], RGB 0–255, to float32 probabilities [N, C].

    Args:
        backbone: from the same input to features [N, D].
        kernel: float32 [D, C], column c is the head's row of class c.
        bias: float32 [C].
    """
    inputs = keras.Input(backbone.inputs[0].shape[1:], name="photograph")
    head = keras.layers.Dense(len(bias), name="logits", dtype="float32")
    logits = head(backbone(inputs))
    head.set_weights([kernel, bias])
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(logits))
