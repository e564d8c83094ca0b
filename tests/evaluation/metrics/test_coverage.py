"""Coverage at a precision is what trying every threshold finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from taxonvision.evaluation.metrics.coverage import Coverage

PHOTOGRAPHS = st.lists(
    st.tuples(st.integers(0, 8).map(lambda x: x / 8), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=40,
)


def by_trying(confidence, right, weights, precision) -> float:
    """The largest share above a threshold, of whole numbers so that nothing is rounded."""
    best = 0
    for threshold in np.unique(confidence):
        above = confidence >= threshold
        answered, correct = int(weights[above].sum()), int(weights[above & right].sum())
        if answered and 100 * correct >= round(100 * precision) * answered:
            best = max(best, answered)
    return best / weights.sum() if weights.any() else np.nan


@settings(max_examples=20)
@given(PHOTOGRAPHS, st.sampled_from([0, 0.5, 0.57, 0.95, 1]))
def test_no_threshold_covers_more(photographs, precision):
    confidence, right, weights = (np.array(column) for column in zip(*photographs, strict=True))
    coverage = Coverage.of(confidence, right)
    expected = by_trying(confidence, right, weights, precision)
    assert coverage.at(precision, weights) == pytest.approx(expected, nan_ok=True)
    ones = np.ones(len(right))
    assert coverage.at(precision) == pytest.approx(by_trying(confidence, right, ones, precision))


@settings(max_examples=20)
@given(PHOTOGRAPHS)
def test_the_curve_has_the_precisions_of_scikit_learn(photographs):
    confidence, right, _ = (np.array(column) for column in zip(*photographs, strict=True))
    curve = Coverage.of(confidence, right).curve()
    if right.any():  # a precision without anything to find is a warning there
        precisions, _, thresholds = precision_recall_curve(right, confidence)
        at = np.searchsorted(thresholds, curve.scores)
        assert (thresholds[at] == curve.scores).all()
        assert curve.precisions == pytest.approx(precisions[at])
    shares = [(confidence >= score).mean() for score in curve.scores]
    assert curve.coverages == pytest.approx(shares)
    assert curve.coverages[-1] == 1
    assert curve.precisions[-1] == pytest.approx(right.mean())


def test_a_curve_of_many_photographs_has_few_points_evenly_over_it():
    rng = np.random.default_rng(0)
    curve = Coverage.of(rng.uniform(size=10_000), rng.random(10_000) < 0.5).curve(points=100)
    assert curve.coverages == pytest.approx(np.arange(1, 101) / 100)


def test_by_hand():
    coverage = Coverage.of(np.array([0.2, 0.9, 0.8, 0.8, 0.7]), np.array([1, 1, 0, 1, 1], bool))
    assert coverage.at(1) == 0.2  # one of the two at 0.8 is wrong, and they come together
    assert coverage.at(0.75) == 1  # 4 of 5, though only 2 of 3 are right on the way
    assert coverage.at(0.81) == 0.2


def test_all_right_all_wrong_and_nothing():
    scores = np.full(3, 0.5)
    assert Coverage.of(scores, np.ones(3, bool)).at(0.95) == 1
    assert Coverage.of(scores, np.zeros(3, bool)).at(0.95) == 0
    assert np.isnan(Coverage.of(scores, np.ones(3, bool)).at(0.95, np.zeros(3)))
    nothing = Coverage.of(np.zeros(0), np.zeros(0, bool))
    assert np.isnan(nothing.at(0.95))
    assert len(nothing.curve().coverages) == 0
