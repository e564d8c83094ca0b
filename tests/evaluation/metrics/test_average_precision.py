"""Average precision is that of scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import WHITES, random_scores
from sklearn.metrics import average_precision_score

from taxonvision.evaluation.metrics import average_precision as module
from taxonvision.evaluation.metrics.average_precision import AveragePrecision
from taxonvision.evaluation.scores import NO_TAXON

SEEDS = st.integers(0, 2**32 - 1)


def dense(scores, taxon_ids) -> np.ndarray:
    """The kept scores, and those of the truth, float64 [n, T]."""
    table = np.zeros((len(scores), len(taxon_ids)))
    kept = scores.classes
    for photo, taxon, score in zip(kept.photographs, kept.taxon_ids, kept.scores, strict=True):
        table[photo, taxon_ids == taxon] = score
    for photo, (taxon, score) in enumerate(zip(scores.truth, scores.truth_scores, strict=True)):
        table[photo, taxon_ids == taxon] = score
    return table


def by_scikit_learn(scores, weights) -> np.ndarray:
    taxon_ids = np.unique(scores.truth[scores.truth != NO_TAXON])
    table = dense(scores, taxon_ids)
    return np.array(
        [
            average_precision_score(scores.truth == taxon, table[:, column], sample_weight=weights)
            if weights[scores.truth == taxon].any()
            else np.nan
            for column, taxon in enumerate(taxon_ids)
        ]
    )


@settings(max_examples=12)  # scikit-learn takes its time
@given(SEEDS)
def test_every_taxon_and_the_mean_are_those_of_scikit_learn(seed):
    scores, _, rng = random_scores(seed)
    found = AveragePrecision.of(scores)
    for weights in (None, rng.integers(0, 3, len(scores)), rng.uniform(0, 2, len(scores))):
        expected = by_scikit_learn(scores, np.ones(len(scores)) if weights is None else weights)
        assert found.by_taxon(weights) == pytest.approx(expected, nan_ok=True)
        mean = np.nanmean(expected) if (expected >= 0).any() else np.nan
        assert found.mean(weights) == pytest.approx(mean, nan_ok=True)


@settings(max_examples=20)
@given(SEEDS)
def test_photographs_are_looked_at_in_parts(seed):
    scores, _, _ = random_scores(seed)
    whole = AveragePrecision.of(scores).by_taxon()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", 3)
        assert (AveragePrecision.of(scores).by_taxon() == whole).all()


def test_by_hand():
    first, second = [0.6, 0.4, 0, 0, 0, 0, 0, 0], [0.4, 0.6, 0, 0, 0, 0, 0, 0]
    other = [0.5, 0, 0, 0, 0.5, 0, 0, 0]
    found = AveragePrecision.of(WHITES.keep([first, second, other], [12, 12, 22]))
    # 12: its own photographs are first and third of three; 22: alone at the top.
    assert found.taxon_ids.tolist() == [12, 22]
    assert found.by_taxon().tolist() == [(1 + 2 / 3) / 2, 1]
    # A photograph that is drawn twice counts twice.
    assert found.by_taxon(np.array([1, 2, 1])).tolist() == [(1 + 2 * 3 / 4) / 3, 1]


def test_a_truth_that_is_not_kept_has_its_own_score():
    one = WHITES.keep(np.eye(8)[[0, 1]], [12, 99])
    assert AveragePrecision.of(one).by_taxon().tolist() == [1, 0.5]  # 99 is no class: all tie at 0


def test_all_right_is_1_and_zeros_are_the_share_of_the_taxon():
    truth = [12, 13, 13, 22]
    assert AveragePrecision.of(WHITES.keep(np.eye(8)[[0, 1, 1, 4]], truth)).mean() == 1
    zeros = AveragePrecision.of(WHITES.keep(np.zeros((4, 8)), truth))
    assert zeros.by_taxon().tolist() == [0.25, 0.5, 0.25]


def test_no_photograph_of_a_taxon_has_no_mean():
    with warnings.catch_warnings(action="error"):
        assert np.isnan(AveragePrecision.of(WHITES.keep(np.eye(8)[:2], [0, 0])).mean())
        one = AveragePrecision.of(WHITES.keep(np.eye(8)[:1], [12]))
        assert one.mean() == 1
        assert np.isnan(one.mean(np.zeros(1)))
