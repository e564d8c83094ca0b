"""A head alone, fitted on the features of a frozen backbone: softmax regression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from taxonvision.dataset.balance import Sampling, seen_counts
from taxonvision.taxonomy.classes import TaxonClass, active_ids
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.training.feeds import FeatureFeed, Features
from taxonvision.training.fit_state import FitOptions, Outcome
from taxonvision.training.loop import Fit
from taxonvision.training.losses import LossOptions, Teacher, make_loss, say_what_is_kept
from taxonvision.training.signals import Notice
from taxonvision.training.soft_labels import Opinions
from taxonvision.training.step import Loss, Targets, own_classes
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


@dataclass(frozen=True)
class HeadOptions:
    """How a head is fitted on features.

    Attributes:
        fit: how often and how fast.
        loss: what is minimised.
        sampling: how often each class is seen.
        batch_size: photographs in a step.
        seed: of their order.
    """

    fit: FitOptions
    loss: LossOptions
    sampling: Sampling
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Guard:
    """An earlier head whose opinion of its classes is to be kept.

    Attributes:
        head: the earlier one, K classes of it.
        class_ids: int [K], the same classes of the head that is fitted.
        weight: of the distance in the loss.
    """

    head: Head
    class_ids: np.ndarray
    weight: float


def fit_active(
    start: Head,
    classes: Sequence[TaxonClass],
    taxonomy: Taxonomy,
    train: Features,
    held_out: Features,
    options: HeadOptions,
    notice: Notice,
    folder: Path,
    guard: Guard | None = None,
    opinions: Opinions | None = None,
) -> tuple[Head, Outcome]:
    """Fit the rows of the active classes from `start` on; those of retired ones stay as they are.

    Args:
        start: of all classes.
        classes: by class id.
        taxonomy: their tree.
        train: of photographs of active classes, with a teacher's features if it has opinions.
        held_out: to validate with.
        options: how.
        notice: tells that the process must end soon.
        folder: for checkpoints, the history and logs.
        guard: what is to be kept of an earlier head.
        opinions: a teacher's, for soft labels.
    """
    active = np.array(active_ids(classes))
    column = np.full(len(classes), -1, np.int32)
    column[active] = np.arange(len(active), dtype=np.int32)
    train, held_out = (replace(f, class_ids=column[f.class_ids]) for f in (train, held_out))
    fitted = [replace(classes[number], class_id=at) for at, number in enumerate(active.tolist())]
    counts = seen_counts(train.class_ids, len(fitted), options.sampling)
    teacher = None
    if guard is not None:
        columns = column[guard.class_ids]
        teacher = Teacher(guard.head.kernel, guard.head.bias, columns, guard.weight)
    loss = make_loss(options.loss, counts, fitted, taxonomy, teacher)
    say_what_is_kept(loss, options.loss)
    feed = FeatureFeed(train, held_out, options.batch_size, options.sampling, options.seed)
    whole = len(active) == len(classes)
    first = start if whole else Head(start.kernel[:, active], start.bias[active])
    targets = own_classes if opinions is None else opinions.soft_labels(fitted)
    found, outcome = fit_head(feed, first, loss, options.fit, notice, folder, targets)
    if whole:
        return found, outcome
    kernel, bias = start.kernel.copy(), start.bias.copy()
    kernel[:, active], bias[active] = found.kernel, found.bias
    return Head(kernel, bias), outcome


def fit_head(
    feed: FeatureFeed,
    start: Head,
    loss: Loss,
    options: FitOptions,
    notice: Notice,
    folder: Path,
    targets: Targets = own_classes,
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
    fit = Fit(
        placement, network, lambda _: None, loss, None, feed, options, notice, folder, targets
    )
    outcome = fit.run()
    kernel, bias = layer.get_weights()
    return Head(kernel / deviation[:, None], bias - (mean / deviation) @ kernel), outcome
