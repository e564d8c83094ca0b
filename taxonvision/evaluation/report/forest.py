"""Differences drawn as a forest plot: each with its interval on one axis around zero.

Source: Lewis and Clarke, Forest plots: trying to see the wood and the trees, BMJ 322 (2001)
1479–1480.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from taxonvision.evaluation.comparison.comparison import (
    Candidate,
    Comparison,
    Difference,
    Paired,
)
from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.breakdowns import of_training
from taxonvision.evaluation.report.page import counted

_STEPS = (1, 2, 3, 5, 10)
_ROUNDING = 1e-9
_SHORTEST = 0.002  # of an axis, whose numbers have one decimal


@dataclass(frozen=True)
class Line:
    """One difference.

    Attributes:
        label: whose it is.
        change: the figure of the reference and of the candidate.
        note: more about it, "" without.
    """

    label: str
    change: Difference
    note: str = ""

    @property
    def tone(self) -> str:
        """`worse` or `better` where the interval leaves out zero, else ""."""
        bounds = self.change.interval
        if bounds is None or bounds.low <= 0 <= bounds.high:
            return ""
        return "worse" if bounds.high < 0 else "better"


@dataclass(frozen=True)
class Group:
    """Lines under one heading, which is "" where each line says all."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Forest:
    """Groups of lines on one axis from -`reach` to `reach`, fractions of 1.

    Attributes:
        groups: what is drawn.
        reach: of the axis.
        limit: the loss that may be, below 0; None without.
    """

    groups: Sequence[Group]
    reach: float
    limit: float | None = None

    @property
    def ticks(self) -> tuple[float, ...]:
        """Where numbers stand: the ends, halfway, and zero."""
        return tuple(self.reach * place for place in (-1, -0.5, 0, 0.5, 1))

    def place(self, value: float) -> str:
        """How far from the left end, as `12.34%`; what lies beyond an end is put there."""
        return f"{100 * self._at(value):.2f}%"

    def width(self, bounds: Interval) -> str:
        """How wide an interval is, likewise."""
        return f"{100 * (self._at(bounds.high) - self._at(bounds.low)):.2f}%"

    def _at(self, value: float) -> float:
        return min(max((value + self.reach) / (2 * self.reach), 0.0), 1.0)


def forest(groups: Sequence[Group], max_drop: float | None = None) -> Forest:
    """Groups on an axis that is wide enough for all their intervals and the loss that may be."""
    limit = None if max_drop is None else -max_drop
    ends = [end for group in groups for line in group.lines for end in _ends(line.change)]
    return Forest(groups, _reach([*ends, limit or 0.0]), limit)


def differences(comparison: Comparison) -> Forest:
    """The differences of top 1 and of the mean over taxa, among shared taxa and among all."""
    candidates = comparison.candidates
    shared = [(c.model.name, c.shared) for c in candidates if c.shared is not None]
    everyone = [(c.model.name, c.everyone) for c in candidates if not _knows_the_same(c)]
    groups = []
    for title, pairs in (("taxa that both know", shared), ("all taxa", everyone)):
        if pairs:
            top1 = [Line(name, paired.top1, _size(paired)) for name, paired in pairs]
            macro = [Line(name, paired.macro_top1, _size(paired)) for name, paired in pairs]
            groups += [Group(f"Top 1, {title}", top1), Group(f"Mean over taxa, {title}", macro)]
    return forest(groups, comparison.max_drop)


def by_rank(comparison: Comparison) -> Forest:
    """The differences at each rank."""
    of_rank: dict[str, list[Line]] = {}
    for candidate in comparison.candidates:
        for change in candidate.ranks:
            line = Line(candidate.model.name, change.top1, _photographs(change.photographs))
            of_rank.setdefault(change.rank, []).append(line)
    return forest(_groups(of_rank, comparison))


def by_tail(comparison: Comparison) -> Forest:
    """The differences by the number of training photographs of the taxa, the fewest first."""
    of_span: dict[tuple[int, float], list[Line]] = {}
    titles = {}
    for candidate in comparison.candidates:
        for change in candidate.tail:
            span = (change.least, math.inf if change.most is None else change.most)
            titles[span] = of_training(change.least, change.most)
            line = Line(candidate.model.name, change.top1, _photographs(change.photographs))
            of_span.setdefault(span, []).append(line)
    ordered = {titles[span]: of_span[span] for span in sorted(of_span)}
    return forest(_groups(ordered, comparison))


def _groups(lines: Mapping[str, Sequence[Line]], comparison: Comparison) -> list[Group]:
    """A group a title with a line a candidate; of one candidate one group with a line a title."""
    if len(comparison.candidates) > 1 or not lines:
        return [Group(title, of_title) for title, of_title in lines.items()]
    return [Group("", [replace(line, label=t) for t, (line,) in lines.items()])]


def _size(paired: Paired) -> str:
    return f"{_photographs(paired.photographs)} of {counted(paired.taxa, 'taxon')}"


def _photographs(count: int) -> str:
    return counted(count, "photograph")


def _knows_the_same(candidate: Candidate) -> bool:
    """Whether the taxa that both know are all that there are."""
    if candidate.shared is None or candidate.taxa_lost or candidate.taxa_new:
        return False
    return candidate.shared.photographs == candidate.everyone.photographs


def _ends(change: Difference) -> list[float]:
    bounds = change.interval
    return [change.difference] if bounds is None else [bounds.low, bounds.high]


def _reach(ends: Iterable[float]) -> float:
    """A round number that none of the ends exceeds."""
    farthest = max(_SHORTEST, *(abs(end) for end in ends))
    power = 10.0 ** math.floor(math.log10(farthest) + _ROUNDING)
    return min(1.0, next(s * power for s in _STEPS if s * power >= farthest * (1 - _ROUNDING)))
