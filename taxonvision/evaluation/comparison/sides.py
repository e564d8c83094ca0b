"""One model of a comparison, on the photographs that all models have."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.calibration import expected_calibration_error
from taxonvision.evaluation.comparison.comparison import Model
from taxonvision.evaluation.comparison.flips import best_among
from taxonvision.evaluation.comparison.paired import Named
from taxonvision.evaluation.intervals import share
from taxonvision.evaluation.metrics.accuracy import best_classes, best_scores
from taxonvision.evaluation.metrics.by_taxon import name_of
from taxonvision.evaluation.metrics.character import remarks
from taxonvision.evaluation.results import Results
from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Side:
    """One model on the n photographs that all have.

    Attributes:
        model: what is told of it.
        results: its results, of all their photographs.
        scores: what it says of the n photographs.
        named: int64 [n], its best classes.
    """

    model: Model
    results: Results
    scores: Scores
    named: np.ndarray


def side_of(
    name: str,
    results: Results,
    scores: Scores,
    left_out: int,
    taxonomy: Taxonomy,
    resampling: Resampling,
) -> Side:
    """The side of a model.

    Args:
        name: what it is called.
        results: its results.
        scores: those of the photographs that all have.
        left_out: how many others it has.
        taxonomy: the trees of all models together.
        resampling: of the photographs that all have.
    """
    named = best_classes(scores)
    right = named == scores.truth
    manifest = results.manifest
    called = partial(name_of, taxonomy)
    size = _positive(manifest["model"].get("bytes"))
    model = Model(
        name=name,
        classes=len(results.known.taxon_ids),
        bytes=None if size is None else int(size),
        median_latency_ms=_positive(manifest["median_latency_ms"]),
        threads=int(manifest["threads"]),
        top1=float(right.mean()),
        top1_interval=resampling.share(right).interval or share(int(right.sum()), len(right)),
        calibration_error=expected_calibration_error(best_scores(scores), right),
        left_out=left_out,
        remarks=remarks(name, scores.truth, named, scores.observations, called),
    )
    return Side(model, results, scores, named)


def among(ours: Side, side: Side, taxa: np.ndarray) -> tuple[Named, np.ndarray]:
    """What both name among some taxa on their photographs, and which those are, bool [n]."""
    chosen = np.isin(ours.scores.truth, taxa)
    reference, candidate = (best_among(each.scores, taxa)[chosen] for each in (ours, side))
    return Named(ours.scores.truth[chosen], reference, candidate), chosen


def _positive(value: Any) -> float | None:
    """A number that was measured; None for what is none."""
    return float(value) if isinstance(value, (int, float)) and 0 < value < np.inf else None
