"""How many photographs can be answered so that what is answered is right often enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDING = 1e-9  # of the weight answered: 0.95 of it is no number that floats have


@dataclass(frozen=True)
class CoverageCurve:
    """Points of answering ever more photographs, the surest first, all float64 [k].

    Attributes:
        coverages: the share of all photographs that are answered.
        precisions: the share of these that are right.
        scores: the lowest score that is answered.
    """

    coverages: np.ndarray
    precisions: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Coverage:
    """Photographs from the surest on, ready for weights.

    Where a model may stay silent, the risk of what it says falls with what it covers (El-Yaniv and
    Wiener 2010, On the Foundations of Noise-free Selective Classification). Photographs of equal
    scores are answered together, since no threshold tells them apart.

    Attributes:
        order: int64 [n], the photographs by their scores, highest first.
        right: bool [n], in this order.
        ends: int64 [k], where in this order those of each score end (exclusive).
        scores: float64 [k], the scores.
    """

    order: np.ndarray
    right: np.ndarray
    ends: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, confidence: np.ndarray, right: np.ndarray) -> Coverage:
        """Prepare n photographs.

        Args:
            confidence: float [n], the score of the best class.
            right: bool [n], whether that class is the true one.
        """
        order = np.argsort(-np.asarray(confidence, np.float64), kind="stable")
        sorted_scores = np.asarray(confidence, np.float64)[order]
        ends = np.append(np.flatnonzero(np.diff(sorted_scores)) + 1, len(order))
        ends = ends[ends > 0]  # without photographs there is no end
        return cls(order, np.asarray(right, bool)[order], ends, sorted_scores[ends - 1])

    def at(self, precision: float, weights: np.ndarray | None = None) -> float:
        """The largest share of photographs that is answered with this precision or more.

        Args:
            precision: a fraction of 1.
            weights: float64 [n], of the photographs; all 1 if not given.

        Returns:
            0 where no score is sure enough; NaN where there are no photographs.
        """
        answered, right = self._until_each_score(weights)
        enough = (answered > 0) & (right >= (precision - _ROUNDING) * answered)
        if not len(answered) or answered[-1] <= 0:
            return float("nan")
        return float(answered[enough].max(initial=0.0) / answered[-1])

    def curve(self, points: int = 500) -> CoverageCurve:
        """So many points at most, evenly over the coverage; the last answers all photographs."""
        answered, right = self._until_each_score(None)
        if not len(answered):
            return CoverageCurve(np.zeros(0), np.zeros(0), np.zeros(0))
        wanted = np.linspace(0, answered[-1], points + 1)[1:]
        at = np.unique(np.searchsorted(answered, wanted).clip(0, len(answered) - 1))
        return CoverageCurve(answered[at] / answered[-1], right[at] / answered[at], self.scores[at])

    def _until_each_score(self, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Float64 [k] each: the weight of photographs of the score or more, of the right ones."""
        w = np.ones(len(self.order)) if weights is None else np.asarray(weights, np.float64)
        w = w[self.order]
        return np.cumsum(w)[self.ends - 1], np.cumsum(w * self.right)[self.ends - 1]
