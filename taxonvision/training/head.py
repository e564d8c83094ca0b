"""A head alone, fitted on the features of a frozen backbone: softmax regression."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from taxonvision.training.feeds import FeatureFeed
from taxonvision.training.fit_state import FitOptions, Outcome
from taxonvision.training.loop import Fit
from taxonvision.training.signals import Notice
from taxonvision.training.step import Loss
from taxonvision.training.strategies import Placement

_MIN_DEVIATION = 0.1
"""Features that hardly vary are not blown up when they are standardised: their weights would
grow so large that quantising the head to few bits loses the others."""


@dataclass(frozen=True)
class Head:
    """Weights of the last layer.

    Attributes:
        kernel: float32 [D, C].
        bias: float32 [C].
    """

    kernel: np.ndarray
    bias: np.ndarray

    @classmethod
    def zeros(cls, dimension: int, classes: int) -> Head:
        """A head that gives all classes the same score."""
        return cls(np.zeros((dimension, classes), np.float32), np.zeros(classes, np.float32))


def fit_head(
    feed: FeatureFeed,
    start: Head,
    loss: Loss,
    options: FitOptions,
    notice: Notice,
    folder: Path,
) -> tuple[Head, Outcome]:
    """Fit a head, on one device, from `start` on; returns it and what `Fit` brought.

    The features are standardised for the optimiser and the standardisation is folded into the
    weights that come back. Deterministic by seed on a CPU.
    """
    mean, deviation = feed.mean, np.maximum(feed.deviation, _MIN_DEVIATION)
    inputs = keras.Input(mean.shape)
    standardised = keras.layers.Rescaling(1 / deviation, -mean / deviation)(inputs)
    layer = keras.layers.Dense(len(start.bias), dtype="float32")
    network = keras.Model(inputs, layer(standardised))
    layer.set_weights([start.kernel * deviation[:, None], start.bias + mean @ start.kernel])
    placement = Placement(tf.distribute.get_strategy(), 0, 1, "a head is small")
    fit = Fit(placement, network, lambda _: None, loss, None, feed, options, notice, folder)
    outcome = fit.run()
    kernel, bias = layer.get_weights()
    return Head(kernel / deviation[:, None], bias - (mean / deviation) @ kernel), outcome
