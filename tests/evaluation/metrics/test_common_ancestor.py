"""Common ancestors from kept scores are those that the apps find in all scores."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import WHITES, Model, random_scores
from random_trees import forests

from taxonvision.evaluation.metrics import common_ancestor as module
from taxonvision.evaluation.metrics.common_ancestor import GRID, CommonAncestors
from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.runtime.answer import common_ancestor
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.tree import Taxonomy

SEEDS = st.integers(0, 2**32 - 1)
THRESHOLDS = st.builds(
    lambda leaves, share, levels: Thresholds(
        ancestor_leaves=leaves, ancestor_share=share, ancestor_rank_levels=tuple(sorted(levels))
    ),
    st.sampled_from([1, 2, 3, 15]),
    st.sampled_from([0.001, 0.01, 0.3, 1]),
    st.tuples(st.sampled_from([0, 10, 20, 30]), st.sampled_from([20, 30, 33, 40, 100])),
)


def ancestors(model, scores, thresholds) -> CommonAncestors:
    return CommonAncestors.of(scores, model.tree, model.classes, thresholds)


def of_the_apps(model, full, score, thresholds) -> list[int]:
    at_score = replace(thresholds, ancestor_score=score)
    nodes = [common_ancestor(model.roll_up, row, at_score) for row in full]
    return [NO_TAXON if node is None else int(model.roll_up.node_ids[node.index]) for node in nodes]


@settings(max_examples=20)
@given(SEEDS, st.just(Thresholds()) | THRESHOLDS)
def test_answers_are_those_of_the_apps(seed, thresholds):
    scores, full, rng = random_scores(seed, most=15)
    found = ancestors(WHITES, scores, thresholds)
    for score in (0.78, *rng.uniform(size=4)):
        assert found.at(score).tolist() == of_the_apps(WHITES, full, score, thresholds)


@settings(max_examples=20)
@given(
    forests(["order", "family", "tribe", "genus", "species"], 1000),
    SEEDS,
    st.tuples(st.sampled_from([0, 10, 20]), st.sampled_from([20, 30, 33, 40])),
)
def test_answers_on_any_tree_are_those_of_the_apps(forest, seed, levels):
    taxa, classes = forest
    model = Model(Taxonomy(taxa), classes)
    rng = np.random.default_rng(seed)
    # Eighths add up without rounding in any order, so that ties are ties.
    full = rng.multinomial(8, np.full(len(classes), 1 / len(classes)), 5) / 8
    truth = rng.choice([taxon.taxon_id for taxon in taxa], 5)
    thresholds = Thresholds(ancestor_rank_levels=levels)
    found = ancestors(model, model.keep(full, truth), thresholds)
    for score in (0, 0.5, *rng.uniform(size=2)):
        assert found.at(score).tolist() == of_the_apps(model, full, score, thresholds)


@settings(max_examples=20)
@given(SEEDS)
def test_the_curve_is_counted_photograph_by_photograph(seed):
    scores, _, _ = random_scores(seed)
    found = ancestors(WHITES, scores, Thresholds())
    curve = found.curve()
    for score, precision, recall in zip(GRID, curve.precisions, curve.recalls, strict=True):
        right = answered = 0
        for answer, truth in zip(found.at(score), scores.truth, strict=True):
            lineage = [t.taxon_id for t in WHITES.tree.lineage(truth)] if truth else []
            answered += answer != NO_TAXON
            right += answer in lineage
        assert precision == pytest.approx(right / answered if answered else np.nan, nan_ok=True)
        assert recall == pytest.approx(right / len(scores))


@settings(max_examples=20)
@given(SEEDS)
def test_photographs_are_looked_at_in_parts(seed):
    scores, _, _ = random_scores(seed)
    whole = ancestors(WHITES, scores, Thresholds())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", 3)
        parts = ancestors(WHITES, scores, Thresholds())
    for name in ("photographs", "taxon_ids", "lows", "highs", "right"):
        assert (getattr(parts, name) == getattr(whole, name)).all()


def test_by_hand():
    # Pieris 0.5 + 0.25, Pieridae with Colias 0.875, the superfamily all.
    one = WHITES.keep([[0.5, 0.25, 0, 0.125, 0.125, 0, 0, 0]], [16])
    found = ancestors(WHITES, one, Thresholds())
    assert [found.at(s)[0] for s in (0, 0.7, 0.75, 0.8, 0.875, 0.99, 1)] == [
        11, 11, 10, 10, 2, 2, 0,
    ]  # fmt: skip
    curve = found.curve(np.array([0.5, 0.8, 1]))
    assert curve.precisions.tolist()[:2] == [0, 1]  # Colias is no Pieris, and a pierid
    assert curve.recalls.tolist() == [0, 1, 0]
    assert np.isnan(curve.precisions[2])


def test_all_scores_zero_one_photograph_and_none():
    with warnings.catch_warnings(action="error"):
        zero = ancestors(WHITES, WHITES.keep(np.zeros((2, 8)), [12, 99]), Thresholds())
        assert zero.at(0).tolist() == [0, 0]
        assert np.isnan(zero.curve().precisions).all()
        assert (zero.curve().recalls == 0).all()
        none = ancestors(WHITES, WHITES.keep(np.zeros((0, 8)), []), Thresholds())
        assert np.isnan(none.curve().recalls).all()


def test_a_stranger_is_right_at_its_genus():
    one = WHITES.keep([[0, 0, 0, 0, 0.5, 0.5, 0, 0]], [99])
    assert ancestors(WHITES, one, Thresholds()).curve().recalls[78] == 1
