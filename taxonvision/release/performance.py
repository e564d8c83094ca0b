"""What got better and what got worse, made of the gate's verdict for a reader."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.loss import POINT
from taxonvision.release.verdict import Figures, OldTaxon, Taken, Verdict

_MOST = 15


@dataclass(frozen=True)
class Comparison:
    """One figure before and after, shares of 1, and the interval of the difference."""

    measure: str
    among: str
    before: float
    after: float
    difference: Interval


@dataclass(frozen=True)
class Performance:
    """What a verdict says, ready for a page.

    Attributes:
        comparisons: figures of the old taxa, before and after.
        reach: to how many points to either side an axis of the differences goes.
        lost: old taxa with fewer photographs named right, the most lost first.
        gained: old taxa with more, the most gained first.
        lost_taxa: how many lose, also those not listed; likewise for the others.
        taken: which new taxon took what from which old one, most first.
    """

    comparisons: tuple[Comparison, ...]
    reach: float
    lost: tuple[OldTaxon, ...]
    gained: tuple[OldTaxon, ...]
    lost_taxa: int
    gained_taxa: int
    same_taxa: int
    taken: tuple[Taken, ...]
    taken_pairs: int
    taken_photographs: int


def performance(verdict: Verdict) -> Performance:
    """Arrange a verdict for its readers."""
    comparisons = [
        *_comparisons("among the taxa both releases know", verdict.shared),
        *_comparisons("among all taxa each release knows", verdict.everyone),
    ]
    lost = [old for old in verdict.by_taxon if _gain(old) < 0]
    gained = sorted(
        (old for old in verdict.by_taxon if _gain(old) > 0),
        key=lambda old: (-_gain(old), old.photographs, old.taxon_id),
    )
    return Performance(
        comparisons=tuple(comparisons),
        reach=_reach([c.difference for c in comparisons], verdict.max_regression),
        lost=tuple(lost[:_MOST]),
        gained=tuple(gained[:_MOST]),
        lost_taxa=len(lost),
        gained_taxa=len(gained),
        same_taxa=len(verdict.by_taxon) - len(lost) - len(gained),
        taken=tuple(verdict.taken[:_MOST]),
        taken_pairs=len(verdict.taken),
        taken_photographs=sum(pair.photographs for pair in verdict.taken),
    )


def _gain(old: OldTaxon) -> int:
    return old.right_after - old.right_before


def _comparisons(among: str, figures: Figures | None) -> list[Comparison]:
    if figures is None:
        return []
    f = figures
    return [
        Comparison("Top 1", among, f.top1_before, f.top1_after, f.top1_difference),
        Comparison("Mean over taxa", among, f.macro_before, f.macro_after, f.macro_difference),
    ]


def _reach(intervals: Iterable[Interval], limit: float) -> float:
    """The next round number of points that all bounds are within."""
    bounds = [abs(bound) for each in intervals for bound in (each.low, each.high)]
    most = max([*bounds, limit, 0.1 * POINT]) / POINT
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= most)
