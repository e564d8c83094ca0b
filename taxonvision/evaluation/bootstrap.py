"""Intervals of figures by drawing observations again, with replacement.

Photographs of one observation show the same organism and are right or wrong together, so whole
observations are drawn: an interval that took photographs for independent would be too narrow.
Source: Efron, Bootstrap methods, Annals of Statistics 7 (1979) 1–26; of whole clusters: Davison and
Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import Interval, share

_CONFIDENCE = 0.95
REPLICATES = 1000


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; None where it, or its interval, cannot be measured."""

    value: float | None
    interval: Interval | None


class Resampling:
    """Replicates of a sample of n photographs, the same ones each time they are asked for.

    One replicate is held at a time, so that memory does not grow with their number.
    """

    def __init__(
        self, observations: np.ndarray, replicates: int = REPLICATES, seed: int = 0
    ) -> None:
        """Draw from these observations.

        Args:
            observations: int64 [n], the number of each photograph's observation.
            replicates: how many are drawn; without any no figure has an interval.
            seed: the same seed draws the same.
        """
        numbers, self._observation_of = np.unique(observations, return_inverse=True)
        self.observations = len(numbers)
        self.photographs = len(observations)
        self._replicates = replicates
        self._seed = seed

    def among(self, chosen: np.ndarray) -> Resampling:
        """The like of some of the photographs alone, bool [n]; so many are drawn every time."""
        return Resampling(self._observation_of[chosen], self._replicates, self._seed)

    def weights(self) -> Iterator[np.ndarray]:
        """How often each photograph is in a replicate: float64 [n], one array a replicate.

        As many observations are drawn as there are; how often each is drawn is multinomial.
        """
        generator = np.random.default_rng(self._seed)
        for _ in range(self._replicates):
            drawn = generator.integers(self.observations, size=self.observations)
            times = np.bincount(drawn, minlength=self.observations).astype(np.float64)
            yield times[self._observation_of]

    def interval(self, statistic: Callable[[np.ndarray], float | None]) -> Interval | None:
        """The 95 % percentile interval of a figure.

        Args:
            statistic: the figure when photographs count as often as the weights, float64 [n], say;
                None or NaN where a replicate has none, which is then left out.

        Returns:
            None where there are fewer than two observations, no replicates, or none that has the
            figure.
        """
        return self.intervals(_alone(statistic))[0]

    def intervals(self, statistics: Callable[[np.ndarray], np.ndarray]) -> list[Interval | None]:
        """`interval` of k figures at once, which draws the replicates once.

        Args:
            statistics: the figures, float64 [k], for weights, float64 [n]; NaN where there is none.
        """
        if self.observations < 2 or not self._replicates:
            return [None for _ in statistics(np.ones(self.photographs))]
        return [_percentiles(column) for column in self._figures(statistics).T]

    def share(self, right: np.ndarray) -> Estimate:
        """The share of photographs that are right, bool [n].

        Where all are right or all are wrong no replicate differs. The interval would have no width,
        as if nothing could go otherwise; it is then Wilson's over the number of observations, or
        over fewer where they are of unequal size. None where there are no photographs.
        """
        if not len(right):
            return Estimate(None, None)
        at = np.flatnonzero(right)

        def share(weights: np.ndarray) -> float:
            return float(weights[at].sum() / weights.sum())

        ones = np.ones(self.photographs)
        return self._or_wilson(share(ones), self.interval(share), ones)

    def fraction(self, statistic: Callable[[np.ndarray], float | None]) -> Estimate:
        """A figure between 0 and 1 of any kind; without width its interval is Wilson's, as above.

        A photograph that is drawn twice has an equal beside it, which no other photograph has: on
        replicates an average precision is higher than on any sample of new photographs, and so is a
        calibration error; hence the interval is that of `around`.
        """
        ones = np.ones(self.photographs)
        value = statistic(ones)
        if value is None or math.isnan(value):
            return Estimate(None, None)
        drawn = self.around(value, statistic)
        if drawn is not None:
            drawn = Interval(max(drawn.low, 0.0), min(drawn.high, 1.0))
        return self._or_wilson(value, drawn, ones)

    def around(
        self, value: float, statistic: Callable[[np.ndarray], float | None]
    ) -> Interval | None:
        """`interval` of a figure that is another one in the mean over replicates than it is here.

        Replicates tell how far the figure varies, not around what: their percentiles are moved by
        the difference of their mean from the figure, the bootstrap's estimate of its bias (Efron
        and Tibshirani, An Introduction to the Bootstrap (1993), section 10.2).

        Args:
            value: the figure of the photographs.
            statistic: the figure for weights, as above.
        """
        if self.observations < 2 or not self._replicates:
            return None
        figures = self._figures(_alone(statistic))[:, 0]
        return _percentiles(figures + value - np.nanmean(figures))

    def macro(self, right: np.ndarray, taxa: np.ndarray) -> Estimate:
        """The mean over taxa, int64 [n], of the share that is right, bool [n].

        Taxa that a replicate lacks are left out of its mean. Where the interval would have no width
        it is Wilson's, as that of a share is.
        """
        if not len(right):
            return Estimate(None, None)
        values = np.asarray(right, np.float64)
        _, taxon_of = np.unique(taxa, return_inverse=True)

        def macro(weights: np.ndarray) -> float:
            drawn = np.bincount(taxon_of, weights)
            there = drawn > 0
            return float((np.bincount(taxon_of, weights * values)[there] / drawn[there]).mean())

        parts = 1 / np.bincount(taxon_of)[taxon_of]
        return self._or_wilson(macro(np.ones(len(values))), self.interval(macro), parts)

    def _figures(self, statistics: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """The k figures of every replicate, float64 [replicates, k]."""
        return np.array([statistics(weights) for weights in self.weights()])

    def _or_wilson(self, value: float, drawn: Interval | None, parts: np.ndarray) -> Estimate:
        if not self._replicates or (drawn is not None and drawn.low < drawn.high):
            return Estimate(value, drawn)
        n = self.told_by(parts)
        return Estimate(value, share(value * n, n))

    def told_by(self, parts: np.ndarray) -> float:
        """So many observations of equal weight tell as much as these, of unequal weight.

        It is (Σ w)² / Σ w² over the weights w of the observations: their number where they are of
        equal weight, less otherwise. Source: Kish, Survey Sampling (1965), section 11.7.

        Args:
            parts: float64 [n], what each photograph weighs in the figure.
        """
        weights = np.bincount(self._observation_of, parts)
        return float(weights.sum() ** 2 / (weights**2).sum())


def _alone(
    statistic: Callable[[np.ndarray], float | None],
) -> Callable[[np.ndarray], np.ndarray]:
    """The figure as an array of one, NaN where there is none."""

    def figures(weights: np.ndarray) -> np.ndarray:
        figure = statistic(weights)
        return np.array([np.nan if figure is None else figure])

    return figures


def _percentiles(figures: np.ndarray) -> Interval | None:
    numbers = figures[~np.isnan(figures)]
    if not len(numbers):
        return None
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(numbers, (tail, 1 - tail))
    return Interval(float(low), float(high))
