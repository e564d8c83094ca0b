"""Temperatures and calibration errors whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.evaluation import calibration
from taxonvision.evaluation.calibration import expected_calibration_error, fit_temperature

SEEDS = st.integers(0, 2**32 - 1)


def drawn(seed: int, n: int = 4000, classes: int = 10, spread: float = 2.0):
    """Logits whose softmax is exactly how often each class is the true one, and truths."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes)).astype(np.float32)
    noise = rng.gumbel(size=logits.shape)  # argmax of both: drawn from the softmax
    return logits, (logits + noise).argmax(axis=1)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@settings(max_examples=20)
@given(SEEDS, st.floats(0.2, 5))
def test_the_factor_that_logits_were_multiplied_by(seed, factor):
    logits, truth = drawn(seed)
    assert fit_temperature(logits * np.float32(factor), truth) == pytest.approx(factor, rel=0.1)


@settings(max_examples=20)
@given(SEEDS, st.integers(1, 40))
def test_few_photographs(seed, n):
    logits, truth = drawn(seed, n)
    assert 0.05 <= fit_temperature(logits, truth) <= 20


def test_all_rightly_named_does_not_make_every_score_1():
    logits = np.random.default_rng(0).normal(0, 1, (50, 8)).astype(np.float32)
    truth = logits.argmax(axis=1)
    assert softmax(logits / fit_temperature(logits, truth)).max(axis=1).min() < 0.99


def test_logits_are_taken_in_parts(monkeypatch):
    logits, truth = drawn(0, 300)
    whole = fit_temperature(logits, truth)
    monkeypatch.setattr(calibration, "_AT_ONCE", 70)
    assert fit_temperature(logits, truth) == whole


@settings(max_examples=20)
@given(SEEDS, st.floats(1.5, 4))
def test_calibrated_scores_have_no_error_and_sharpened_ones_have(seed, factor):
    logits, truth = drawn(seed)
    errors = []
    for scale in (1, factor):
        scores = softmax(logits * scale)
        errors.append(
            expected_calibration_error(scores.max(axis=1), scores.argmax(axis=1) == truth)
        )
    assert errors[0] < 0.05
    assert errors[1] > 0.06


def test_an_error_by_hand():
    confidence = np.array([0.9, 0.9, 0.6, 0.6, 1.0, 0.0], np.float32)
    right = np.array([True, False, True, True, True, False])
    # Two bins of a half: four and one in the upper, one in the lower.
    expected = abs((0.9 + 0.9 + 0.6 + 0.6 + 1.0) - 4) / 6
    assert expected_calibration_error(confidence, right, bins=2) == pytest.approx(expected)
    # Ten: those of 0.9 and of 0.6 are alone in theirs.
    expected = (abs(1.8 - 1) + abs(1.2 - 2)) / 6
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(expected)


def test_nothing_is_no_calibration():
    with pytest.raises(ValueError, match="one photograph"):
        fit_temperature(np.empty((0, 3), np.float32), np.empty(0, np.int64))
    with pytest.raises(ValueError, match="one photograph"):
        expected_calibration_error(np.empty(0), np.empty(0, bool))


@settings(max_examples=20)
@given(SEEDS)
def test_a_photograph_of_a_whole_weight_is_as_many_photographs(seed):
    rng = np.random.default_rng(seed)
    scores, right, weights = rng.random(30), rng.random(30) < 0.5, rng.integers(0, 4, 30)
    if not weights.any():
        weights[0] = 1
    many = expected_calibration_error(np.repeat(scores, weights), np.repeat(right, weights))
    assert expected_calibration_error(scores, right, weights=weights) == pytest.approx(many)
    assert np.isnan(expected_calibration_error(scores, right, weights=np.zeros(30)))
