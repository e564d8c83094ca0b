"""Backbone and head put together: RGB 0–255 in, probabilities of the classes out."""

from __future__ import annotations

from collections.abc import Collection

import keras
import numpy as np

_TEMPERATURE = "temperature"
"""Name of the layer that divides logits by it; a classifier without has the temperature 1."""
_KNOWN = "known"
"""The layers that leave a part of 1 for nothing that is known; quantising leaves them in float."""
_SHIFT = "unknown_logit"
_NEVER = -1e9
"""Added to the logits of retired classes, whose probabilities are then exactly 0."""


def assemble(
    backbone: keras.Model,
    kernel: np.ndarray,
    bias: np.ndarray,
    retired: Collection[int] = (),
    temperature: float = 1.0,
    unknown_logit: float | None = None,
) -> keras.Model:
    """A classifier from float32 [N, S, S, 3], RGB 0–255, to float32 probabilities [N, C].

    Args:
        backbone: from the same input to features [N, D].
        kernel: float32 [D, C], column c is the head's row of class c.
        bias: float32 [C].
        retired: class ids that are never answered. Their weights stay in the head.
        temperature: what logits are divided by, so that probabilities are calibrated; kernel and
            bias stay as trained.
        unknown_logit: as `answer` takes it, beside logits so divided.
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
    return keras.Model(inputs, answer(logits, unknown_logit))


def answer(logits: keras.KerasTensor, unknown_logit: float | None) -> keras.KerasTensor:
    """Probabilities [N, C] of logits [N, C], as `runtime.probabilities` has them.

    With `unknown_logit` a part of 1 is left for nothing that the model knows.
    """
    if unknown_logit is None:
        return keras.layers.Softmax(name="probabilities")(logits)
    shift = keras.layers.Rescaling(1.0, -unknown_logit, name=_SHIFT, dtype="float32")
    return leaving_a_part(shift(logits))


def leaving_a_part(logits: keras.KerasTensor) -> keras.KerasTensor:
    """Probabilities [N, C] of logits [N, C] beside one class more, whose logit is 0."""
    layers, count = keras.layers, logits.shape[-1]
    rows = layers.Reshape((count, 1), name=f"{_KNOWN}_rows")(logits)
    one_more = layers.ZeroPadding1D((0, 1), name=f"{_KNOWN}_and_not")(rows)
    shares = layers.Softmax(axis=1, name=f"{_KNOWN}_shares")(one_more)
    known = layers.Cropping1D((0, 1), name=f"{_KNOWN}_alone")(shares)
    return layers.Reshape((count,), name="probabilities")(known)


def unknown_logit_in(classifier: keras.Model) -> float | None:
    """What the classifier was assembled with."""
    shifts = [layer.offset for layer in classifier.layers if layer.name == _SHIFT]
    return -float(shifts[0]) if shifts else None


def logits_of(classifier: keras.Model) -> keras.Model:
    """The same network without its last step, which is a softmax. Shares its weights.

    What comes out, [N, C], is the logits divided by the temperature. The classifier was assembled
    without `unknown_logit`.
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
