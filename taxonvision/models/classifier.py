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


def logits_of(classifier: keras.Model) -> keras.Model:
    """The same network without its last step: to logits [N, C]. Shares its weights."""
    return keras.Model(classifier.inputs, classifier.get_layer("logits").output)


def take_apart(classifier: keras.Model) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """What `assemble` was given: the backbone, the kernel [D, C] and the bias [C] of the head.

    ValueError when the model was not assembled so.
    """
    kernel, bias = classifier.get_layer("logits").get_weights()
    backbones = [layer for layer in classifier.layers if isinstance(layer, keras.Model)]
    if len(backbones) != 1:
        raise ValueError("the model is no backbone with a head")
    return backbones[0], kernel, bias
