from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

load_keras()

from taxonvision.dataset.balance import Sampling  # noqa: E402
from taxonvision.training.feeds import FeatureFeed, Features  # noqa: E402
from taxonvision.training.fit_state import FitOptions  # noqa: E402
from taxonvision.training.head import (  # noqa: E402
    Guard,
    Head,
    HeadOptions,
    fit_active,
    fit_head,
)
from taxonvision.training.losses import Loss, LossOptions  # noqa: E402
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


TREE = Taxonomy(Taxon.of_rank(i, None, "species", f"S{i}") for i in range(1, 7))


def classes_of(*statuses):
    return [
        TaxonClass(n, n + 1, f"S{n + 1}", "species", status, "1")
        for n, status in enumerate(statuses)
    ]


def active_fitted(clusters, folder, classes, start, *, guard=None, epochs=2, rate=0.4, loss=None):
    fit = FitOptions([Stage("head", 0, epochs)], OptimizerOptions("adamw", rate, 4e-3, 0.0))
    options = HeadOptions(fit, loss or LossOptions(), Sampling(), 16, 0)
    return fit_active(
        start, classes, TREE, clusters, clusters, options, Notice(), folder, guard
    )  # fmt: skip


def some_head(classes, seed=0):
    rng = np.random.default_rng(seed)
    return Head(
        rng.normal(0, 0.01, (4, classes)).astype(np.float32),
        rng.normal(size=classes).astype(np.float32),
    )


def test_rows_of_retired_classes_stay_bit_for_bit(clusters, tmp_path):
    """Whatever is between and beside the active ones."""
    classes = classes_of("retired", "active", "active", "retired", "active", "retired")
    start = some_head(6)
    ids = np.array([1, 2, 4], np.int32)
    shown = Features(clusters.values, ids[clusters.class_ids])
    found, outcome = active_fitted(shown, tmp_path, classes, start, epochs=4)
    for retired in (0, 3, 5):
        assert (found.kernel[:, retired] == start.kernel[:, retired]).all()
        assert found.bias[retired] == start.bias[retired]
    assert (found.kernel[:, ids] != start.kernel[:, ids]).any(axis=0).all()
    logits = clusters.values @ found.kernel[:, ids] + found.bias[ids]
    assert (logits.argmax(axis=1) == clusters.class_ids).mean() > 0.9
    assert outcome.kept["val_accuracy"] > 0.9  # of all active classes
    assert (start.kernel == some_head(6).kernel).all()


def test_retired_classes_have_no_part_in_the_fit(clusters, tmp_path):
    """As if they had never been, also where targets are spread.

    Up to rounding: how sums over classes are split among a processor's lanes hangs on their number.
    """
    loss = LossOptions(label_smoothing=0.2)
    start = some_head(4)
    kept = [0, 1, 3]
    alone = Head(start.kernel[:, kept].copy(), start.bias[kept].copy())
    ids = np.array(kept, np.int32)
    shown = Features(clusters.values, ids[clusters.class_ids])
    retired = classes_of("active", "active", "retired", "active")
    among, _ = active_fitted(shown, tmp_path / "a", retired, start, loss=loss)
    whole, _ = active_fitted(
        clusters, tmp_path / "b", classes_of(*["active"] * 3), alone, loss=loss
    )  # fmt: skip
    np.testing.assert_allclose(among.kernel[:, kept], whole.kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(among.bias[kept], whole.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_guard_keeps_the_opinion_of_old_classes(clusters, tmp_path):
    """Photographs of the third class alone: the other two would be forgotten without it."""
    before = fitted(clusters, tmp_path / "before")[0]
    new = clusters.class_ids == 2
    only_new = Features(clusters.values[new], clusters.class_ids[new])
    classes = classes_of("active", "active", "active", "retired")
    start = Head(
        np.pad(before.kernel, ((0, 0), (0, 1))), np.pad(before.bias, (0, 1)).astype(np.float32)
    )
    old = np.array([0, 1])
    guard = Guard(Head(before.kernel[:, old].copy(), before.bias[old].copy()), old, 10.0)

    def opinion(head):
        logits = only_new.values @ head.kernel[:, old] + head.bias[old]
        return np.diff(logits, axis=1)

    free, guarded = (
        active_fitted(only_new, tmp_path / name, classes, start, guard=each, epochs=20)[0]
        for name, each in (("free", None), ("guarded", guard))
    )
    moved = [np.abs(opinion(head) - opinion(before)).mean() for head in (free, guarded)]
    assert moved[1] < moved[0]
    assert (guarded.kernel[:, 3] == 0).all()
