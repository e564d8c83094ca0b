from __future__ import annotations

import numpy as np
import pytest
from random_scores import WHITES, Model

from taxonvision.evaluation.metrics.accuracy import is_right
from taxonvision.evaluation.metrics.observations import accuracy_of_observations, places_of_truth


def test_observations_of_one_photograph_are_that_photograph(case, class_taxon_ids):
    classes = np.array(class_taxon_ids)
    truth, places = places_of_truth(case.kept, classes)
    assert truth.tolist() == case.truth.tolist()
    for top in (1, 2, 5):
        assert ((places < top) == is_right(case.kept, top)).all()


@pytest.mark.parametrize("concentration", [0.05, 0.5, 5.0])
def test_scores_are_averaged_as_by_hand(case_of, class_taxon_ids, concentration):
    rng = np.random.default_rng(2)
    observations = rng.integers(12, size=40)
    truth = rng.choice([*class_taxon_ids, 99], 12)[observations]
    full = rng.dirichlet(np.full(6, concentration), 40).astype(np.float32)
    full[full < 0.002] = 0  # so that what is not kept is nothing
    kept = case_of(full, truth, observations).kept
    found, places = places_of_truth(kept, np.array(class_taxon_ids))
    for number, first in zip(*np.unique(kept.observations, return_index=True), strict=True):
        mean = full[kept.observations == number].mean(axis=0, dtype=np.float64)
        assert found[number] == truth[first]
        if truth[first] == 99:
            assert places[number] > 6
            continue
        own = mean[class_taxon_ids.index(truth[first])]
        if own > 0:
            assert places[number] == (mean > own).sum()


def test_a_taxon_that_is_no_class_is_not_among_the_five_best_of_three():
    three = Model(WHITES.tree, (12, 13, 22))
    scores = three.keep([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]], [99, 12])
    found = accuracy_of_observations(scores, np.array(three.classes), replicates=0)
    assert is_right(scores, 5).tolist() == [False, True]
    assert (found.top1.value, found.top5.value) == (0, 0.5)


def test_two_photographs_can_be_right_where_one_is_not(case_of, class_taxon_ids):
    unsure, sure = [0.4, 0.6, 0, 0, 0, 0], [0.9, 0.1, 0, 0, 0, 0]
    scores = case_of([unsure, sure, [0, 0, 0, 1, 0, 0]], [12, 12, 22], ["a", "a", "b"]).kept
    assert is_right(scores).tolist() == [False, True, True]
    found = accuracy_of_observations(scores, np.array(class_taxon_ids), replicates=10)
    assert found.n == 2
    assert found.top1.value == found.top5.value == found.macro_top1.value == 1
    assert found.top1.interval.low < 1


def test_of_equal_scores_the_first_class_is_named(case_of, class_taxon_ids):
    even = [0.5, 0.5, 0, 0, 0, 0]
    scores = case_of([even, even, even, even], [12, 12, 13, 13], ["a", "a", "b", "b"]).kept
    found = accuracy_of_observations(scores, np.array(class_taxon_ids), replicates=0)
    assert (found.top1.value, found.top5.value) == (0.5, 1)
    assert found.top1.interval is None
