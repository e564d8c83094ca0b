from __future__ import annotations

import numpy as np
import pytest

from taxonvision.features import rows
from taxonvision.features.rows import moments


@pytest.fixture
def values():
    return np.random.default_rng(0).normal(1000, 3, (10, 3)).astype(np.float32)


def test_moments_are_those_of_all_rows(values):
    mean, deviation = moments(values)
    assert mean.dtype == deviation.dtype == np.float32
    exact = values.astype(np.float64)
    assert np.abs(mean - exact.mean(axis=0)).max() < 1e-4
    assert np.abs(deviation - exact.std(axis=0)).max() < 1e-5


@pytest.mark.parametrize("block", [1, 3])
def test_moments_of_very_many_are_those_of_a_sample(values, monkeypatch, block):
    monkeypatch.setattr(rows, "_MOST_FOR_MOMENTS", 4)
    monkeypatch.setattr(rows, "_AT_ONCE", block)
    mean, deviation = moments(values)
    sample = values[[0, 3, 6, 9]].astype(np.float64)
    assert np.abs(mean - sample.mean(axis=0)).max() < 1e-4
    assert np.abs(deviation - sample.std(axis=0)).max() < 1e-5


def test_moments_of_nothing_are_zero():
    assert [each.tolist() for each in moments(np.empty((0, 3), np.float32))] == [[0, 0, 0]] * 2
