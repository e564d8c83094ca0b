from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from taxonvision.evaluation.metrics.measure import Evaluation, measure

KEYS = {
    *("n", "observations", "top1", "top5", "macro_top1", "ranks", "average_precision"),
    *("taxonomic_distance", "common_ancestor", "calibration_error", "calibration_error_floor"),
    *("coverage_at_95", "false_names", "by_observation", "unknown_taxa", "most_frequent"),
}
RAPAE, NAPI, MACHAON = np.eye(6)[[0, 1, 3]]


def pairs(figures, intervals, name=""):
    """Every number of nested figures with its name and its interval."""
    if isinstance(figures, dict):
        for key, value in figures.items():
            yield from pairs(value, None if intervals is None else intervals[key], f"{name}.{key}")
    else:
        yield name.removeprefix("."), figures, intervals


def check(evaluation: Evaluation) -> None:
    """What holds whatever is measured."""
    figures = dict(evaluation.figures)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures
    intervals = figures.pop("intervals")
    assert set(figures) == set(intervals) == KEYS
    for name, value, interval in pairs(figures, intervals):
        if interval is None:
            continue
        assert interval["low"] < interval["high"], name
        if name != "taxonomic_distance":
            assert interval["low"] >= 0, name
            assert interval["high"] <= 1, name
            assert 0 <= value <= 1, name
    for name in ("top1", "top5", "macro_top1"):
        low, high = intervals[name]["low"], intervals[name]["high"]
        assert low <= figures[name] <= high
    known = [taxon for taxon in evaluation.by_taxon if taxon.photographs]
    assert sum(taxon.photographs for taxon in known) == figures["n"]
    assert sum(taxon.right for taxon in known) == pytest.approx(figures["top1"] * figures["n"])
    assert np.mean([taxon.top1 for taxon in known]) == pytest.approx(figures["macro_top1"])
    assert sum(region.part.photographs for region in evaluation.regions) == figures["n"]


def test_all_figures_of_mixed_photographs(case, class_taxon_ids, results_of):
    scenes = np.full((3, 6), 0.01)
    evaluation = measure(results_of(case.full, case.truth, scenes=scenes), replicates=30)
    check(evaluation)
    figures = evaluation.figures
    unknown = case.truth == 99
    assert figures["unknown_taxa"] == {"taxa": 1, "photographs": int(unknown.sum())}
    assert figures["false_names"]["scenes"] == 3
    taxon_id, share = figures["most_frequent"].values()
    assert share == max((case.truth == t).mean() for t in [*class_taxon_ids, 99])
    assert share == (case.truth == taxon_id).mean()


def test_the_perfect_model(results_of):
    full = [RAPAE, NAPI, MACHAON, MACHAON]
    evaluation = measure(results_of(full, [12, 13, 22, 22]), replicates=20)
    check(evaluation)
    figures = evaluation.figures
    for name in ("top1", "top5", "macro_top1", "average_precision", "coverage_at_95"):
        assert figures[name] == 1
    assert figures["ranks"] == {"species": 1, "genus": 1, "family": 1}
    assert figures["calibration_error"] == 0
    assert figures["taxonomic_distance"] is figures["intervals"]["taxonomic_distance"] is None
    assert figures["common_ancestor"] == {"score": 0.78, "precision": 1, "recall": 1}
    assert figures["by_observation"] == {"n": 4, "top1": 1, "top5": 1, "macro_top1": 1}
    assert figures["intervals"]["top1"]["low"] == pytest.approx(4 / (4 + 1.96**2), abs=1e-4)


def test_the_model_that_is_always_wrong(results_of):
    evaluation = measure(results_of([MACHAON, MACHAON, RAPAE], [12, 13, 22]), replicates=20)
    check(evaluation)
    figures = evaluation.figures
    for name in ("top1", "macro_top1", "coverage_at_95"):
        assert figures[name] == 0
    assert figures["ranks"] == {"species": 0, "genus": 0, "family": 0}
    assert figures["taxonomic_distance"] == 3  # another family of the same order
    assert figures["calibration_error"] == 1
    assert figures["common_ancestor"]["precision"] == 0


@pytest.mark.parametrize("truth", [12, 22, 99, 30, 1])
def test_one_photograph(results_of, truth):
    evaluation = measure(results_of([RAPAE], [truth]), replicates=20)
    check(evaluation)
    assert evaluation.figures["n"] == evaluation.figures["observations"] == 1
    assert evaluation.figures["top1"] == (truth == 12)
    assert evaluation.figures["intervals"]["top1"] is not None


def test_one_taxon_on_several_photographs_of_one_observation(results_of):
    results = results_of([RAPAE, NAPI, RAPAE], [12, 12, 12], ["walk"] * 3)
    evaluation = measure(results, replicates=20)
    check(evaluation)
    figures = evaluation.figures
    assert (figures["n"], figures["observations"]) == (3, 1)
    assert figures["top1"] == figures["macro_top1"] == pytest.approx(2 / 3)
    assert figures["by_observation"]["top1"] == 1
    assert figures["most_frequent"] == {"taxon_id": 12, "share": 1}
    low, high = figures["intervals"]["top1"].values()
    assert low < 0.2  # one observation tells next to nothing
    assert high > 0.9


def test_without_replicates_there_are_no_intervals(results_of):
    figures = measure(results_of([RAPAE, MACHAON], [12, 12]), replicates=0).figures
    assert {interval for _, _, interval in pairs(figures["intervals"], None)} == {None}
    assert all(value is None for _, value, _ in pairs(figures["intervals"], None))
    assert figures["top1"] == 0.5


def test_the_same_results_give_the_same_figures(case, results_of):
    first, again = (
        measure(results_of(case.full, case.truth), replicates=10).figures for _ in range(2)
    )
    assert first == again


def test_the_app_s_own_score_is_asked_of_common_ancestors(results_of):
    unsure = [0.45, 0.4, 0, 0.15, 0, 0]  # Pieris: 0.85
    results = results_of([unsure], [12])
    lenient, strict = (
        replace(results, thresholds=replace(results.thresholds, ancestor_score=score))
        for score in (0.8, 0.9)
    )
    assert measure(lenient, 0).figures["common_ancestor"]["recall"] == 1
    none = measure(strict, 0).figures["common_ancestor"]
    assert none == {"score": 0.9, "precision": None, "recall": 0}
