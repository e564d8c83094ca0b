from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

load_keras()

from taxonvision.training.head import HeadOptions, fit_head  # noqa: E402


@pytest.fixture(scope="module")
def clusters():
    """Three clusters of features on very different scales, one feature constant."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40).astype(np.int32)
    centres = np.array([[0, 0, 0, 5], [400, 2, 0, 5], [-400, 2, 0.2, 5]])
    features = centres[labels] + rng.normal(0, [50, 0.3, 0.05, 0], (120, 4))
    return features.astype(np.float32), labels


OPTIONS = HeadOptions(epochs=30, batch_size=16, learning_rate=0.05)


def test_the_folded_weights_separate_raw_features(clusters):
    features, labels = clusters
    head = fit_head(features, labels, 3, OPTIONS, validation=(features, labels))
    logits = features @ head.kernel + head.bias
    accuracy = (logits.argmax(axis=1) == labels).mean()
    assert accuracy > 0.95
    assert head.history[-1]["val_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert [row["epoch"] for row in head.history] == list(range(1, 31))


def test_a_seed_gives_the_same_weights_and_another_seed_others(clusters):
    features, labels = clusters
    first = fit_head(features, labels, 3, OPTIONS)
    again = fit_head(features, labels, 3, OPTIONS)
    other = fit_head(features, labels, 3, HeadOptions(30, 16, 0.05, seed=1))
    assert (first.kernel == again.kernel).all()
    assert (first.bias == again.bias).all()
    assert (first.kernel != other.kernel).any()


def test_a_class_without_photographs_gets_a_low_score(clusters):
    features, labels = clusters
    head = fit_head(features, labels, 4, OPTIONS)
    logits = features @ head.kernel + head.bias
    assert (logits.argmax(axis=1) != 3).all()


def test_a_head_that_diverges_is_refused(clusters):
    features, labels = clusters
    with pytest.raises(UserError, match="lower --learning_rate"):
        fit_head(features, labels, 3, HeadOptions(2, 16, learning_rate=float("nan")))
