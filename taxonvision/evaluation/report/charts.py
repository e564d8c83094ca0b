"""The curves of a report as figures of plotly, which are plain JSON.

Colours are given by role, as `@bar`: the page puts in those of its light, dark or printed look.
Figures are in percent. No trace of maps or WebGL: they fetch or compile what a page that opens
offline, under a strict policy, may not.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.common_ancestor import AncestorCurve
from taxonvision.evaluation.metrics.coverage import CoverageCurve
from taxonvision.evaluation.metrics.reliability import ReliabilityBin
from taxonvision.text import percent

Figure = Mapping[str, Any]
PERCENT_AXIS: Figure = {"ticksuffix": "%", "range": [0, 101], "dtick": 20}

_SEEN = 0.005  # a share that is no share of 0 when it is rounded
_ROOM = 0.35  # of the axis, which a name needs on its left


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Figure:
    """How often names of each score are right, and how many there are of each."""
    confidences = np.array([each.mean_score for each in bins])
    accuracies = np.array([each.right for each in bins])
    counts = np.array([each.photographs for each in bins])
    bounds = [each.interval for each in bins]
    line = {
        **dots(percents(confidences), percents(accuracies)),
        "mode": "lines+markers",
        "line": {"color": "@bar", "width": 1},
        "error_y": errors(accuracies, bounds),
        "customdata": counts.tolist(),
        "hovertemplate": "score %{x:.1f}%: %{y:.1f}% right<br>%{customdata} photographs"
        "<extra></extra>",
    }
    diagonal = {
        "type": "scatter",
        "x": [0, 100],
        "y": [0, 100],
        "mode": "lines",
        "line": {"color": "@soft", "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    share_of = counts / max(counts.sum(), 1)
    bars = {
        "type": "bar",
        "x": percents(confidences),
        "y": percents(share_of),
        "yaxis": "y2",
        "width": 3,
        "marker": {"color": "@soft", "opacity": 0.5},
        "customdata": counts.tolist(),
        "hovertemplate": "%{customdata} photographs<extra></extra>",
    }
    layout = {
        "xaxis": {**axis("score of the name"), **PERCENT_AXIS, "anchor": "y2"},
        "yaxis": {**axis("right"), **PERCENT_AXIS, "domain": [0.24, 1]},
        "yaxis2": {**axis("photographs"), "domain": [0, 0.16], "nticks": 3, "ticksuffix": "%"},
    }
    return {"data": [diagonal, bars, line], "layout": layout}


def coverage_chart(answered: CoverageCurve, at_95: float | None) -> Figure:
    """Answering only the surest photographs: the share answered, and how much of it is right."""
    curve = {
        "type": "scatter",
        "x": percents(answered.coverages),
        "y": percents(answered.precisions),
        "customdata": np.round(answered.scores, 3).tolist(),
        "mode": "lines",
        "line": {"color": "@bar", "width": 2.5},
        "hovertemplate": "the surest %{x:.0f}%: %{y:.1f}% right<br>score %{customdata} or more"
        "<extra></extra>",
    }
    traces: list[Figure] = [curve]
    if at_95 and at_95 >= _SEEN:
        traces.append({**dots([100 * at_95], [95]), **_named(f"{percent(at_95)} at 95%", at_95)})
    layout = {
        "xaxis": {**axis("photographs answered, the surest first"), **PERCENT_AXIS},
        "yaxis": {**axis("right among them"), **_from_the_lowest(answered.precisions)},
        "shapes": [_level(0.95)],
    }
    return {"data": traces, "layout": layout}


def ancestor_chart(
    ancestors: AncestorCurve, score: float, precision: float | None, recall: float | None
) -> Figure:
    """Precision and recall of common ancestors at every score, and at the one of the apps."""
    given = np.isfinite(ancestors.precisions)
    precisions, recalls = ancestors.precisions[given], ancestors.recalls[given]
    curve = {
        "type": "scatter",
        "x": percents(recalls),
        "y": percents(precisions),
        "customdata": np.round(ancestors.scores[given], 3).tolist(),
        "mode": "lines",
        "line": {"color": "@bar", "width": 2.5},
        "hovertemplate": "score above %{customdata}<br>precision %{y:.1f}%, recall %{x:.1f}%"
        "<extra></extra>",
    }
    traces: list[Figure] = [curve]
    if precision is not None and recall is not None:
        traces.append(
            {
                **dots([100 * recall], [100 * precision]),
                **_named(f"the apps: score > {score:g}", recall),
            }
        )
    layout = {
        "xaxis": {**axis("recall: photographs with a right one"), **_from_the_lowest(recalls)},
        "yaxis": {**axis("precision"), **_from_the_lowest(precisions)},
    }
    return {"data": traces, "layout": layout}


def plain(text: str) -> str:
    """Text for plotly, which takes some tags in labels for markup."""
    return html.escape(text, quote=False)


def dots(x: list[float], y: list[float]) -> dict[str, Any]:
    """Points of a figure, in percent."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": y,
        "marker": {"color": "@bar", "size": 9},
        "cliponaxis": False,
    }


def _named(text: str, x: float) -> Figure:
    """A name for the point at a share, on the side where there is room."""
    return {
        "mode": "markers+text",
        "text": [text],
        "textposition": "bottom left" if x > _ROOM else "bottom right",
        "hoverinfo": "skip",
        "marker": {"color": "@ink", "size": 10},
    }


def errors(values: np.ndarray, bounds: Sequence[Interval | None]) -> dict[str, Any]:
    """Bars from the lower to the upper bound of each share."""
    pairs = list(zip(bounds, values.tolist(), strict=True))
    above = [100 * (bound.high - value) if bound else 0 for bound, value in pairs]
    below = [100 * (value - bound.low) if bound else 0 for bound, value in pairs]
    return {
        "type": "data",
        "symmetric": False,
        "array": [round(max(x, 0), 2) for x in above],
        "arrayminus": [round(max(x, 0), 2) for x in below],
        "color": "@bar",
        "thickness": 1.2,
        "width": 0,
    }


def _level(share: float) -> Figure:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": 100 * share,
        "y1": 100 * share,
        "layer": "below",
        "line": {"color": "@soft", "width": 1, "dash": "dot"},
    }


def _from_the_lowest(shares: np.ndarray) -> Figure:
    """An axis from the tenth below all shares, but never a narrow one, up to 100 %."""
    lowest = min(0.8, float(np.min(shares, initial=1.0)))
    return {"ticksuffix": "%", "range": [100 * math.floor(10 * lowest + 1e-9) / 10, 101]}


def axis(title: str) -> dict[str, Any]:
    """An axis with a title."""
    return {"title": {"text": title, "standoff": 8}}


def percents(shares: Any) -> list[float]:
    """Shares as percents, which hover texts and axes show."""
    return np.round(100 * np.asarray(shares, float), 2).tolist()
