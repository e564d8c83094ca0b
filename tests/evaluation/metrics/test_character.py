from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.evaluation.metrics.character import (
    agree,
    chance,
    is_told_from_chance,
    most_frequent,
    remarks,
    renamed,
)

RNG = np.random.default_rng(3)
TAXA = np.arange(1, 21)
TRUTH = np.sort(RNG.choice(TAXA, 400))
GOOD = np.where(RNG.random(400) < 0.8, TRUTH, RNG.choice(TAXA, 400))


def said(named, truth=TRUTH, observations=None):
    observations = np.arange(len(truth)) if observations is None else observations
    return remarks("small", truth, named, observations, lambda taxon_id: f"T{taxon_id}")


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=6))
def test_chance_is_that_of_all_ways_to_deal_the_names(rows):
    truth, named = np.array(rows).T
    dealt = [(named[list(p)] == truth).sum() for p in itertools.permutations(range(len(rows)))]
    found = chance(truth, named)
    assert found.right == (truth == named).sum()
    assert found.expected == pytest.approx(np.mean(dealt))
    assert found.deviation == pytest.approx(np.std(dealt), abs=1e-7)


def test_an_ordinary_model_has_no_remark():
    assert said(GOOD) == ()


def test_a_perfect_model():
    (sentence,) = said(TRUTH)
    assert "small is perfect here: it names all 400 photographs right" in sentence
    assert "at least 99.0% would be" in sentence  # 400 / (400 + 1.96²)


def test_what_is_perfect_on_few_observations_is_less_sure():
    (sentence,) = said(TRUTH, observations=np.repeat(np.arange(20), 20))
    assert "at least 83.8% would be" in sentence  # 20 / (20 + 1.96²)


def test_a_model_that_names_everything_the_same():
    (sentence,) = said(np.full(400, 7))
    share = f"{(TRUTH == 7).mean():.1%}"
    assert sentence == f"small is broken: it names every photograph T7, which is on {share} of them"
    (nearly,) = said(np.where(np.arange(400) < 20, TRUTH, 7))
    assert "is broken: it names 95." in nearly


def test_to_name_everything_the_same_is_not_broken_where_nearly_all_are_the_same():
    (sentence,) = said(np.full(100, 7), np.repeat([7, 8], [95, 5]))
    assert "no better than chance: it names 95.0%" in sentence
    assert "perfect" in said(np.full(100, 7), np.full(100, 7))[0]


def test_shuffled_names_are_no_better_than_chance():
    for seed in range(20):
        (sentence,) = said(np.random.default_rng(seed).permutation(GOOD))
        assert "is no better than chance: it names" in sentence
        assert "mixed up" not in sentence


def test_names_in_another_order_are_told_from_ignorance():
    order = np.concatenate([[0], np.roll(TAXA, 1)])
    (sentence,) = said(order[GOOD])
    assert "no better than chance" in sentence
    assert "its names are mixed up" in sentence
    learnt = renamed(TRUTH, order[GOOD])
    assert (learnt == TRUTH).mean() == pytest.approx((GOOD == TRUTH).mean(), abs=0.03)
    assert f"{(learnt == TRUTH).mean():.1%} would be right" in sentence


def test_photographs_of_one_observation_count_once():
    """Ten photographs named alike are not ten proofs that a model knows more than chance."""
    truth = np.repeat(np.arange(1, 21), 10)
    named = truth.copy()
    named[30:] = np.roll(named[30:], 10)  # three of twenty observations right
    assert is_told_from_chance(truth, named, np.arange(200))
    assert not is_told_from_chance(truth, named, np.repeat(np.arange(20), 10))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_photographs_condemn_nobody(n):
    assert said(np.full(n, 9), np.arange(1, n + 1)) == ()
    assert said(np.arange(n), np.arange(n)) == ()


def test_two_agree_or_not():
    rows = np.arange(400)
    assert agree(GOOD, TRUTH, rows)
    assert not agree(RNG.permutation(GOOD), GOOD, rows)
    assert not agree(np.full(400, 3), np.full(400, 3), rows)  # as any way of dealing them would


def test_all_of_one_taxon_and_all_wrong():
    """No photograph could show that names are better than chance."""
    assert is_told_from_chance(np.full(50, 3), np.arange(50) + 4, np.arange(50))


def test_most_frequent_names_the_smallest_of_those_alike():
    assert most_frequent(np.array([5, 4, 4, 5, 9])) == (4, 0.4)
