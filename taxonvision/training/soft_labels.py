"""Targets that are partly a teacher's opinion, made of its features in the step itself.

Of a photograph only the teacher's features are kept; its scores of all classes follow from them by
one product with the teacher's head, batch by batch, on the device that trains. Scores themselves
would be as large as photographs times classes: of thirty million and 60,000, 7 TB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from taxonvision.taxonomy.classes import TaxonClass

_NEVER = -1e9
"""The score of classes that the teacher does not know: their probability is exactly 0."""


class SoftLabels:
    """A part of each target is the teacher's opinion, the rest the photograph's own class.

    Source: Hinton et al., "Distilling the knowledge in a neural network", 2015, section 2, with the
    student's own logits not divided: the rows are targets like any others, which may be mixed,
    smoothed and adjusted, and the student's scores stay what it answers with.

    A photograph of a class that the teacher does not know has its own class alone. Make it in the
    scope of the strategy that it is used with.
    """

    def __init__(
        self, kernel: np.ndarray, bias: np.ndarray, known: np.ndarray, weight: float
    ) -> None:
        """A teacher's head in the order of the student's classes.

        Args:
            kernel: float32 [D, C] from the teacher's features to its softened logits.
            bias: float32 [C].
            known: bool [C], which classes the teacher knows.
            weight: the part of the targets that is its opinion.
        """
        # Variables and no constants, which would be copied into the graph: they may be large.
        self._kernel = tf.Variable(kernel, trainable=False)
        self._bias = tf.Variable(np.where(known, bias, _NEVER).astype(np.float32), trainable=False)
        self._weights = (weight * known).astype(np.float32)

    def __call__(self, labels: Any, classes: int) -> Any:
        """Targets float32 [b, C] of class ids int32 [b] and the teacher's features [b, D]."""
        class_ids, features = labels
        own = tf.one_hot(class_ids, classes)
        opinion = tf.nn.softmax(features @ self._kernel + self._bias)
        weights = tf.gather(self._weights, class_ids)[:, None]
        return own + weights * (opinion - own)


@dataclass(frozen=True, eq=False)
class Opinions:
    """A teacher's head, by taxon.

    Attributes:
        kernel: float32 [D, K], from its features to logits.
        bias: float32 [K].
        taxon_ids: of the K classes.
        weight: the part of a target that is its opinion.
        softness: what logits are divided by before the softmax.
    """

    kernel: np.ndarray
    bias: np.ndarray
    taxon_ids: Sequence[int]
    weight: float
    softness: float

    def soft_labels(self, classes: Sequence[TaxonClass]) -> SoftLabels:
        """Targets for a student with these classes; those that are retired are never meant."""
        column = {taxon_id: number for number, taxon_id in enumerate(self.taxon_ids)}
        found = np.array([column.get(c.taxon_id, -1) if c.active else -1 for c in classes])
        known = found >= 0
        kernel = np.zeros((len(self.kernel), len(classes)), np.float32)
        bias = np.zeros(len(classes), np.float32)
        kernel[:, known] = self.kernel[:, found[known]] / self.softness
        bias[known] = self.bias[found[known]] / self.softness
        return SoftLabels(kernel, bias, known, self.weight)
