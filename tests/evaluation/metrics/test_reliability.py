"""Reliability diagrams are scikit-learn's; the floor of the error is that of fair coins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from sklearn.calibration import calibration_curve

from taxonvision.evaluation.calibration import expected_calibration_error
from taxonvision.evaluation.metrics.reliability import error_by_chance, reliability

PHOTOGRAPHS = st.lists(
    st.tuples(st.integers(0, 32).map(lambda x: x / 32), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=20)
@given(PHOTOGRAPHS, st.sampled_from([1, 4, 16]))
def test_bins_are_those_of_scikit_learn(photographs, bins):
    confidence, right = (np.array(column) for column in zip(*photographs, strict=True))
    shares, scores = calibration_curve(right, confidence, n_bins=bins)
    found = reliability(confidence, right, bins)
    assert [each.right for each in found] == pytest.approx(shares)
    assert [each.mean_score for each in found] == pytest.approx(scores)
    assert sum(each.photographs for each in found) == len(right)
    for each in found:
        assert each.low <= each.mean_score <= each.high
        wilson = binomtest(round(each.right * each.photographs), each.photographs).proportion_ci(
            method="wilson"
        )
        assert (each.interval.low, each.interval.high) == pytest.approx(tuple(wilson), abs=1e-9)


@settings(max_examples=20)
@given(PHOTOGRAPHS)
def test_the_error_is_the_mean_gap_of_the_diagram(photographs):
    confidence, right = (np.array(column) for column in zip(*photographs, strict=True))
    gaps = [b.photographs * abs(b.right - b.mean_score) for b in reliability(confidence, right)]
    error = expected_calibration_error(confidence, right)
    assert error == pytest.approx(sum(gaps) / len(right))


def test_the_floor_of_one_bin_is_the_mean_deviation_of_a_binomial():
    n, chance = 40, 0.7
    successes = np.arange(n + 1)
    expected = (binom.pmf(successes, n, chance) * abs(successes / n - chance)).sum()
    found = error_by_chance(np.full(n, chance), draws=4000)
    assert found.mean == pytest.approx(expected, rel=0.05)
    # One in a hundred is as far off as the farthest bound that a hundredth of the mass exceeds.
    deviations = np.abs(successes / n - chance)
    beyond = [binom.pmf(successes[deviations > d], n, chance).sum() for d in deviations]
    assert found.high == pytest.approx(min(deviations[np.array(beyond) <= 0.01]), abs=1 / n)


def test_the_floor_falls_with_more_photographs_and_has_a_seed():
    rng = np.random.default_rng(3)
    few, many = rng.uniform(size=50), rng.uniform(size=5000)
    assert error_by_chance(few).mean > 5 * error_by_chance(many).mean
    assert error_by_chance(few, seed=1) == error_by_chance(few, seed=1)
    assert error_by_chance(few, seed=1) != error_by_chance(few, seed=2)


def test_scores_that_were_drawn_with_the_same_seed_are_as_any_others():
    floors = [error_by_chance(np.random.default_rng(seed).random(2000)).mean for seed in (0, 1)]
    assert floors[0] == pytest.approx(floors[1], rel=0.05)


def test_calibrated_scores_are_within_chance_and_others_beyond():
    rng = np.random.default_rng(4)
    confidence = rng.uniform(0.2, 1, 2000)
    bound = error_by_chance(confidence).high
    calibrated = rng.random(2000) < confidence
    assert expected_calibration_error(confidence, calibrated) < bound
    assert expected_calibration_error(confidence, rng.random(2000) < confidence - 0.1) > bound


def test_sure_scores_leave_nothing_to_chance_and_nothing_has_no_floor():
    assert error_by_chance(np.array([0.0, 1.0, 1.0])).mean == 0
    assert math.isnan(error_by_chance(np.zeros(0)).mean)
    assert reliability(np.zeros(0), np.zeros(0, bool)) == []
    (one,) = reliability(np.array([0.0]), np.array([False]))
    assert (one.low, one.photographs, one.right) == (0, 1, 0)
