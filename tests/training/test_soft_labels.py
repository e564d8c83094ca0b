"""What a student is asked to learn, by hand; and that it is of the photograph that it stands by."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from taxonvision.catalog.catalog import open_catalog
from taxonvision.models.engine import load_keras
from taxonvision.runtime.contract import Contract
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

load_keras()

from taxonvision.dataset.balance import Sampling  # noqa: E402
from taxonvision.dataset.batches import Batches, BatchOptions  # noqa: E402
from taxonvision.dataset.stored import stored_photos  # noqa: E402
from taxonvision.training.augmentations import MixingOptions  # noqa: E402
from taxonvision.training.feeds import FeatureFeed, Features  # noqa: E402
from taxonvision.training.fit_state import FitOptions  # noqa: E402
from taxonvision.training.head import Head, HeadOptions, fit_active  # noqa: E402
from taxonvision.training.losses import LossOptions  # noqa: E402
from taxonvision.training.mixing import Mixing  # noqa: E402
from taxonvision.training.optimizers import OptimizerOptions  # noqa: E402
from taxonvision.training.signals import Notice  # noqa: E402
from taxonvision.training.soft_labels import Opinions  # noqa: E402
from taxonvision.training.stages import Stage  # noqa: E402
from taxonvision.training.step import on_replicas  # noqa: E402

# The teacher knows these, in this order; of the student's classes the third is retired, and the
# last is new to the teacher.
TAXA = [30, 20, 99, 10]
CLASSES = [
    TaxonClass(n, i, f"S{i}", "species", "retired" if i == 30 else "active", "1")
    for n, i in enumerate((10, 20, 30, 40))
]
TREE = Taxonomy(Taxon.of_rank(i, None, "species", f"S{i}") for i in (10, 20, 30, 40))
KERNEL = np.array([[9, 1, 9, 3], [9, 0, 9, 2]], np.float32)
BIAS = np.array([9, 0.5, 9, -1], np.float32)


def opinions(weight=0.5, softness=2.0):
    return Opinions(KERNEL, BIAS, TAXA, weight, softness)


def targets(class_ids, features, **options):
    labels = np.array(class_ids, np.int32), np.array(features, np.float32)
    return opinions(**options).soft_labels(CLASSES)(labels, 4).numpy()


def test_a_part_is_the_teachers_opinion_of_the_taxa_that_both_have():
    found = targets([0, 1], [[1, 0], [1, 2]])
    for row, own, logits in zip(found, (0, 1), ([3 - 1, 1.5], [7 - 1, 1.5]), strict=True):
        hers = softmax(np.array(logits) / 2)
        expected = [0.5 * hers[0], 0.5 * hers[1], 0, 0]
        expected[own] += 0.5
        np.testing.assert_allclose(row, expected, 1e-6)


def test_a_photograph_of_a_taxon_that_is_new_to_the_teacher_is_its_own_class_alone():
    found = targets([3, 0], [[1, 1], [1, 1]], weight=1.0)
    assert found[0].tolist() == [0, 0, 0, 1]
    assert found[1, 2:].tolist() == [0, 0]  # she cannot mean what is retired or unknown to her


@pytest.mark.parametrize("softness", [0.1, 1, 100])
def test_rows_sum_to_one_whatever_the_logits(softness):
    rng = np.random.default_rng(0)
    found = targets(rng.integers(0, 4, 50), rng.normal(0, 100, (50, 2)), softness=softness)
    np.testing.assert_allclose(found.sum(1), 1, 1e-5)
    assert (found >= 0).all()


def test_more_softness_says_more_of_the_second_best():
    sharp, plain, soft = (targets([0], [[1, 0]], softness=t)[0, 1] for t in (0.1, 1, 5))
    assert sharp < plain < soft < 0.25


def test_they_are_shared_out_to_replicas_as_photographs_are():
    class TwoReplicas:
        def experimental_distribute_values_from_function(self, of_replica):
            contexts = (SimpleNamespace(replica_id_in_sync_group=number) for number in (2, 3))
            return tuple(of_replica(context) for context in contexts)

    placement = SimpleNamespace(strategy=TwoReplicas(), own_replicas=2)
    pixels, ids, beside = (np.arange(5)[:, None] * [10, 1], np.arange(5), np.arange(5)[:, None])
    shared, (shared_ids, shared_beside) = on_replicas(placement, pixels, (ids, beside))
    for part, rows in enumerate((slice(0, 2), slice(2, 5))):
        assert (shared[part] == pixels[rows]).all()
        assert (shared_ids[part] == ids[rows]).all()
        assert (shared_beside[part] == beside[rows]).all()


def test_they_are_mixed_as_photographs_are():
    images = np.zeros((4, 8, 8, 3), np.float32)
    labels = np.array([0, 1, 0, 3], np.int32), np.ones((4, 2), np.float32)
    rows = opinions().soft_labels(CLASSES)(labels, 4)
    mixing = Mixing(MixingOptions(mixup_alpha=1.0), 0)
    _, mixed = mixing(images, rows, np.int64(0), np.int32(0))
    assert mixed.shape == (4, 4)
    np.testing.assert_allclose(mixed.numpy().sum(1), 1, 1e-5)
    assert (mixed.numpy() != rows.numpy()).any()


# Features.


class Counting:
    """Features of photographs that tell their number; it notes how many are asked for at once."""

    def __init__(self, count: int, column: int = 0) -> None:
        self.values = np.zeros((count, 3), np.float32)
        self.values[:, column] = np.arange(count)
        self.most = 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows):
        found = self.values[rows]
        self.most = max(self.most, len(found))
        return found


def feed(views=1, count=40, sampling=None):
    labels = np.arange(count, dtype=np.int32) % 2
    looks = [Counting(count) for _ in range(views)]
    teacher = tuple(Counting(count) for _ in range(views))
    for number, of_teacher in enumerate(teacher):
        of_teacher.values[:, 1] = number
        looks[number].values[:, 1] = number
    train = Features(looks[0], labels, tuple(looks[1:]), teacher)
    none = Features(np.zeros((0, 3), np.float32), labels[:0])
    return FeatureFeed(train, none, 8, sampling or Sampling(), 0), teacher


@pytest.mark.parametrize("views", [1, 3])
def test_the_teachers_features_are_of_the_same_look_at_the_same_photograph(views):
    some, teacher = feed(views, sampling=Sampling(max_photos=17, power=0.5))
    batches = list(some.training(0, 0, 4))
    for features, (labels, beside) in batches:
        assert (features.numpy() == beside.numpy()).all()
        assert (labels.numpy() == features.numpy()[:, 0] % 2).all()
    assert {row[1] for _, (_, beside) in batches for row in beside.numpy()} == set(range(views))
    again = list(some.training(2, 1, 2))
    for (_, (_, first)), (_, (_, second)) in zip(batches[-len(again) :], again, strict=True):
        assert (first.numpy() == second.numpy()).all()
    assert max(each.most for each in teacher) <= 8  # of all photographs never more than a batch


@pytest.mark.usefixtures("eager")
def test_a_head_learns_what_the_teacher_thinks_and_not_what_is_retired(tmp_path):
    """The teacher contradicts the labels."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(64, 2)).astype(np.float32)
    labels = np.zeros(64, np.int32)
    train = Features(values, labels, teacher=(values,))
    options = HeadOptions(
        FitOptions([Stage("head", 0, 8)], OptimizerOptions("adamw", 1.0, 0.0, 0.0)),
        LossOptions(),
        Sampling(),
        64,
        0,
    )
    head, _ = fit_active(
        Head.zeros(2, 4), CLASSES, TREE, train, replace(train, teacher=()), options, Notice(),
        tmp_path, opinions=opinions(weight=1.0, softness=1.0),
    )  # fmt: skip
    hers = (values @ KERNEL + BIAS)[:, [3, 1]].argmax(1)
    assert (hers == 1).any()
    assert (hers == (values @ head.kernel + head.bias)[:, [0, 1]].argmax(1)).mean() > 0.95
    assert not head.kernel[:, 2].any()
    assert not head.bias[2]


# Photographs.


def blocks(pixels):
    """What tells a photograph from all others: mean colours of its parts, float32 [n, 48]."""
    return pixels.reshape(-1, 4, 12, 4, 12, 3).mean((2, 4), dtype=np.float32).reshape(-1, 48)


def test_what_stands_beside_a_photograph_goes_where_it_goes(small_catalog):
    """Through the shuffling, the sampling, several workers and going on at any step."""
    catalog = open_catalog(small_catalog)
    contents = blocks(next(Contract(48).read_batches(catalog.photos("train").paths, 12)))
    options = BatchOptions(48, 4, sampling=Sampling(power=0.5), augmentation=None)
    batches = Batches(stored_photos(catalog, "train", 48), options, contents)
    spec = batches.dataset().element_spec[1]
    assert [tuple(each.shape) for each in spec] == [(4,), (4, 48)]
    stream = list(batches.dataset(epochs=3))
    for pixels, (labels, beside) in stream:
        distances = np.abs(blocks(pixels.numpy())[:, None] - contents).sum(-1)
        assert (contents[distances.argmin(1)] == beside.numpy()).all()
        assert labels.shape == (4,)
    later = list(batches.dataset(epoch=1, step=1, epochs=2))
    parts = [list(batches.dataset(epochs=3, worker=worker, workers=2)) for worker in (0, 1)]
    for (_, (_, whole)), *halves in zip(stream, *parts, strict=True):
        assert (np.concatenate([beside for _, (_, beside) in halves]) == whole.numpy()).all()
    for (_, (_, whole)), (_, (_, again)) in zip(stream[-len(later) :], later, strict=True):
        assert (whole.numpy() == again.numpy()).all()
