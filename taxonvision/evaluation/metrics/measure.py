"""All figures of one model on the photographs of one split, from its kept scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.evaluation.bootstrap import REPLICATES, Estimate, Resampling
from taxonvision.evaluation.calibration import expected_calibration_error
from taxonvision.evaluation.metrics.accuracy import (
    accuracy_of_ranks,
    best_classes,
    best_of_ranks,
    best_scores,
    is_right,
)
from taxonvision.evaluation.metrics.average_precision import AveragePrecision
from taxonvision.evaluation.metrics.breakdowns import (
    RegionAccuracy,
    TailAccuracy,
    accuracy_of_regions,
    accuracy_of_tail,
)
from taxonvision.evaluation.metrics.by_group import GroupAccuracy, accuracy_of_groups
from taxonvision.evaluation.metrics.by_taxon import TaxonAccuracy, accuracy_of_taxa, count_by_taxon
from taxonvision.evaluation.metrics.common_ancestor import AncestorCurve, CommonAncestors
from taxonvision.evaluation.metrics.coverage import Coverage, CoverageCurve
from taxonvision.evaluation.metrics.distance import Distances
from taxonvision.evaluation.metrics.false_names import are_named
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.metrics.observations import accuracy_of_observations
from taxonvision.evaluation.metrics.reliability import (
    ErrorByChance,
    ReliabilityBin,
    error_by_chance,
    reliability,
)
from taxonvision.evaluation.results import Results
from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.progress import working

_PRECISION = 0.95  # of what is answered, for the coverage


@dataclass(frozen=True)
class Evaluation:
    """What is measured of one model.

    Attributes:
        figures: what `metrics.json` holds: fractions of 1 and counts, None where a figure cannot be
            measured; `intervals` has the same keys, with `low` and `high` or None.
        by_taxon: all taxa with photographs and all classes, by name.
        groups: all nodes above them that have photographs, the highest ranks first.
        tail: by the number of training photographs.
        regions: by region, most photographs first.
        ancestors: precision and recall of common ancestors at every score.
        coverage: the share that is answered and the share of it that is right.
        reliability: scores and the shares that are right, in bins.
        by_chance: calibration errors of a perfectly calibrated model on as many photographs.
        named_scenes: bool [m], the scenes that an app would name; None where there are none.
    """

    figures: Mapping[str, Any]
    by_taxon: Sequence[TaxonAccuracy]
    groups: Sequence[GroupAccuracy]
    tail: Sequence[TailAccuracy]
    regions: Sequence[RegionAccuracy]
    ancestors: AncestorCurve
    coverage: CoverageCurve
    reliability: Sequence[ReliabilityBin]
    by_chance: ErrorByChance
    named_scenes: np.ndarray | None


@dataclass(frozen=True)
class _Photographs:
    """The photographs of results, and what all figures of them are made from.

    Attributes:
        truth: int64 [n], taxon ids.
        named: int64 [n], the best classes' taxon ids.
        right: bool [n], whether they are the truth.
        confidence: float64 [n], the best classes' scores.
        best: by rank the best node of each, int64 [n].
        by_chance: calibration errors with these scores where nothing is wrong with them.
        lineages: of the true taxa.
        resampling: of their observations.
    """

    truth: np.ndarray
    named: np.ndarray
    right: np.ndarray
    confidence: np.ndarray
    best: Mapping[str, np.ndarray]
    by_chance: ErrorByChance
    lineages: Lineages
    resampling: Resampling


def measure(results: Results, replicates: int = REPLICATES) -> Evaluation:
    """Measure everything, with intervals from so many replicates of the observations."""
    scores, tree, known = results.scores, results.taxonomy, results.known
    with working("naming photographs at all ranks"):
        photographs = _photographs(results, replicates)
    truth, right, resampling = photographs.truth, photographs.right, photographs.resampling
    counts = count_by_taxon(truth, scores.observations, right)
    with working("measuring accuracy along the tree"):
        by_taxon = accuracy_of_taxa(counts, truth, photographs.named, known, tree)
        groups = accuracy_of_groups(
            counts, truth, photographs.best, known, tree, photographs.lineages
        )
    with working("measuring accuracy by region and by training photographs"):
        places = scores.photographs.latitudes, scores.photographs.longitudes
        regions = accuracy_of_regions(*places, truth, right, resampling)
        tail = accuracy_of_tail(truth, right, known, resampling)
    with working("looking for common ancestors"):
        ancestors = CommonAncestors.of(scores, tree, known.taxon_ids.tolist(), results.thresholds)
    named_scenes = _named_scenes(results)
    figures = _figures(results, photographs, ancestors, replicates)
    figures["false_names"] = _false_names(results, named_scenes, replicates)
    return Evaluation(
        figures=_as_json(figures),
        by_taxon=by_taxon,
        groups=groups,
        tail=tail,
        regions=regions,
        ancestors=ancestors.curve(),
        coverage=Coverage.of(photographs.confidence, right).curve(),
        reliability=reliability(photographs.confidence, right),
        by_chance=photographs.by_chance,
        named_scenes=named_scenes,
    )


def _photographs(results: Results, replicates: int) -> _Photographs:
    scores, tree = results.scores, results.taxonomy
    lineages = Lineages.of(tree, scores.truth)
    ranks = sorted({tree[t].rank for t in lineages.node_ids.tolist() if t in tree})
    confidence = best_scores(scores).astype(np.float64)
    return _Photographs(
        truth=scores.truth,
        named=best_classes(scores),
        right=is_right(scores),
        confidence=confidence,
        best=best_of_ranks(scores, tree, ranks),
        by_chance=error_by_chance(confidence),
        lineages=lineages,
        resampling=Resampling(scores.observations, replicates),
    )


def _figures(
    results: Results, photographs: _Photographs, ancestors: CommonAncestors, replicates: int
) -> dict[str, Any]:
    """The figures by name; `Estimate` is one that has an interval."""
    scores, known = results.scores, results.known
    truth, right, resampling = photographs.truth, photographs.right, photographs.resampling
    with working("measuring accuracy"):
        figures: dict[str, Any] = {
            "n": len(scores),
            "observations": resampling.observations,
            "top1": resampling.share(right),
            "top5": resampling.share(is_right(scores, 5)),
            "macro_top1": resampling.macro(right, truth),
            "ranks": accuracy_of_ranks(
                truth, photographs.best, results.taxonomy, photographs.lineages, resampling
            ),
        }
    with working("measuring average precision"):
        figures["average_precision"] = resampling.fraction(AveragePrecision.of(scores).mean)
    with working("measuring how far off mistakes are"):
        figures["taxonomic_distance"] = _distance(results, photographs)
        figures["common_ancestor"] = _common_ancestor(results, photographs, ancestors)
    with working("measuring calibration and coverage"):
        figures |= _of_confidence(photographs)
    with working("measuring accuracy by observation"):
        by_observation = accuracy_of_observations(scores, known.taxon_ids, replicates)
        figures["by_observation"] = vars(by_observation)
    figures["unknown_taxa"] = _unknown_taxa(truth, known.taxon_ids)
    figures["most_frequent"] = _most_frequent(truth)
    return figures


def _distance(results: Results, photographs: _Photographs) -> Estimate:
    """The mean over the mistakes; where all are as far off, there is no telling how sure it is."""
    distances = Distances.of(results.taxonomy, photographs.truth, photographs.named)
    interval = photographs.resampling.interval(distances.mean)
    has_width = interval is not None and interval.low < interval.high
    return Estimate(distances.mean(), interval if has_width else None)


def _common_ancestor(
    results: Results, photographs: _Photographs, ancestors: CommonAncestors
) -> dict[str, Any]:
    score = results.thresholds.ancestor_score
    answers = ancestors.at(score)
    answered = answers != NO_TAXON
    right = photographs.lineages.hold(photographs.truth, answers)
    return {
        "score": score,
        "precision": photographs.resampling.among(answered).share(right[answered]),
        "recall": photographs.resampling.share(right),
    }


def _of_confidence(photographs: _Photographs) -> dict[str, Any]:
    """Calibration and coverage, both of the best class's score."""
    confidence, right = photographs.confidence, photographs.right
    coverage = Coverage.of(confidence, right)
    return {
        "calibration_error": photographs.resampling.fraction(
            lambda weights: expected_calibration_error(confidence, right, weights=weights)
        ),
        "calibration_error_floor": photographs.by_chance.mean,
        "coverage_at_95": photographs.resampling.fraction(
            lambda weights: coverage.at(_PRECISION, weights)
        ),
    }


def _named_scenes(results: Results) -> np.ndarray | None:
    if results.scenes is None:
        return None
    classes = results.known.taxon_ids.tolist()
    return are_named(results.scenes, results.taxonomy, classes, results.thresholds)


def _false_names(
    results: Results, named_scenes: np.ndarray | None, replicates: int
) -> dict[str, Any] | None:
    if results.scenes is None or named_scenes is None:
        return None
    resampling = Resampling(results.scenes.observations, replicates)
    return {"scenes": len(named_scenes), "share": resampling.share(named_scenes)}


def _unknown_taxa(truth: np.ndarray, class_taxon_ids: np.ndarray) -> dict[str, int]:
    """The taxa that the model cannot name."""
    unknown = truth[~np.isin(truth, class_taxon_ids)]
    return {"taxa": len(np.unique(unknown)), "photographs": len(unknown)}


def _most_frequent(truth: np.ndarray) -> dict[str, Any]:
    """The best that a guess can do which is the same for every photograph."""
    taxa, photographs = np.unique(truth, return_counts=True)
    if not len(taxa):
        return {"taxon_id": None, "share": None}
    most = int(photographs.argmax())
    return {"taxon_id": int(taxa[most]), "share": float(photographs[most] / len(truth))}


def _as_json(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {**_values(figures), "intervals": _intervals(figures)}


def _values(figure: Any) -> Any:
    if isinstance(figure, Mapping):
        return {name: _values(each) for name, each in figure.items()}
    if isinstance(figure, Estimate):
        return _values(figure.value)
    return None if isinstance(figure, float) and not math.isfinite(figure) else figure


def _intervals(figure: Any) -> Any:
    if isinstance(figure, Mapping):
        return {name: _intervals(each) for name, each in figure.items()}
    if isinstance(figure, Estimate) and figure.interval:
        return {"low": figure.interval.low, "high": figure.interval.high}
    return None
