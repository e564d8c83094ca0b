from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.comparison.comparison import ALL, Difference
from taxonvision.evaluation.comparison.paired import Changed, Named, differences, mcnemar, paired
from taxonvision.evaluation.intervals import Interval


def compared(truth, reference, candidate, observations=None):
    truth, reference, candidate = (np.asarray(a, np.int64) for a in (truth, reference, candidate))
    observations = np.arange(len(truth)) if observations is None else np.asarray(observations)
    return paired(ALL, Named(truth, reference, candidate), Resampling(observations, 200))


@settings(max_examples=20)
@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_binomial_test_of_a_fair_coin(lost, won):
    p = mcnemar(lost, won)
    assert p == mcnemar(won, lost)
    if lost + won:
        assert p == pytest.approx(stats.binomtest(lost, lost + won).pvalue, rel=1e-9)
    else:
        assert p == 1


def test_mcnemar_by_hand():
    assert mcnemar(0, 5) == pytest.approx(2 / 2**5)
    assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 2**6)
    assert mcnemar(3, 3) == 1
    assert mcnemar(0, 100_000) == 0


def test_by_hand():
    found = compared(
        truth=[1, 1, 1, 1, 2, 2, 3],
        reference=[1, 1, 2, 3, 2, 1, 3],
        candidate=[1, 2, 1, 3, 2, 3, 1],
        observations=[0, 0, 1, 2, 3, 4, 5],
    )
    assert (found.photographs, found.observations, found.taxa) == (7, 6, 3)
    assert (found.top1.reference, found.top1.candidate) == (4 / 7, 3 / 7)
    assert found.macro_top1.reference == pytest.approx((2 / 4 + 1 / 2 + 1) / 3)
    assert found.macro_top1.candidate == pytest.approx((2 / 4 + 1 / 2 + 0) / 3)
    assert found.agreement == 3 / 7
    assert (found.lost, found.won, found.p) == (2, 1, 1.0)
    assert not found.beyond_chance


def test_the_bootstrap_is_scipys():
    """Of single photographs as observations, which scipy can draw as well."""
    rng = np.random.default_rng(8)
    truth = rng.integers(1, 9, 300)
    reference, candidate = (
        np.where(rng.random(300) < share, truth, rng.integers(1, 9, 300)) for share in (0.8, 0.7)
    )
    found = paired(ALL, Named(truth, reference, candidate), Resampling(np.arange(300), 2000))

    def macro(before, after, truth):
        return np.mean([(after - before)[truth == t].mean() for t in np.unique(truth)])

    before, after = (reference == truth) * 1.0, (candidate == truth) * 1.0
    for ours, sample, statistic, vectorized in (
        (found.top1, (before, after), lambda b, a, axis: np.mean(a - b, axis=axis), True),
        (found.macro_top1, (before, after, truth), macro, False),
    ):
        theirs = stats.bootstrap(
            sample, statistic, paired=True, method="percentile", n_resamples=2000,
            vectorized=vectorized, rng=np.random.default_rng(1),
        ).confidence_interval  # fmt: skip
        assert ours.bootstrap.low == pytest.approx(theirs.low, abs=0.008)
        assert ours.bootstrap.high == pytest.approx(theirs.high, abs=0.008)
        assert ours.interval.low == min(ours.formula.low, ours.bootstrap.low)
        assert ours.interval.high == max(ours.formula.high, ours.bootstrap.high)
    same = (reference == candidate) * 1.0
    drawn = stats.bootstrap((same,), np.mean, method="percentile").confidence_interval
    assert found.agreement_interval.low == pytest.approx(drawn.low, abs=0.01)
    assert found.agreement_interval.high == pytest.approx(drawn.high, abs=0.01)


def test_photographs_of_one_observation_widen_the_interval():
    """Forty changes in four observations prove less than forty changes in forty."""
    truth, reference = np.ones(200), np.ones(200)
    candidate = np.where(np.arange(200) < 20, 2, 1)
    alone = compared(truth, reference, candidate)
    together = compared(truth, reference, candidate, np.arange(200) // 10)
    assert alone.p == together.p < 0.001
    assert alone.beyond_chance
    assert together.top1.interval.high >= 0 > alone.top1.interval.high
    assert not together.beyond_chance


@settings(max_examples=20)
@given(st.lists(st.tuples(*[st.integers(1, 3)] * 3, st.integers(0, 5)), min_size=1, max_size=30))
def test_both_directions_mirror_each_other(rows):
    truth, reference, candidate, observations = np.array(rows).T
    there = compared(truth, reference, candidate, observations)
    back = compared(truth, candidate, reference, observations)
    assert there.top1.difference == -back.top1.difference
    assert (there.lost, there.won, there.p) == (back.won, back.lost, back.p)
    for one, other in ((there.top1, back.top1), (there.macro_top1, back.macro_top1)):
        assert one.interval.low == pytest.approx(-other.interval.high)
        assert one.interval.low - 1e-9 <= one.difference <= one.interval.high + 1e-9
        assert one.interval.low < one.interval.high
    assert there.agreement == back.agreement
    bounds = there.agreement_interval
    assert bounds.low - 1e-9 <= there.agreement <= bounds.high + 1e-9


def test_one_photograph_and_none():
    found = compared([1], [1], [2])
    assert found.top1.difference == -1
    assert found.top1.bootstrap is None
    assert found.top1.interval == found.top1.formula
    assert not found.beyond_chance
    assert compared([], [], []) is None


def test_identical_answers_keep_a_width():
    found = compared([1, 2, 3, 1], [1, 2, 1, 1], [1, 2, 1, 1])
    assert found.top1.difference == 0
    assert found.top1.bootstrap == Interval(0.0, 0.0)
    assert found.top1.interval.low < 0 < found.top1.interval.high
    assert (found.agreement, found.agreement_interval.high) == (1, 1)
    assert found.agreement_interval.low < 1


def test_groups_are_compared_as_if_alone():
    rng = np.random.default_rng(2)
    observations = np.arange(120) // 2
    before, after = rng.random((2, 120)) < 0.6
    groups = [
        Changed(np.arange(120) < 60, before, after),
        Changed(np.arange(120) >= 60, before, after),
        Changed(np.arange(120) >= 0, before, after),
    ]
    first, second, everything = differences(groups, Resampling(observations, 500))
    assert first.reference == before[:60].mean()
    assert second.candidate == after[60:].mean()
    alone = Resampling(observations, 500).interval(
        lambda weights: float(weights @ (after * 1.0 - before) / weights.sum())
    )
    assert everything.bootstrap.low == pytest.approx(alone.low)
    assert everything.bootstrap.high == pytest.approx(alone.high)
    assert differences([], Resampling(observations)) == []


def test_a_group_that_replicates_lack_leaves_them_out():
    chosen = np.arange(30) == 0
    lone = Changed(chosen, np.ones(30, bool), np.zeros(30, bool))
    (found,) = differences([lone], Resampling(np.arange(30), 200))
    assert found.difference == -1
    assert found.bootstrap == Interval(-1.0, -1.0)
    assert found.interval.high > -1


def test_a_difference_without_a_formula():
    assert Difference(0.1, 0.2, None, None).interval is None
    assert Difference(0.1, 0.2, None, Interval(0, 1)).interval == Interval(0, 1)
