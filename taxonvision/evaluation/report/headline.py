"""The headline figures of a report, each with its interval and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from taxonvision.evaluation.metrics.distance import NOTHING_SHARED
from taxonvision.evaluation.report.page import counted, percent


@dataclass(frozen=True)
class Headline:
    """One figure as a card shows it.

    Attributes:
        name: of the figure.
        value: as it is read, `93.4%`.
        note: what it means, in half a sentence.
        low: the lower bound of its interval, None where there is none.
        high: the upper one.
        drawn: the figure on an axis from 0 to 1 (0 to `most` of its own unit), None where it has
            none.
        most: what the axis ends at.
        unit: of the bounds, "%" or "".
        floor: what it cannot be expected to fall below, None where it can.
    """

    name: str
    value: str
    note: str
    low: float | None = None
    high: float | None = None
    drawn: float | None = None
    most: float = 1.0
    unit: str = "%"
    floor: float | None = None

    @property
    def bounds(self) -> str:
        """The interval in words; "" without one."""
        if self.low is None or self.high is None:
            return ""
        if self.unit == "%":
            return f"{percent(self.low)} to {percent(self.high)}"
        return f"{self.low:.2f} to {self.high:.2f}"

    def at(self, value: float) -> str:
        """Where a value lies on the axis, from 0 to 100."""
        return f"{100 * min(max(value / self.most, 0), 1):.2f}"


def headlines(figures: Mapping[str, Any]) -> list[Headline]:
    """The cards of `metrics.json`; a figure that could not be measured has a dash."""
    ancestor = figures["common_ancestor"]
    score = ancestor["score"]
    cards = [
        _share(figures, "the first name is right", "Top 1", "top1"),
        _share(figures, "the right name is among the first five", "Top 5", "top5"),
        _share(figures, "top 1, every taxon counting alike", "Mean over taxa", "macro_top1"),
        _share(
            figures, "ranking of each taxon’s photographs", "Average precision", "average_precision"
        ),
        _share(
            figures,
            "of the photographs can be named with 95% right, the surest first",
            "Coverage at 95%",
            "coverage_at_95",
        ),
        _share(
            figures,
            f"of the common ancestors given are right (score above {score:g})",
            "Ancestor precision",
            "common_ancestor",
            "precision",
        ),
        _share(
            figures,
            "of the photographs get a right common ancestor",
            "Ancestor recall",
            "common_ancestor",
            "recall",
        ),
        _calibration(figures),
        _distance(figures),
    ]
    if figures["false_names"]:
        scenes = figures["false_names"]["scenes"]
        note = f"of {counted(scenes, 'scene')} without an organism would be given a name"
        cards.append(_share(figures, note, "False names", "false_names", "share"))
    return cards


def bounds_of(figures: Mapping[str, Any], *keys: str) -> tuple[float, float] | tuple[None, None]:
    """The interval of a figure, by the keys that lead to it."""
    value: Any = figures["intervals"]
    for key in keys:
        value = (value or {}).get(key)
    return (value["low"], value["high"]) if value else (None, None)


def _share(figures: Mapping[str, Any], note: str, name: str, *keys: str) -> Headline:
    value: Any = figures
    for key in keys:
        value = value[key]
    low, high = bounds_of(figures, *keys)
    return Headline(name, percent(value), note, low, high, value)


def _calibration(figures: Mapping[str, Any]) -> Headline:
    error, floor = figures["calibration_error"], figures["calibration_error_floor"]
    note = "between scores and how often they are right"
    if floor is not None:
        note += f"; {percent(floor)} would be chance"
    low, high = bounds_of(figures, "calibration_error")
    most = max(0.1, 1.25 * (high or error or 0))
    return Headline("Calibration error", percent(error), note, low, high, error, most, floor=floor)


def _distance(figures: Mapping[str, Any]) -> Headline:
    distance = figures["taxonomic_distance"]
    value = "–" if distance is None else f"{distance:.2f}"
    low, high = bounds_of(figures, "taxonomic_distance")
    note = "ranks up to what a mistake and the truth share"
    return Headline(
        "Distance of mistakes", value, note, low, high, distance, NOTHING_SHARED, unit=""
    )
