"""A comparison in words: larger than chance or not, and how large the difference could still be."""

from __future__ import annotations

import math

from taxonvision.evaluation.comparison.comparison import ALL, SHARED, Difference, Paired, TailChange
from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.breakdowns import of_training
from taxonvision.text import percent, several

AMONG = {SHARED: "among the taxa that both know, ", ALL: "among all taxa, "}
_MOST_DECIMALS = 4


def headline(name: str, reference: str, paired: Paired, among: str = "") -> str:
    """How a candidate does against the reference, in one sentence.

    Args:
        name: the candidate's name.
        reference: the reference's.
        paired: both on the same photographs.
        among: what is put first where the models know different taxa.
    """
    bounds = interval_of(paired.top1)
    fact = _fact(name, reference, paired)
    return f"{among}{fact} {_width(bounds)}: {_judgement(paired, bounds)}"


def interval_of(top1: Difference) -> Interval:
    """The interval of a difference that has one by formula."""
    bounds = top1.interval
    if bounds is None:
        raise ValueError("a difference of shares has an interval")
    return bounds


def of_other_taxa(
    name: str, reference: str, everyone: Paired, shared: Paired | None, new: int, lost: int
) -> str | None:
    """What is to be said where the models know different taxa; None where they know the same."""
    if not new and not lost:
        return None
    differing = " and ".join(
        part
        for part in (
            f"knows {several(new, 'taxon')} that {reference} does not" if new else "",
            f"lacks {several(lost, 'taxon')} that {reference} knows" if lost else "",
        )
        if part
    )
    if shared is None:
        return f"{name} {differing}; no photograph shows a taxon that both know"
    return f"{name} {differing}; " + headline(name, reference, everyone, AMONG[ALL])


def of_the_rare(name: str, reference: str, tail: tuple[TailChange, ...]) -> str | None:
    """How the taxa with the fewest training photographs fare; None where all have about as many."""
    if len(tail) < 2:
        return None
    rarest = tail[0]
    photographs, taxa = several(rarest.photographs, "photograph"), several(rarest.taxa, "taxon")
    with_so_many = of_training(rarest.least, rarest.most)
    chance = "larger than chance" if rarest.beyond_chance else "no larger than chance"
    return (
        f"of the {photographs} of {taxa} with {with_so_many}, {name} names "
        f"{_how_many(rarest.top1.difference)} {reference} {_width(interval_of(rarest.top1))}: "
        f"{chance}"
    )


def of_wrong_labels(name: str, reference: str, everyone: Paired) -> str:
    """What is to be said where neither is better than chance though both agree."""
    return (
        f"{reference} and {name} agree on {percent(everyone.agreement)} of the photographs and "
        "neither is better than chance: the labels of the photographs, not the models, may be wrong"
    )


def points(share: float) -> str:
    """A share in points of percent with one decimal, or as many more as a small one needs."""
    return f"{100 * share:z.{_decimals(share)}f}"


def signed(share: float) -> str:
    """`points` with a sign."""
    return f"{100 * share:+z.{_decimals(share)}f}"


def p_value(p: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _decimals(share: float) -> int:
    if share == 0:
        return 1
    return min(max(1, math.ceil(-math.log10(abs(100 * share) / 0.5))), _MOST_DECIMALS)


def _fact(name: str, reference: str, paired: Paired) -> str:
    if paired.agreement == 1:
        count = paired.photographs
        if count == 1:
            return f"{name} gives the same answer as {reference} on the only photograph"
        return f"{name} gives the same answers as {reference} on all {count} photographs"
    return f"{name} names {_how_many(paired.top1.difference)} {reference}"


def _how_many(difference: float) -> str:
    if difference == 0:
        return "as many photographs right as"
    kind = "more" if difference > 0 else "fewer"
    return f"{points(abs(difference))} points {kind} photographs right than"


def _width(bounds: Interval) -> str:
    return f"(95 % interval {signed(bounds.low)} to {signed(bounds.high)})"


def _judgement(paired: Paired, bounds: Interval) -> str:
    difference = paired.top1.difference
    worst, best = points(abs(bounds.low)), points(abs(bounds.high))
    if paired.beyond_chance:
        larger = f"larger than chance ({p_value(paired.p)})"
        if difference < 0:
            return f"{larger}; it is at least {best} and at most {worst} points worse"
        return f"{larger}; it is at least {worst} and at most {best} points better"
    still = f"up to {worst} points worse" if bounds.low < 0 else "no better"
    # The interval may leave out zero where the test, which is exact, is not as sure.
    doubt = "" if bounds.low <= 0 <= bounds.high else f" ({p_value(paired.p)})"
    return f"no larger than chance{doubt}; it could still be {still}"
