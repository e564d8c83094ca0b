"""What is special of a model: it is perfect, broken, or no better than names dealt at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.intervals import share
from taxonvision.text import percent, several

_ALWAYS = 0.9
"""A model that gives one name to so many of the photographs may be broken."""
_FEWEST = 10
"""Photographs by which a model is called perfect, broken or worse, at least."""
_CLEARLY = 3.0
"""Standard deviations above chance from which on a model is better than it."""
_TELLING = 5.0
"""Photographs on which even the truth lies fewer above chance tell nothing about it."""


@dataclass(frozen=True)
class Chance:
    """Photographs named right, and how many would be if the same names were dealt at random.

    Attributes:
        right: photographs named right.
        expected: the mean over all ways of dealing the names to the photographs.
        deviation: the standard deviation over these ways.
    """

    right: int
    expected: float
    deviation: float

    @property
    def above(self) -> float:
        """Standard deviations above chance; 0 where every way gives the same."""
        return (self.right - self.expected) / self.deviation if self.deviation else 0.0


def chance(truth: np.ndarray, named: np.ndarray) -> Chance:
    """Compare with names dealt at random.

    Args:
        truth: int64 [n], the taxon on each photograph.
        named: int64 [n], what each was named.

    Source: the mean and variance of a permutation statistic, Hoeffding, A combinatorial central
    limit theorem, Annals of Mathematical Statistics 22 (1951) 558–566, theorem 2, for the matrix
    that is 1 where a name is the truth of a photograph.
    """
    n = len(truth)
    taxa, codes = np.unique(np.concatenate([truth, named]), return_inverse=True)
    true, given = (np.bincount(each, minlength=len(taxa)) for each in (codes[:n], codes[n:]))
    pairs = float(true @ given)
    right = int((truth == named).sum())
    if n < 2:
        return Chance(right, pairs / max(n, 1), 0.0)
    # Of each entry its row's and its column's mean are taken, and the mean of all added.
    squares = pairs - (true @ given**2 + true**2 @ given) / n + (pairs / n) ** 2
    return Chance(right, pairs / n, math.sqrt(max(float(squares), 0.0) / (n - 1)))


def is_told_from_chance(truth: np.ndarray, named: np.ndarray, observations: np.ndarray) -> bool:
    """Whether names are better than names dealt at random, or these photographs cannot tell.

    One photograph of each observation counts, int64 [n]: the others are likely named alike.
    """
    ones = np.unique(observations, return_index=True)[1]
    if chance(truth[ones], truth[ones]).above < _TELLING:
        return True
    return agree(truth, named, observations)


def agree(first: np.ndarray, second: np.ndarray, observations: np.ndarray) -> bool:
    """Whether two name alike more often than at random, all int64 [n]; see above."""
    ones = np.unique(observations, return_index=True)[1]
    return chance(first[ones], second[ones]).above > _CLEARLY


def most_frequent(named: np.ndarray) -> tuple[int, float]:
    """The taxon named most often, and the share of photographs it is named on."""
    taxa, counts = np.unique(named, return_counts=True)
    return int(taxa[counts.argmax()]), float(counts.max() / len(named))


def renamed(truth: np.ndarray, named: np.ndarray) -> np.ndarray:
    """int64 [n]: names replaced by the taxon that is most often on the photographs so named.

    The photographs are put into halves, each half of every taxon; what names mean is learnt from
    one half and said of the other, or it would fit by itself. 0 where a name is only in one half.
    """
    order = np.argsort(truth, kind="stable")
    result = np.zeros(len(truth), np.int64)
    for learnt, told in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        pairs, counts = np.unique(
            np.stack([named[learnt], truth[learnt]], axis=1), axis=0, return_counts=True
        )
        best = pairs[np.lexsort((counts, pairs[:, 0]))]  # a name's most frequent truth comes last
        meaning = dict(best.tolist())
        result[told] = [meaning.get(name, 0) for name in named[told].tolist()]
    return result


def remarks(
    name: str,
    truth: np.ndarray,
    named: np.ndarray,
    observations: np.ndarray,
    called: Callable[[int], str],
) -> tuple[str, ...]:
    """Sentences on what is special of a model; none of an ordinary one or of few photographs.

    Args:
        name: the model's name.
        truth: int64 [n], the taxon on each photograph.
        named: int64 [n], the taxon it names.
        observations: int64 [n], the number of each photograph's observation.
        called: what a taxon is called.
    """
    if len(truth) < _FEWEST:
        return ()
    right = truth == named
    if right.all():
        sample = Resampling(observations, replicates=0)
        told_by = sample.told_by(np.ones(len(truth)))
        least = math.floor(1000 * share(told_by, told_by).low) / 1000
        return (
            f"{name} is perfect here: it names all {several(len(truth), 'photograph')} right; of "
            f"others like them at least {least:.1%} would be, with 97.5% confidence",
        )
    taxon, often = most_frequent(named)
    true = float((truth == taxon).mean())
    if often >= _ALWAYS and true < often / 2:
        how_often = "every photograph" if often == 1 else f"{percent(often)} of the photographs"
        return (
            f"{name} is broken: it names {how_often} {called(taxon)}, which is on {percent(true)} "
            "of them",
        )
    if is_told_from_chance(truth, named, observations):
        return ()
    dealt = chance(truth, named).expected / len(truth)
    return (
        f"{name} is no better than chance: it names {percent(right.mean())} of the photographs "
        f"right, and the same names dealt out at random {percent(dealt)}"
        + _of_other_names(truth, named),
    )


def _of_other_names(truth: np.ndarray, named: np.ndarray) -> str:
    """What is said where the names are mixed up, and only they."""
    anew = renamed(truth, named)
    found = chance(truth, anew)
    if found.above < _TELLING or found.right < 2 * max(found.expected, (truth == named).sum()):
        return ""
    return (
        f"; its names are mixed up: with what it calls one taxon named by what is on those "
        f"photographs, {percent(found.right / len(truth))} would be right"
    )
