"""Backbone and head put together: RGB 0–255 in, probabilities of the classes out."""

from __future__ import annotations

from collections.abc import Collection

import keras
import numpy as np

_TEMPERATURE = "temperature"
"""Name of the layer that divides logits by it; a classifier without has the temperature 1."""
_NEVER = -1e9
"""Added to the logits of retired classes, whose probabilities are then exactly 0."""


def assemble(
    backbone: keras.Model,
    kernel: np.ndarray,
    bias: np.ndarray,
    retired: Collection[int] = (),
    temperature: float = 1.0,
) -> keras.Model:
    """A classifier from float32 [N, S, S, 3], RGB 0–255, to float32 probabilities [N, C].

    Args:
        backbone: from the same input to features [N, D].
        kernel: float32 [D, C], column c is the head's row of class c.
        bias: float32 [C].
        retired: class ids that are never answered. Their weights stay in the head.
        temperature: what logits are divided by, so that probabilities are calibrated; kernel and
            bias stay as trained.
    """
    inputs = keras.Input(backbone.inputs[0].shape[1:], name="photograph")
    head = keras.layers.Dense(len(bias), name="logits", dtype="float32")
    logits = head(backbone(inputs))
    head.set_weights([kernel, bias])
    if retired:
        offset = np.zeros(len(bias))
        offset[list(retired)] = _NEVER
        mask = keras.layers.Rescaling(1.0, offset.tolist(), name="active", dtype="float32")
        logits = mask(logits)
    if temperature != 1:
        scale = keras.layers.Rescaling(1 / temperature, name=_TEMPERATURE, dtype="float32")
        logits = scale(logits)
    return keras.Model(inputs, keras.layers.Softmax(name="probabilities")(logits))


def logits_of(classifier: keras.Model) -> keras.Model:
    """The same network without its last step, which is a softmax. Shares its weights.

    What comes out, [N, C], is the logits divided by the temperature.
    """
    return keras.Model(classifier.inputs, classifier.layers[-1].input)


def temperature_of(classifier: keras.Model) -> float:
    """What the classifier divides its logits by."""
    scales = [layer.scale for layer in classifier.layers if layer.name == _TEMPERATURE]
    return 1 / float(scales[0]) if scales else 1.0


def take_apart(classifier: keras.Model) -> tuple[keras.Model, np.ndarray, np.ndarray]:
    """What `assemble` was given: the backbone, the kernel [D, C] and the bias [C] of the head.

    Both are as trained, whatever the temperature.

    ValueError when the model was not assembled so.
    """
    kernel, bias = classifier.get_layer("logits").get_weights()
    backbones = [layer for layer in classifier.layers if isinstance(layer, keras.Model)]
    if len(backbones) != 1:
        raise ValueError("the model is no backbone with a head")
    return backbones[0], kernel, bias


def only(classifier: keras.Model, class_ids: list[int]) -> keras.Model:
    """The classifier cut down to some classes, in this order: to probabilities [N, K].

    It keeps the temperature and shares the backbone. ValueError when the model was not assembled by
    `assemble`.
    """
    backbone, kernel, bias = take_apart(classifier)
    temperature = temperature_of(classifier)
    return assemble(backbone, kernel[:, class_ids], bias[class_ids], temperature=temperature)
