from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from taxonvision.evaluation.bootstrap import Estimate, Resampling
from taxonvision.evaluation.intervals import Interval, share
from taxonvision.evaluation.metrics.average_precision import AveragePrecision


def test_the_interval_of_a_share_is_that_of_scipy():
    right = np.random.default_rng(1).random(400) < 0.7
    found = Resampling(np.arange(400), replicates=4000).share(right).interval
    peer = stats.bootstrap(
        (right.astype(float),), np.mean, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.006)


def test_the_interval_over_observations_is_that_of_scipy():
    rng = np.random.default_rng(8)
    observations = rng.integers(150, size=500)
    right = rng.random(500) < rng.beta(2, 1, 150)[observations]
    found = Resampling(observations, replicates=3000).share(right).interval
    seen = np.bincount(observations) > 0
    sizes, rights = np.bincount(observations)[seen], np.bincount(observations, right)[seen]
    peer = stats.bootstrap(
        (rights, sizes),
        lambda r, n, axis: r.sum(axis) / n.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=3000,
        method="percentile",
        rng=9,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.008)


def test_the_interval_of_a_mean_over_taxa_is_that_of_scipy():
    rng = np.random.default_rng(10)
    taxa = rng.choice(8, 300, p=np.arange(1, 9) / 36)
    right = rng.random(300) < np.linspace(0.3, 0.9, 8)[taxa]
    found = Resampling(np.arange(300), replicates=1500).macro(right, taxa).interval
    peer = stats.bootstrap(
        (taxa, right),
        lambda t, r: np.mean([r[t == taxon].mean() for taxon in np.unique(t)]),
        paired=True,
        vectorized=False,
        n_resamples=1500,
        method="percentile",
        rng=11,
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((peer.low, peer.high), abs=0.015)


def test_photographs_of_one_observation_are_drawn_together():
    observations = np.array([7, 3, 7, 3, 3, 9])
    resampling = Resampling(observations, replicates=200)
    for weights in resampling.weights():
        assert all(len(set(weights[observations == number])) == 1 for number in (3, 7, 9))
        assert weights[[1, 0, 5]].sum() == 3
    totals = np.mean(list(resampling.weights()), axis=0)
    assert totals == pytest.approx(np.ones(6), abs=0.25)


def test_of_photographs_in_pairs_the_interval_is_wider_by_the_root_of_two():
    right = np.random.default_rng(3).random(500) < 0.5
    alone = Resampling(np.arange(500)).share(right).interval
    twice = Resampling(np.repeat(np.arange(500), 2)).share(np.repeat(right, 2)).interval
    as_if_alone = Resampling(np.arange(1000)).share(np.repeat(right, 2)).interval
    assert twice == alone
    ratio = (twice.high - twice.low) / (as_if_alone.high - as_if_alone.low)
    assert ratio == pytest.approx(np.sqrt(2), rel=0.1)


def test_a_seed_draws_the_same_and_another_one_differs():
    right = np.arange(50) % 3 > 0
    first, again = (Resampling(np.arange(50), seed=5).share(right).interval for _ in range(2))
    assert first == again
    assert Resampling(np.arange(50), replicates=99, seed=6).share(right).interval != first


def test_the_interval_holds_the_truth_as_often_as_it_says():
    generator = np.random.default_rng(4)
    observations = np.repeat(np.arange(120), 2)
    held = 0
    for seed in range(100):
        right = generator.random(240) < np.repeat(generator.beta(7, 3, 120), 2)
        interval = Resampling(observations, replicates=150, seed=seed).share(right).interval
        held += interval.low <= 0.7 <= interval.high
    assert stats.binomtest(held, 100, 0.94).pvalue > 0.01


@pytest.mark.parametrize("all_right", [True, False])
def test_where_no_replicate_differs_the_width_is_that_of_wilson(all_right):
    right = np.full(60, all_right)
    observations = np.repeat(np.arange(20), 3)
    expected = share(20 * all_right, 20)
    resampling = Resampling(observations, replicates=50)
    assert resampling.share(right).interval == expected
    assert resampling.macro(right, np.repeat(np.arange(10), 6)).interval == expected


def test_a_taxon_of_many_photographs_tells_no_more_than_one_of_few():
    # 11² / (10 + 1 / 1000) is a little more than 12.
    taxa = np.concatenate([np.arange(10), np.full(1000, 10)])
    found = Resampling(np.arange(1010), replicates=20).macro(np.ones(1010, bool), taxa)
    assert found.value == 1
    assert share(12, 12).low < found.interval.low < share(13, 13).low


def test_one_observation_says_next_to_nothing():
    resampling = Resampling(np.zeros(2, int))
    assert resampling.interval(lambda weights: float(weights.sum())) is None
    assert resampling.share(np.array([True, True])).interval == share(1, 1)
    assert resampling.share(np.array([True, False])).interval == share(0.5, 1)
    assert Resampling(np.zeros(0, int)).share(np.zeros(0, bool)).interval is None


def test_replicates_without_the_figure_are_left_out():
    resampling = Resampling(np.arange(4), replicates=300)
    found = resampling.interval(lambda w: None if w[0] == 0 else float(w[0]))
    assert found.low >= 1
    assert resampling.interval(lambda w: float("nan")) is None


def test_a_figure_that_duplicates_raise_lies_in_its_interval(case_of, class_taxon_ids):
    rng = np.random.default_rng(12)
    truth = rng.choice(class_taxon_ids, 30)
    precision = AveragePrecision.of(case_of(rng.dirichlet(np.full(6, 0.5), 30), truth).kept)
    resampling = Resampling(np.arange(30), replicates=400)
    found, drawn = resampling.fraction(precision.mean), resampling.interval(precision.mean)
    assert found.value == precision.mean()
    assert found.interval.low < found.value < found.interval.high
    middle = (found.interval.low + found.interval.high) / 2
    assert middle < (drawn.low + drawn.high) / 2 - 0.02
    width = found.interval.high - found.interval.low
    assert width == pytest.approx(drawn.high - drawn.low)


def test_of_a_share_it_is_the_interval_of_a_share():
    right = np.random.default_rng(13).random(200) < 0.4
    resampling = Resampling(np.arange(200))
    found = resampling.fraction(lambda weights: float((weights * right).sum() / weights.sum()))
    expected = resampling.share(right)
    assert found.value == expected.value
    assert found.interval.low == pytest.approx(expected.interval.low, abs=0.005)
    assert found.interval.high == pytest.approx(expected.interval.high, abs=0.005)


def test_a_figure_that_is_none_has_no_interval():
    resampling = Resampling(np.arange(3), replicates=5)
    assert resampling.fraction(lambda weights: float("nan")) == Estimate(None, None)
    assert resampling.fraction(lambda weights: None) == Estimate(None, None)
    assert resampling.fraction(lambda weights: 1.0) == Estimate(1.0, share(3, 3))


def test_several_figures_are_drawn_at_once():
    resampling = Resampling(np.arange(30))
    values = np.random.default_rng(5).random((2, 30))
    both = resampling.intervals(lambda w: values @ w / w.sum())
    alone = [resampling.interval(lambda w, v=v: float(v @ w / w.sum())) for v in values]
    for one, other in zip(both, alone, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert Resampling(np.zeros(30)).intervals(lambda w: values @ w) == [None, None]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.booleans()), min_size=1))
def test_an_interval_lies_between_0_and_1_and_has_a_width(rows):
    observations, taxa, right = (np.array(column) for column in zip(*rows, strict=True))
    resampling = Resampling(observations, replicates=20)
    for found in (resampling.share(right).interval, resampling.macro(right, taxa).interval):
        assert isinstance(found, Interval)
        assert 0 <= found.low < found.high <= 1


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1))
def test_a_mean_over_taxa_is_the_balanced_accuracy_of_scikit_learn(rows):
    taxa, right = (np.array(column) for column in zip(*rows, strict=True))
    named = np.where(right, taxa, 6)
    found = Resampling(np.arange(len(taxa)), replicates=2).macro(right, taxa).value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # names that are no truth
        assert found == pytest.approx(balanced_accuracy_score(taxa, named))


def test_some_photographs_are_drawn_by_themselves():
    observations, right = np.array([0, 0, 1, 1, 2]), np.array([1, 0, 1, 1, 0], bool)
    some = np.array([1, 0, 1, 1, 0], bool)
    found = Resampling(observations, replicates=50, seed=3).among(some)
    assert found.share(right[some]) == Resampling(observations[some], 50, 3).share(right[some])
