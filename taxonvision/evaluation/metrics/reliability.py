"""Reliability: of what is said with a score, how much is right, and what chance alone does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.calibration import BINS, bins_of, expected_calibration_error
from taxonvision.evaluation.intervals import Interval, share

_DRAWS = 200
_CONFIDENCE = 0.99
_STREAM = 1983  # of random numbers: scores that were drawn with the same seed are not drawn again


@dataclass(frozen=True)
class ReliabilityBin:
    """Photographs whose best classes have similar scores.

    Attributes:
        low: their scores are above this (the first bin's may be 0).
        high: and not above this.
        photographs: how many, at least one.
        mean_score: of their best classes.
        right: the share whose best class is the true one.
        interval: of that share, at 95 % (Wilson 1927).
    """

    low: float
    high: float
    photographs: int
    mean_score: float
    right: float
    interval: Interval


def reliability(
    confidence: np.ndarray, right: np.ndarray, bins: int = BINS
) -> list[ReliabilityBin]:
    """The reliability diagram: the bins that have photographs, by their scores.

    Args:
        confidence: float [n], the score of the best class, between 0 and 1.
        right: bool [n], whether that class is the true one.
        bins: how many of equal width, those of `expected_calibration_error`.

    Source: DeGroot and Fienberg, The Comparison and Evaluation of Forecasters, The Statistician 32
    (1983) 12–22.
    """
    bin_of = bins_of(confidence, bins)
    counts = np.bincount(bin_of, minlength=bins)
    scores = np.bincount(bin_of, np.asarray(confidence, np.float64), bins)
    rights = np.bincount(bin_of, np.asarray(right, bool), bins).astype(np.int64)
    return [
        ReliabilityBin(
            low=i / bins,
            high=(i + 1) / bins,
            photographs=int(counts[i]),
            mean_score=float(scores[i] / counts[i]),
            right=float(rights[i] / counts[i]),
            interval=share(int(rights[i]), int(counts[i])),
        )
        for i in np.flatnonzero(counts).tolist()
    ]


@dataclass(frozen=True)
class ErrorByChance:
    """The calibration errors that a perfectly calibrated model would have on as many photographs.

    Attributes:
        mean: the floor, below which no calibration error can be expected to fall.
        high: chance alone exceeds this in one of a hundred cases.
    """

    mean: float
    high: float


def error_by_chance(
    confidence: np.ndarray, seed: int = 0, bins: int = BINS, draws: int = _DRAWS
) -> ErrorByChance:
    """What `expected_calibration_error` makes of photographs that are right as often as they say.

    An error measured on few photographs is too high, since no share of a few is what it is on
    average (Roelofs et al. 2022, Mitigating Bias in Calibration Error Estimation). How high is
    simulated: whether each photograph is right is drawn anew with its own score for a chance.

    Args:
        confidence: float [n], the score of the best class, between 0 and 1.
        seed: of the draws.
        bins: those of the error.
        draws: how many.

    Returns:
        NaN where there are no photographs.
    """
    if not len(confidence):
        return ErrorByChance(math.nan, math.nan)
    scores = np.asarray(confidence, np.float64)
    rng = np.random.default_rng([seed, _STREAM])
    errors = [
        expected_calibration_error(scores, rng.random(len(scores)) < scores, bins)
        for _ in range(draws)
    ]
    return ErrorByChance(float(np.mean(errors)), float(np.quantile(errors, _CONFIDENCE)))
