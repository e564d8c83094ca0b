"""The tables and curves of an evaluation as CSV, for people and their spreadsheets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from taxonvision.evaluation.bootstrap import Estimate
from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.breakdowns import Part
from taxonvision.evaluation.metrics.by_group import GroupAccuracy
from taxonvision.evaluation.metrics.by_taxon import TaxonAccuracy
from taxonvision.evaluation.metrics.measure import Evaluation
from taxonvision.storage import write_json
from taxonvision.tables import write_csv

METRICS = "metrics.json"
_SHARE = ("top1", "low", "high")
_COUNTS = ("photographs", "observations")
_PART = ("taxa", *_COUNTS, *_SHARE, "macro_top1", "macro_low", "macro_high")
_TAXA = (
    *("taxon_id", "name", "training_photographs", *_COUNTS, "right", *_SHARE),
    *("most_often_named", "most_often_named_id", "times_named"),
)
_GROUPS = (
    *("taxon_id", "parent_taxon_id", "rank", "name", "taxa", "training_photographs"),
    *(*_COUNTS, *_SHARE, "at_node", "at_node_low", "at_node_high"),
)


def write_tables(folder: Path, evaluation: Evaluation) -> None:
    """Write metrics.json, taxa.csv, groups.csv, tail.csv, regions.csv and the curves' CSVs.

    Shares are fractions of 1 with four digits; what cannot be measured is an empty cell.
    """
    write_json(folder / METRICS, evaluation.figures)
    names = {taxon.taxon_id: taxon.name for taxon in evaluation.by_taxon}
    write_csv(folder / "taxa.csv", _TAXA, (_taxon(t, names) for t in evaluation.by_taxon))
    write_csv(folder / "groups.csv", _GROUPS, map(_group, evaluation.groups))
    write_csv(
        folder / "tail.csv",
        ("training_photographs", "classes", *_PART),
        ([each.name, each.classes, *_part(each.part)] for each in evaluation.tail),
    )
    write_csv(
        folder / "regions.csv",
        ("region", *_PART),
        ([each.name, *_part(each.part)] for each in evaluation.regions),
    )
    curve, ancestors = evaluation.coverage, evaluation.ancestors
    write_csv(
        folder / "coverage_curve.csv",
        ("score", "coverage", "precision"),
        map(_digits, zip(curve.scores, curve.coverages, curve.precisions, strict=True)),
    )
    write_csv(
        folder / "ancestor_curve.csv",
        ("score", "precision", "recall"),
        map(_digits, zip(ancestors.scores, ancestors.precisions, ancestors.recalls, strict=True)),
    )
    write_csv(
        folder / "reliability.csv",
        ("score_from", "score_to", "photographs", "mean_score", "right", "low", "high"),
        (
            [
                *_digits((each.low, each.high)),
                each.photographs,
                *_digits((each.mean_score, each.right)),
                *_bounds(each.interval),
            ]
            for each in evaluation.reliability
        ),
    )


def _taxon(taxon: TaxonAccuracy, names: Mapping[int, str]) -> list[object]:
    other = taxon.most_often_named
    return [
        taxon.taxon_id,
        taxon.name,
        taxon.training_photographs,
        taxon.photographs,
        taxon.observations,
        taxon.right,
        _share(taxon.top1),
        *_bounds(taxon.interval),
        None if other is None else names[other],
        other,
        taxon.times_named or None,
    ]


def _group(group: GroupAccuracy) -> list[object]:
    return [
        group.taxon_id,
        group.parent_taxon_id,
        group.rank,
        group.name,
        group.taxa,
        group.training_photographs,
        group.photographs,
        group.observations,
        _share(group.top1),
        *_bounds(group.interval),
        _share(group.at_node),
        *_bounds(group.interval_at_node),
    ]


def _part(part: Part) -> list[object]:
    return [
        part.taxa,
        part.photographs,
        part.observations,
        *_estimate(part.top1),
        *_estimate(part.macro_top1),
    ]


def _estimate(estimate: Estimate) -> list[str | None]:
    return [_share(estimate.value), *_bounds(estimate.interval)]


def _bounds(interval: Interval | None) -> list[str | None]:
    return [None, None] if interval is None else [_share(interval.low), _share(interval.high)]


def _digits(values: Iterable[float]) -> list[str | None]:
    return [_share(value) for value in values]


def _share(value: float | None) -> str | None:
    return None if value is None or math.isnan(value) else f"{value:.4f}"
