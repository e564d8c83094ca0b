"""Intervals of confidence for shares and for differences of shares on the same photographs.

All of them take photographs for independent draws; those of one observation are not quite, which
is why a catalog keeps an observation in one split.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

_HALVINGS = 60  # of an interval of length 2, down to the last bit of a float64


@dataclass(frozen=True)
class Interval:
    """Bounds between which a figure lies, as fractions of 1."""

    low: float
    high: float

    @property
    def reversed(self) -> Interval:
        """The bounds of the figure with its sign changed: of a loss for those of a gain."""
        return Interval(0.0 - self.high, 0.0 - self.low)  # and never -0.0


def share(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """The score interval of a share of `n` draws; 0 to 1 where there are none.

    Draws that tell unequally much may be as many as a number of equal ones that is not whole.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, JASA 22
    (1927) 209–212.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z = _two_sided(confidence)
    observed, shrink = successes / n, 1 + z * z / n
    centre = (observed + z * z / (2 * n)) / shrink
    half = z * math.sqrt(observed * (1 - observed) / n + z * z / (4 * n * n)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low, high)


def paired_difference(before: np.ndarray, after: np.ndarray, confidence: float = 0.95) -> Interval:
    """The score interval of the share of `after` minus that of `before`.

    It holds its confidence also where few photographs change or none does, and it never falls when
    one more of them is won, nor rises when one more is lost.

    Args:
        before: bool [n], whether each photograph was right.
        after: bool [n], the same photographs later.
        confidence: that the difference lies within the bounds.

    Returns:
        The bounds; −1 to 1 where there are no photographs.

    Source: Tango, Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design, Statistics in Medicine 17 (1998) 891–908.
    """
    n, won, lost = _flips(before, after)
    if n == 0:
        return Interval(-1.0, 1.0)
    z = _two_sided(confidence)
    return Interval(0.0 - _score_bound(lost, won, n, z), _score_bound(won, lost, n, z))


def one_sided(before: np.ndarray, after: np.ndarray, confidence: float = 0.95) -> Interval:
    """Two one-sided bounds of the difference of `paired_difference`.

    With the confidence it is above `low`, and with the same confidence it is below `high`; that it
    lies between them has twice the doubt.
    """
    return paired_difference(before, after, 2 * confidence - 1)


def macro_difference(
    taxa: np.ndarray, before: np.ndarray, after: np.ndarray, confidence: float = 0.95
) -> Interval:
    """The interval of the mean over taxa of the share of `after` minus that of `before`.

    It speaks of taxa like those that have photographs here, each with as many as it has here: the
    taxa are the sample, of one paired difference each, so a taxon with a single photograph counts
    as any other, and both what differs between taxa and the luck of the photographs is in the
    spread. Of these very taxa it is on the safe side. So that it has a width also where hardly any
    photograph changes, the spread is that with one more photograph won and one more lost, each in a
    taxon of middling size. Of one taxon alone it is `paired_difference`.

    Args:
        taxa: int [n], the true taxon of each photograph.
        before: bool [n], whether each photograph was right.
        after: bool [n], the same photographs later.
        confidence: that the difference lies within the bounds.

    Returns:
        The bounds; −1 to 1 where there are no photographs.

    Source: Student's interval of a mean, Biometrika 6 (1908) 1–25; the added pair is that of Bonett
    and Price, Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data, Journal of Educational and Behavioral Statistics 37 (2012) 479–488, of which this
    is the like where every taxon has one photograph.
    """
    _, inverse = np.unique(taxa, return_inverse=True)
    photographs = np.bincount(inverse)
    count = len(photographs)
    if count < 2:
        return paired_difference(before, after, confidence)
    change = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    differences = np.bincount(inverse, weights=change) / photographs
    centre, one_photograph = float(differences.mean()), float((1 / photographs).mean())
    squares = float(((differences - centre) ** 2).sum()) + 2 * one_photograph**2
    error = math.sqrt(squares / (count - 1) / count)
    half = _student(_two_sided(confidence), count - 1) * error
    return Interval(max(-1.0, centre - half), min(1.0, centre + half))


def _two_sided(confidence: float) -> float:
    """How many standard errors to either side of the middle."""
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _student(z: float, freedom: int) -> float:
    """The quantile of Student's distribution that corresponds to the normal one `z`.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5; one and two degrees
    of freedom are in closed form, more are within 0.4 % up to the 99th percentile.
    """
    if freedom <= 2:
        p = NormalDist().cdf(z)
        if freedom == 1:
            return math.tan(math.pi * (p - 0.5))
        return (2 * p - 1) / math.sqrt(2 * p * (1 - p))
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom ** (power + 1) for power, term in enumerate(terms))


def _flips(before: np.ndarray, after: np.ndarray) -> tuple[int, int, int]:
    """Photographs, those right only after, those right only before."""
    before, after = np.asarray(before, bool), np.asarray(after, bool)
    if before.shape != after.shape or before.ndim != 1:
        raise ValueError(f"photographs {before.shape} and {after.shape} are not the same ones")
    return len(before), int((after & ~before).sum()), int((before & ~after).sum())


def _score_bound(more: int, less: int, n: int, z: float) -> float:
    """The largest difference that (more − less) / n does not contradict at `z` standard errors."""

    def contradicts(difference: float) -> bool:
        # The share of flips to the worse that is most likely if this were the difference.
        b = (2 * n - more + less) * difference - more - less
        c = less * difference * (1 - difference)
        worse = (math.sqrt(max(b * b + 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * worse + difference * (1 - difference))
        return n * difference - (more - less) > z * math.sqrt(max(variance, 0.0))

    return _last_not(contradicts, (more - less) / n, 1.0)


def _last_not(refused: Callable[[float], bool], low: float, high: float) -> float:
    """Where between `low` and `high` it begins to be refused, found by halving."""
    if not refused(high):
        return high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if refused(middle):
            high = middle
        else:
            low = middle
    return high
