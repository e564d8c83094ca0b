"""The MODEL_CARD.md of results: a model with all that was measured of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from taxonvision.evaluation.report.card_texts import RISKS, card_of, get_started, lines
from taxonvision.evaluation.report.model_card import (
    Card,
    Figure,
    Measured,
    percent,
    plain,
    render,
    table,
)
from taxonvision.runtime.contract import Contract
from taxonvision.text import several

_SHARES = {
    "top1": "Top-1",
    "top5": "Top-5",
    "macro_top1": "Top-1, mean over taxa",
    "average_precision": "Average precision, mean over taxa",
    "coverage_at_95": "Coverage at 95% precision",
}
_NESTED = (
    ("by_observation", "top1", "Top-1 by observation"),
    ("by_observation", "top5", "Top-5 by observation"),
    ("common_ancestor", "precision", "Common ancestor above {score}, precision"),
    ("common_ancestor", "recall", "Common ancestor above {score}, recall"),
    ("false_names", "share", "False names on {scenes} scenes"),
)
_NUMBERS = (
    ("taxonomic_distance", "Taxonomic distance of mistakes", 2),
    ("calibration_error", "Calibration error", 3),
    ("calibration_error_floor", "Calibration error, floor", 3),
)
_METRICS = (
    "Top-1, top-5: photographs whose true taxon is the best class, or among the best five.",
    "Mean over taxa: every taxon counts alike, however many photographs it has.",
    "A rank: the scores are rolled up the tree, and the best taxon of that rank is the right one.",
    "By observation: the scores of an observation's photographs are averaged.",
    "Common ancestor: the lowest taxon whose score is high enough. Precision: of the photographs "
    "that get one, those of which it is the truth or above it; recall: those of all photographs.",
    "Taxonomic distance: how many of the main ranks two taxa do not share, mean over mistakes.",
    "Coverage at 95% precision: the share of photographs, the surest first, of which 95% are "
    "named right.",
    "Calibration error: the mean distance between score and share of right names in 15 groups of "
    "like scores; 0 is best. The floor is what a perfectly calibrated model would have here.",
    "False names: scenes without organisms that get a name.",
    "Intervals are of 95%, by drawing observations again with replacement.",
)
_FEWEST = 30
"""Photographs from which on a group's share is told from another's in words."""


@dataclass(frozen=True)
class Group:
    """Photographs that are broken out: `1 to 9 training photographs`, `Europe`.

    Attributes:
        name: what they have in common, as text.
        photographs: how many.
        top1: the share named right, None where there are none.
    """

    name: str
    photographs: int
    top1: float | None


@dataclass(frozen=True)
class Subject:
    """The model that was measured.

    Attributes:
        ranks: of its classes.
        languages: codes of the languages of its common names.
        contract: how photographs become its input.
    """

    ranks: Sequence[str]
    languages: Sequence[str]
    contract: Contract


def results_card(
    manifest: Mapping[str, Any],
    figures: Mapping[str, Any],
    subject: Subject,
    tail: Sequence[Group] = (),
    regions: Sequence[Group] = (),
    sentences: Sequence[str] = (),
) -> str:
    """The card as Markdown.

    Args:
        manifest: what results.json says.
        figures: what metrics.json says.
        subject: the model.
        tail: photographs by how many training photographs their taxon has, the fewest first.
        regions: photographs by where they were taken.
        sentences: the figures in words.
    """
    model = manifest["model"]
    facts = model.get("facts", {})
    card = card_of(model["name"], facts, subject.ranks, subject.languages, subject.contract)
    return render(
        replace(
            card,
            measured=_measured(manifest, figures),
            limitations=lines([*RISKS, *_limitations(figures, tail, regions)]),
            get_started=get_started("MODEL"),
            hyperparameters=card.hyperparameters or _told_by_the_bundle(facts),
            testing_data=_testing_data(manifest, figures),
            factors=_factors(tail, regions),
            metrics=lines(_METRICS),
            results=_results(figures, tail, regions),
            results_summary=" ".join(map(plain, sentences)) or _summary(card, figures),
            speed=_speed(manifest),
        )
    )


def _measured(manifest: Mapping[str, Any], figures: Mapping[str, Any]) -> Measured:
    found = [
        Figure(kind, called, figures.get(name))
        for kind, name, called in (
            ("accuracy", "top1", "Top-1"),
            ("accuracy", "top5", "Top-5"),
            ("accuracy", "macro_top1", "Top-1, mean over taxa"),
            ("average_precision", "average_precision", "Average precision, mean over taxa"),
            ("expected_calibration_error", "calibration_error", "Calibration error"),
        )
    ]
    return Measured(manifest["split"], manifest["catalog"]["fingerprint"], found)


def _limitations(
    figures: Mapping[str, Any], tail: Sequence[Group], regions: Sequence[Group]
) -> Iterable[str]:
    """What the figures say of its weak sides."""
    unknown = figures.get("unknown_taxa") or {}
    if unknown.get("taxa"):
        yield (
            f"It does not know {several(unknown['taxa'], 'taxon')} of the split: "
            f"{several(unknown['photographs'], 'photograph')} named wrong of necessity."
        )
    for groups, what in ((tail, "training photographs"), (regions, "places")):
        yield from _spread(groups, what)
    false = figures.get("false_names")
    if false is None:
        yield "Whether it leaves scenes without organisms unnamed was not measured."
    elif false["share"] is not None:
        scenes = several(false["scenes"], "scene")
        yield f"{percent(false['share'])} of {scenes} without organisms get a name."
    error, floor = figures.get("calibration_error"), figures.get("calibration_error_floor")
    if error is not None:
        least = "" if floor is None else f"; {floor:.3f} is as good as can be seen here"
        yield f"Its scores are off the share of right names by {error:.3f} in the mean{least}."


def _spread(groups: Sequence[Group], what: str) -> Iterable[str]:
    """The worst and the best of groups that are large enough to be told apart."""
    large = [g for g in groups if g.photographs >= _FEWEST and g.top1 is not None]
    if len(large) < 2:
        return
    worst, best = (pick(large, key=lambda group: group.top1 or 0.0) for pick in (min, max))
    yield (
        f"By {what} top-1 lies between {percent(worst.top1)} ({plain(worst.name)}) and "
        f"{percent(best.top1)} ({plain(best.name)})."
    )


def _told_by_the_bundle(facts: Mapping[str, Any]) -> str:
    if facts.get("kind") != "bundle":
        return ""
    return "The bundle's own MODEL_CARD.md tells how the model in it was trained."


def _testing_data(manifest: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    catalog = plain(manifest["catalog"]["fingerprint"])
    observations = figures.get("observations")
    of = f" of {several(observations, 'observation')}" if observations else ""
    return (
        f"{several(figures['n'], 'photograph')}{of}: the split `{plain(manifest['split'])}` of the "
        f"catalog with the fingerprint {catalog}."
    )


def _factors(tail: Sequence[Group], regions: Sequence[Group]) -> str:
    several_parts = {"training photographs": len(tail) > 1, "place": len(regions) > 1}
    broken_out = ["rank", *(name for name, there in several_parts.items() if there)]
    return f"By {', '.join(broken_out)}; by taxon and by group in the tables beside this card."


def _results(figures: Mapping[str, Any], tail: Sequence[Group], regions: Sequence[Group]) -> str:
    found = [table(("metric", "value", "95% interval"), _rows(figures))]
    for groups, head in ((tail, "training photographs"), (regions, "place")):
        there = [group for group in groups if group.photographs]
        if len(there) > 1:
            rows = [(plain(g.name), str(g.photographs), percent(g.top1)) for g in there]
            found.append(table((head, "photographs", "top-1"), rows))
    return "\n\n".join(found)


def _rows(figures: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Name, value and interval of each figure that metrics.json has."""
    bounds = figures.get("intervals") or {}
    for name, called in _SHARES.items():
        if name in figures:
            yield called, percent(figures[name]), _interval(bounds.get(name))
    for rank, share in (figures.get("ranks") or {}).items():
        of_rank = (bounds.get("ranks") or {}).get(rank)
        yield f"{plain(rank)}, rolled up", percent(share), _interval(of_rank)
    for part, name, called in _NESTED:
        if found := figures.get(part):
            interval = (bounds.get(part) or {}).get(name)
            yield called.format(**found), percent(found.get(name)), _interval(interval)
    for name, called, digits in _NUMBERS:
        if name in figures:
            yield called, _number(figures[name], digits), _between(bounds.get(name), digits)


def _interval(bounds: Mapping[str, float] | None) -> str:
    if not bounds:
        return "–"
    return f"{percent(bounds['low'])} to {percent(bounds['high'])}"


def _between(bounds: Mapping[str, float] | None, digits: int) -> str:
    if not bounds:
        return "–"
    return f"{bounds['low']:.{digits}f} to {bounds['high']:.{digits}f}"


def _number(value: float | None, digits: int) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"


def _summary(card: Card, figures: Mapping[str, Any]) -> str:
    return (
        f"{plain(card.name)} names {percent(figures.get('top1'))} of "
        f"{several(figures['n'], 'photograph')} right."
    )


def _speed(manifest: Mapping[str, Any]) -> str:
    threads = manifest["threads"]
    on = f" on {several(threads, 'thread')}" if threads else ""
    return (
        f"The model's file has {manifest['model']['bytes'] / 1e6:.2f} MB. One photograph takes "
        f"{manifest['median_latency_ms']:.1f} ms{on} in the median, its decoding not counted, on "
        "the machine that measured."
    )
