from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

load_keras()

from taxonvision.dataset.balance import Sampling  # noqa: E402
from taxonvision.training.feeds import FeatureFeed, Features  # noqa: E402
from taxonvision.training.fit_state import FitOptions  # noqa: E402
from taxonvision.training.head import Head, fit_head  # noqa: E402
from taxonvision.training.losses import Loss  # noqa: E402
from taxonvision.training.optimizers import OptimizerOptions  # noqa: E402
from taxonvision.training.signals import Notice  # noqa: E402
from taxonvision.training.stages import Stage  # noqa: E402


@pytest.fixture(scope="module")
def clusters():
    """Three clusters of features on very different scales, one feature constant."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 40).astype(np.int32)
    centres = np.array([[0, 0, 0, 5], [400, 2, 0, 5], [-400, 2, 0.2, 5]])
    values = centres[labels] + rng.normal(0, [50, 0.3, 0.05, 0], (120, 4))
    return Features(values.astype(np.float32), labels)


def fitted(clusters, folder, classes=3, *, epochs=8, rate=0.4, seed=0, start=None):
    """A head fitted in 7 steps an epoch, and what that brought."""
    return fit_head(
        FeatureFeed(clusters, clusters, 16, Sampling(), seed),
        start or Head.zeros(4, classes),
        Loss(),
        FitOptions([Stage("head", 0, epochs)], OptimizerOptions("adamw", rate, 4e-3, 0.0)),
        Notice(),
        folder,
    )


@pytest.fixture(scope="module")
def head(clusters, tmp_path_factory):
    return fitted(clusters, tmp_path_factory.mktemp("head"))


def test_the_folded_weights_separate_raw_features(clusters, head):
    found, outcome = head
    logits = clusters.values @ found.kernel + found.bias
    accuracy = (logits.argmax(axis=1) == clusters.class_ids).mean()
    assert accuracy > 0.95
    assert outcome.kept["val_accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert [row["epoch"] for row in outcome.history] == list(range(1, 9))


@pytest.mark.slow
def test_a_seed_gives_the_same_weights_and_another_seed_others(clusters, head, tmp_path):
    first, _ = head
    again, _ = fitted(clusters, tmp_path / "again")
    other, _ = fitted(clusters, tmp_path / "other", seed=1)
    assert (first.kernel == again.kernel).all()
    assert (first.bias == again.bias).all()
    assert (first.kernel != other.kernel).any()


def test_it_starts_from_the_head_that_it_is_given(clusters, head, tmp_path):
    found, outcome = head
    still, begun = fitted(clusters, tmp_path, epochs=1, rate=0.0, start=found)
    np.testing.assert_allclose(still.kernel, found.kernel, atol=1e-6)
    np.testing.assert_allclose(still.bias, found.bias, atol=1e-5)
    assert begun.kept["val_loss"] == pytest.approx(outcome.kept["val_loss"], rel=1e-4)


@pytest.mark.slow
def test_a_class_without_photographs_gets_a_low_score(clusters, tmp_path):
    found, _ = fitted(clusters, tmp_path, classes=4, epochs=4)
    logits = clusters.values @ found.kernel + found.bias
    assert (logits.argmax(axis=1) != 3).all()


def test_a_head_that_diverges_is_refused(clusters, tmp_path):
    with pytest.raises(UserError, match="lower --learning_rate"):
        fitted(clusters, tmp_path, epochs=1, rate=1e38)
