"""The loss of each photograph: cross-entropy, with what helps long tails and respects the tree."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from taxonvision.progress import say
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.training.tree_labels import tree_labels


@dataclass(frozen=True)
class LossOptions:
    """What is added to plain cross-entropy; the defaults add nothing.

    Attributes:
        label_smoothing: which part of each target is spread evenly over all active classes
            (Szegedy et al., "Rethinking the Inception architecture", 2016, section 7).
        tree_smoothing: the sharpness beta by which targets are spread over the tree, near taxa
            first (`training.tree_labels`); 0: not at all. The source tries 4, which spreads most
            of a target, to 30, which spreads hardly anything; more classes want a larger beta.
        logit_adjustment: the factor tau of the logarithm of the class priors that is added to the
            logits (Menon et al., "Long-tail learning via logit adjustment", 2021, equation 10);
            1 aims at the balanced error, 0 adds nothing.

    Raises ValueError for a number out of range, or when both ways of smoothing are asked for.
    """

    label_smoothing: float = 0.0
    tree_smoothing: float = 0.0
    logit_adjustment: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing must be at least 0 and below 1, not {self.label_smoothing}"
            )
        for name in ("tree_smoothing", "logit_adjustment"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 on, not {getattr(self, name)}")
        if self.label_smoothing and self.tree_smoothing:
            raise ValueError("label_smoothing and tree_smoothing exclude each other; choose one")


class Teacher:
    """An earlier head: how far a new one is from its opinion of the classes that both have.

    Source: Li and Hoiem, "Learning without forgetting", ECCV 2016, equations 2 and 3. What is
    returned is the Kullback-Leibler divergence instead of the cross-entropy, whose gradient is the
    same, times the square of the temperature (Hinton et al., "Distilling the knowledge in a neural
    network", 2015, section 2.1), so that the weight means the same at any temperature.

    Args:
        kernel: float32 [D, K] of the earlier head.
        bias: float32 [K].
        columns: int [K], the same classes among those of the new head.
        weight: of the divergence in the loss.
        temperature: by which logits are divided.
    """

    def __init__(
        self,
        kernel: np.ndarray,
        bias: np.ndarray,
        columns: np.ndarray,
        weight: float,
        temperature: float = 2.0,
    ) -> None:
        # Variables and no constants, which would be copied into the graph: they may be large.
        self._kernel = tf.Variable(kernel, trainable=False)
        self._bias = tf.Variable(bias, trainable=False)
        self._columns = np.asarray(columns, np.int32)
        self._weight, self._temperature = weight, temperature

    def __call__(self, inputs: Any, logits: Any) -> Any:
        """The weighted divergence float32 [b] of features float32 [b, D], logits float32 [b, C]."""
        earlier = (inputs @ self._kernel + self._bias) / self._temperature
        now = tf.gather(logits, self._columns, axis=1) / self._temperature
        opinion = tf.nn.softmax(earlier)
        apart = tf.nn.log_softmax(earlier) - tf.nn.log_softmax(now)
        return self._weight * self._temperature**2 * tf.reduce_sum(opinion * apart, axis=1)


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss of each photograph, a function of its target, its logits and what led to them.

    Without a teacher it holds arrays and no tensors, so that any device, replica or graph may trace
    it.

    Attributes:
        soften: what is done to targets float32 [b, C]; None: nothing.
        kept: which part of a target `soften` leaves on its own class, the mean of all classes.
        adjustment: float32 [C], added to the logits; None: nothing.
        teacher: an earlier head, whose opinion is to be kept; None: there is none.
    """

    soften: Callable[[Any], Any] | None = None
    kept: float = 1.0
    adjustment: np.ndarray | None = None
    teacher: Teacher | None = None

    def __call__(self, targets: Any, logits: Any, inputs: Any = None) -> Any:
        """The losses float32 [b] of targets float32 [b, C] and logits [b, C].

        The rows of the targets add up to one: a class each, or a mixture of some. `inputs` are what
        the network was given, float32 [b, ...], for a teacher.
        """
        logits = tf.cast(logits, tf.float32)
        kept = 0.0 if self.teacher is None else self.teacher(inputs, logits)
        if self.soften is not None:
            targets = self.soften(targets)
        if self.adjustment is not None:
            logits += self.adjustment
        return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits) + kept


def make_loss(
    options: LossOptions,
    counts: np.ndarray,
    classes: Sequence[TaxonClass],
    taxonomy: Taxonomy,
    teacher: Teacher | None = None,
) -> Loss:
    """The loss that training minimises; of other photographs plain cross-entropy tells more.

    Args:
        options: what is added to cross-entropy.
        counts: int64 [C], how often training sees each class in an epoch
            (`dataset.balance.seen_counts`).
        classes: by class id, C of them.
        taxonomy: the tree of their taxa.
        teacher: an earlier head, whose opinion is to be kept.

    Raises ValueError when the counts are not those of the classes or are all zero.
    """
    if len(counts) != len(classes):
        raise ValueError(f"there are {len(counts)} counts of {len(classes)} classes")
    adjustment = None
    if options.logit_adjustment:
        adjustment = (options.logit_adjustment * _log_priors(counts)).astype(np.float32)
    if options.tree_smoothing:
        labels = tree_labels(classes, taxonomy, options.tree_smoothing)
        return Loss(labels.soften, labels.kept, adjustment, teacher)
    if options.label_smoothing:
        kept, spread = 1 - options.label_smoothing, _evenly(options.label_smoothing, classes)
        own = float(np.mean(kept + spread))
        return Loss(lambda targets: kept * targets + spread, own, adjustment, teacher)
    return Loss(adjustment=adjustment, teacher=teacher)


def say_what_is_kept(loss: Loss, options: LossOptions) -> None:
    """Say how much of the targets smoothing over the tree leaves, if it is asked for."""
    if options.tree_smoothing:
        say(f"a photograph's own class keeps {loss.kept:.0%} of its target, its kin the rest")


def _evenly(part: float, classes: Sequence[TaxonClass]) -> np.ndarray:
    """The part, spread over the active classes: float32 [C].

    No photograph may teach that a retired class is meant.
    """
    active = np.array([c.active for c in classes], np.float32)
    return part * active / max(active.sum(), 1)


def _log_priors(counts: np.ndarray) -> np.ndarray:
    """Logarithms of the shares of the classes: float64 [C].

    A class without photographs has the smallest share of those that have some. A share of zero
    would take it out of the softmax: training would never push its logit down, and it would win
    where nothing is added to the logits. A smoothed target would make the loss infinite.
    """
    if not counts.any():
        raise ValueError("there is no photograph")
    shares = np.where(counts > 0, counts, counts[counts > 0].min())
    return np.log(shares / counts.sum())
