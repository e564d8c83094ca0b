"""Accuracy against the number of training photographs, as a figure of plotly."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from taxonvision.evaluation.metrics.breakdowns import TailAccuracy
from taxonvision.evaluation.metrics.by_taxon import TaxonAccuracy
from taxonvision.evaluation.report.charts import (
    PERCENT_AXIS,
    Figure,
    axis,
    dots,
    errors,
    percents,
    plain,
)
from taxonvision.evaluation.report.page import percent

_MOST_DOTS = 1500  # that a phone draws at once
_JITTER = 1.2  # points of percent: equal shares would hide each other
_NONE = 0.5  # where taxa without training photographs are drawn: logarithms have no 0


def tail_chart(by_taxon: Sequence[TaxonAccuracy], tail: Sequence[TailAccuracy]) -> Figure:
    """Each taxon that is a class, and all of about as many training photographs together."""
    taxa = [t for t in by_taxon if t.photographs and t.training_photographs is not None]
    numbers = [max(taxon.training_photographs or 0, _NONE) for taxon in taxa]
    low, high = min(numbers, default=1.0), max(numbers, default=1.0)
    ticks = _ticks(low, high)
    layout = {
        "xaxis": {
            **axis("training photographs of the taxon"),
            "type": "log",
            "tickvals": ticks,
            "ticktext": ["0" if tick == _NONE else f"{tick:,.0f}" for tick in ticks],
            "range": [math.log10(low / 1.5), math.log10(high * 1.5)],
        },
        "yaxis": {**axis("named right"), **PERCENT_AXIS, "range": [-3, 103]},
    }
    return {"data": [_taxa(_some(taxa)), _together(tail, numbers)], "layout": layout}


def _taxa(taxa: Sequence[TaxonAccuracy]) -> Figure:
    shift = np.random.default_rng(0).uniform(-_JITTER, _JITTER, len(taxa))
    shares = np.array([taxon.top1 for taxon in taxa], float)
    return {
        **dots(
            [max(taxon.training_photographs or 0, _NONE) for taxon in taxa],
            np.round(100 * shares + shift, 1).tolist(),
        ),
        "marker": {"color": "@bar", "opacity": 0.35, "size": 7, "line": {"width": 0}},
        "hovertext": [
            f"<b>{plain(taxon.name)}</b><br>{taxon.right} of {taxon.photographs} named right<br>"
            f"{taxon.training_photographs} training photographs"
            for taxon in taxa
        ],
        "hoverinfo": "text",
    }


def _together(tail: Sequence[TailAccuracy], numbers: Sequence[float]) -> Figure:
    """The classes of the tail, each drawn in the middle of its taxa."""
    filled = [each for each in tail if each.part.top1.value is not None]
    shares = np.array([each.part.top1.value for each in filled], float)
    bars = errors(shares, [each.part.top1.interval for each in filled])
    return {
        **dots([_middle(each, numbers) for each in filled], percents(shares)),
        "mode": "lines+markers",
        "line": {"color": "@ink", "width": 2},
        "marker": {"color": "@ink", "size": 9},
        "error_y": {**bars, "color": "@ink"},
        "hovertext": [
            f"{each.name} training photographs:<br>"
            f"{percent(value)} of {each.part.photographs} right"
            for each, value in zip(filled, shares.tolist(), strict=True)
        ],
        "hoverinfo": "text",
    }


def _middle(each: TailAccuracy, numbers: Sequence[float]) -> float:
    """The geometric mean of the training photographs of its taxa."""
    most = math.inf if each.most is None else max(each.most, _NONE)
    within = [number for number in numbers if max(each.least, _NONE) <= number <= most]
    return round(float(np.exp(np.log(within).mean())), 1)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers for an axis of logarithms, the fewer the longer it is."""
    steps = range(1, 10) if high / low < 10 else (1, 2, 5) if high / low < 1000 else (1,)
    decades = range(math.floor(math.log10(max(low, 1))), math.ceil(math.log10(high * 1.5)) + 1)
    ticks = [float(step * 10**decade) for decade in decades for step in steps]
    there = [tick for tick in ticks if low / 1.5 <= tick <= high * 1.5]
    return [_NONE, *there] if low == _NONE else there


def _some(taxa: Sequence[TaxonAccuracy]) -> Sequence[TaxonAccuracy]:
    """As many as can be drawn, the same ones each time."""
    if len(taxa) <= _MOST_DOTS:
        return taxa
    chosen = np.random.default_rng(0).choice(len(taxa), _MOST_DOTS, replace=False)
    return [taxa[i] for i in sorted(chosen.tolist())]
