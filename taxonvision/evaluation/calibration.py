"""Calibrated probabilities: of what is said with a score of 0.8, 80 % are right."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_COLDEST, _HOTTEST = 0.05, 20.0
"""Temperatures that are tried."""
_AT_ONCE = 1 << 22
"""Logits that are copied at a time: 16 MB."""


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """The temperature T for which softmax(logits / T) tells how often a name is right.

    It minimises the mean negative log-likelihood (Guo et al. 2017, On Calibration of Modern Neural
    Networks, section 4.2). The truth counts as 1 - 1 / (n + 2), the rest is spread over all
    classes, as Platt (1999) does for his sigmoid: where all photographs are named rightly, the
    likelihood alone would rise without end as T falls, and every score would become 1.

    Args:
        logits: float32 [n, C] of photographs that were not trained on.
        truth: int [n], their classes, 0 <= truth < C.

    Raises:
        ValueError: there are no photographs.
    """
    from scipy.optimize import minimize_scalar

    n = len(truth)
    if not n:
        raise ValueError("a temperature is fitted on one photograph or more")
    spread = 1 / (n + 2)
    of_truth = float(logits[np.arange(n), truth].mean(dtype=np.float64))
    target = (1 - spread) * of_truth + spread * float(logits.mean(dtype=np.float64))

    def loss(log_temperature: float) -> float:
        temperature = math.exp(log_temperature)
        return float(log_sum_exp(logits, temperature).mean()) - target / temperature

    bounds = math.log(_COLDEST), math.log(_HOTTEST)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return round(math.exp(float(found.x)), 4)


BINS = 15
"""Of equal width, that photographs are put into by their scores, as Guo et al. (2017) do."""


def expected_calibration_error(
    confidence: np.ndarray,
    right: np.ndarray,
    bins: int = BINS,
    weights: np.ndarray | None = None,
) -> float:
    """How far scores are from the share that is right, in the mean: between 0 and 1.

    Photographs are put into bins of equal width by the score of their best class; the error is the
    mean of |share that is right - mean score| over the bins, weighted by their photographs
    (Guo et al. 2017, section 2).

    Args:
        confidence: float [n], the score of the best class, between 0 and 1.
        right: bool [n], whether that class is the true one.
        bins: how many.
        weights: float64 [n], of the photographs; all 1 if not given.

    Returns:
        NaN where all weights are 0.

    Raises:
        ValueError: there are no photographs.
    """
    if not len(confidence):
        raise ValueError("a calibration error is that of one photograph or more")
    scores = np.asarray(confidence, np.float64)
    w = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    differences = w * (np.asarray(right, np.float64) - scores)
    sums = np.bincount(bins_of(scores, bins), differences, bins)
    total = float(w.sum())
    return float(np.abs(sums).sum()) / total if total > 0 else math.nan


def bins_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """int64 [n]: the bin of each score; bin i holds those above i / bins up to (i + 1) / bins.

    A score of 0 is in the first.
    """
    scores = np.asarray(confidence, np.float64)
    return np.clip(np.ceil(scores * bins).astype(np.int64) - 1, 0, bins - 1)


def confidence(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The highest probability of each row of softmax(logits / T): float64 [n] of [n, C]."""
    sums = [sums for _, sums in _parts(logits, temperature)]
    return 1 / np.concatenate([np.empty(0), *sums])


def log_sum_exp(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """The log Σ exp(logits / T) of each row: float64 [n] of [n, C]."""
    parts = [np.log(sums) + highest for highest, sums in _parts(logits, temperature)]
    return np.concatenate([np.empty(0), *parts])


def _parts(logits: np.ndarray, temperature: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of some rows at a time the highest of logits / T, and Σ exp(logits / T - highest)."""
    rows = max(1, _AT_ONCE // logits.shape[1])
    for start in range(0, len(logits), rows):
        scaled = logits[start : start + rows] / np.float32(temperature)
        highest = scaled.max(axis=1)
        scaled -= highest[:, None]
        yield highest.astype(np.float64), np.exp(scaled, out=scaled).sum(axis=1, dtype=np.float64)
