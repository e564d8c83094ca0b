from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.calibration import expected_calibration_error
from taxonvision.evaluation.comparison.changes import (
    change_of_calibration,
    changes_by_rank,
    changes_by_training,
)
from taxonvision.evaluation.comparison.paired import Named
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.evaluation.scores import Labelled, Ragged, Scores
from taxonvision.taxonomy.tree import Taxon, Taxonomy

CLASSES = [12, 13, 11, 22, 23, 30]
KNOWN = KnownTaxa(np.array(CLASSES), np.array([5, 5, 0, 15, 2000, 60]))


def naming(*taxa):
    """Scores [n, 6] that are 0.9 for the taxon of each photograph."""
    return [[0.9 if taxon == best else 0.02 for taxon in CLASSES] for best in taxa]


def test_ranks_by_hand(case_of, tree):
    truth = [12, 12, 22, 30]
    reference = case_of(naming(12, 12, 22, 30), truth).kept
    candidate = case_of(naming(13, 22, 22, 30), truth).kept
    found = changes_by_rank((reference, candidate), (tree, tree), Resampling(np.arange(4)))
    assert {c.rank: (c.photographs, c.top1.reference, c.top1.candidate) for c in found} == {
        "species": (3, 1, 1 / 3), "genus": (3, 1, 2 / 3), "family": (4, 1, 3 / 4),
    }  # fmt: skip


def test_each_is_judged_by_its_own_tree(case_of, tree):
    """Where a species was moved, to name its old genus is no mistake of the old release."""
    moved = Taxonomy(
        Taxon.of_rank(12, 21, "species", "Papilio rapae") if t.taxon_id == 12 else t for t in tree
    )
    truth = [12, 12, 22]
    scores = case_of(naming(13, 12, 22), truth).kept
    found = changes_by_rank((scores, scores), (tree, moved), Resampling(np.arange(3)))
    genus = next(change for change in found if change.rank == "genus")
    # `inner` was rolled up by the old tree: the second says Pieris of both photographs of 12.
    assert (genus.top1.reference, genus.top1.candidate) == (1, 1 / 3)


def test_a_rank_of_one_taxon_is_not_told(case_of, tree):
    scores = case_of(naming(12, 12), [12, 12]).kept
    assert changes_by_rank((scores, scores), (tree, tree), Resampling(np.arange(2))) == ()


def test_training_photographs_by_hand():
    truth = np.array([12, 13, 11, 22, 22, 23])
    named = Named(truth, truth, np.array([12, 12, 11, 12, 22, 23]))
    found = changes_by_training(named, KNOWN, Resampling(np.arange(6)))
    assert [(c.least, c.most, c.taxa, c.photographs) for c in found] == [
        (0, 0, 1, 1), (1, 9, 2, 2), (10, 19, 1, 2), (1000, None, 1, 1),
    ]  # fmt: skip
    assert [c.top1.difference for c in found] == [0, -1 / 2, -1 / 2, 0]
    assert [c.p for c in found] == [1, 1, 1, 1]  # of one flip either way is as likely
    many = Named(np.full(12, 12), np.full(12, 12), np.repeat([12, 13], 6))
    (found,) = changes_by_training(many, KNOWN, Resampling(np.arange(12)))
    assert found.p == pytest.approx(2 / 2**6)
    assert found.beyond_chance


def test_no_shared_taxon_has_no_tail():
    nothing = np.zeros(0, np.int64)
    assert changes_by_training(Named(nothing, nothing, nothing), KNOWN, Resampling(nothing)) == ()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_calibration_errors_and_their_difference(seed):
    rng = np.random.default_rng(seed)
    n = 40
    observations = rng.integers(12, size=n)
    sides = [(rng.random(n), rng.random(n) < 0.5) for _ in range(2)]
    scores = [_with_best_scores(sure) for sure, _ in sides]
    resampling = Resampling(observations, 50)
    errors = tuple(expected_calibration_error(s.astype(np.float32), right) for s, right in sides)
    found = change_of_calibration(errors, scores, [right for _, right in sides], resampling)
    assert (found.reference, found.candidate) == errors

    def difference(weights):
        one, other = (
            expected_calibration_error(s.astype(np.float32), right, weights=weights)
            for s, right in sides
        )
        return other - one

    drawn = [difference(weights) for weights in resampling.weights()]
    low, high = np.percentile(drawn, (2.5, 97.5)) - np.mean(drawn) + difference(None)
    assert found.interval.low == pytest.approx(low, abs=1e-6)
    assert found.interval.high == pytest.approx(high, abs=1e-6)


def _with_best_scores(sure):
    n = len(sure)
    ids = np.full(n, 12)
    best = Ragged(np.arange(n + 1), ids, sure.astype(np.float32))
    nothing = np.zeros(n, np.float32)
    return Scores(Labelled.of([str(i) for i in range(n)], ids), nothing, best, best, nothing)
