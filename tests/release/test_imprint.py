import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.release import imprint as module
from taxonvision.release.imprint import imprint

SIZE, OLD, NEW = 24, 12, 4


class World:
    """Classes whose features vary together in a few directions, and a head that knows some."""

    def __init__(self, seed=0, each=30, classes=OLD + NEW):
        rng = np.random.default_rng(seed)
        self.centres = rng.normal(1, 1, (classes, SIZE))
        self.mixing = rng.normal(size=(SIZE, SIZE)) * np.linspace(0.05, 0.6, SIZE)
        self.rng = rng
        self.values, self.class_ids = self.photographs(each)
        # The rows of the old ones are those of the Gaussians that they are, half as sure.
        covariance = self.mixing @ self.mixing.T + 0.1 * np.eye(SIZE)
        rows = np.linalg.solve(covariance, self.centres.T) / 2
        self.kernel = rows.astype(np.float32)
        self.bias = (-0.5 * (self.centres.T * rows).sum(axis=0)).astype(np.float32)
        self.kernel[:, OLD:] = 0
        self.bias[OLD:] = 0

    def photographs(self, each):
        class_ids = np.tile(np.arange(len(self.centres)), each)
        noise = self.rng.normal(size=(len(class_ids), SIZE)) @ self.mixing.T
        return (self.centres[class_ids] + noise).astype(np.float32), class_ids.astype(np.int32)

    def imprint(self, keep=slice(None), *, new=range(OLD, OLD + NEW), old=range(OLD), **options):
        return imprint(
            self.kernel, self.bias, self.values[keep], self.class_ids[keep],
            new=np.array(new, int), old=np.array(old, int), **options,
        )  # fmt: skip

    def accuracies(self, kernel, bias):
        """The share of old and of new photographs, seen for the first time, that are right."""
        values, class_ids = self.photographs(100)
        right = (values @ kernel + bias).argmax(axis=1) == class_ids
        return right[class_ids < OLD].mean(), right[class_ids >= OLD].mean()


@pytest.fixture(scope="module")
def world():
    return World()


def only_new(world):
    return world.class_ids >= OLD


def test_new_taxa_are_told_and_old_ones_stay_so(world):
    before, nothing = world.accuracies(world.kernel, world.bias)
    after, new = world.accuracies(*world.imprint())
    assert (nothing, new > 0.85, after > before - 0.05) == (0, True, True)


def test_without_photographs_of_old_classes(world):
    before, _ = world.accuracies(world.kernel, world.bias)
    after, new = world.accuracies(*world.imprint(only_new(world)))
    assert new > 0.7
    assert after > before - 0.1


def test_better_than_plain_means(world):
    _, whitened = world.accuracies(*world.imprint())
    kernel, bias = world.kernel.copy(), world.bias.copy()
    length = np.linalg.norm(kernel[:, :OLD], axis=0).mean()
    means = [world.values[world.class_ids == c].mean(axis=0) for c in range(OLD, OLD + NEW)]
    kernel[:, OLD:] = np.array([m / np.linalg.norm(m) * length for m in means]).T
    bias[OLD:] = bias[:OLD].mean()
    _, plain = world.accuracies(kernel, bias)
    assert whitened > plain + 0.1


def test_columns_of_others_stay_bit_for_bit_and_arguments_untouched(world):
    given_kernel, given_bias = world.kernel.copy(), world.bias.copy()
    kernel, bias = world.imprint(new=[OLD, OLD + 2])
    assert np.array_equal(world.kernel, given_kernel)
    assert np.array_equal(world.bias, given_bias)
    others = [c for c in range(OLD + NEW) if c not in (OLD, OLD + 2)]
    assert np.array_equal(kernel[:, others], given_kernel[:, others])
    assert np.array_equal(bias[others], given_bias[others])
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)
    assert kernel[:, [OLD, OLD + 2]].any(axis=0).all()


def test_new_rows_are_as_long_as_old_ones(world):
    kernel, _ = world.imprint(old=range(OLD - 2))
    lengths = np.linalg.norm(kernel, axis=0)
    assert np.allclose(lengths[OLD:], lengths[: OLD - 2].mean(), rtol=1e-5)


def test_new_classes_get_their_share_of_probability(world):
    kernel, bias = world.imprint()
    logits = world.values @ kernel + bias
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    taken = odds[:, OLD:].sum(axis=1) / odds.sum(axis=1)
    # A little more than their share: they are not judged by photographs in their own means.
    assert NEW / (OLD + NEW) <= taken.mean() < NEW / (OLD + NEW) + 0.02


def test_fewer_old_photographs_than_enough_count_as_none(world):
    rows = np.flatnonzero(only_new(world))
    few = np.concatenate([np.flatnonzero(~only_new(world))[: module._ENOUGH - 1], rows])
    kernel, bias = world.imprint(np.sort(few))
    shares = []
    for rows in (few, world.class_ids >= 0):
        kernel, bias = world.imprint(rows)
        logits = world.values[only_new(world)] @ kernel + bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares.append((odds[:, OLD:].sum(axis=1) / odds.sum(axis=1)).mean())
    assert shares[0] == pytest.approx(0.88, abs=0.03)
    assert shares[1] > shares[0]


def test_a_retired_class_is_no_rival(world):
    other = World()
    other.bias[3] = 1e4  # retired, and it would take every photograph
    old = [c for c in range(OLD) if c != 3]
    kept = other.class_ids != 3
    assert np.array_equal(other.imprint(kept, old=old)[0], world.imprint(kept, old=old)[0])
    assert np.array_equal(
        other.imprint(kept, old=old)[1][OLD:], world.imprint(kept, old=old)[1][OLD:]
    )


def test_a_class_without_photographs_is_never_the_best(world):
    kept = world.class_ids != OLD + 1
    kernel, bias = world.imprint(kept)
    assert not kernel[:, OLD + 1].any()
    logits = world.values @ kernel + bias
    assert (logits.argmax(axis=1) != OLD + 1).all()
    assert kernel[:, OLD + 2].any()
    kernel, bias = world.imprint(world.class_ids < OLD)
    assert np.array_equal(kernel, world.kernel)
    assert np.array_equal(bias[:OLD], world.bias[:OLD])


@pytest.mark.parametrize("each", [1, 2, 3])
def test_few_photographs_a_class_are_not_taken_for_easy_ones(each):
    world = World(seed=1)
    rows = [np.flatnonzero(world.class_ids == c)[: each if c >= OLD else 30] for c in range(16)]
    _, new = world.accuracies(*world.imprint(np.sort(np.concatenate(rows))))
    assert new > 0.5


@pytest.mark.parametrize("each", [1, 5, 30])
def test_a_single_class_alone(each):
    world = World(seed=2)
    rows = np.flatnonzero(world.class_ids == OLD)[:each]
    kernel, bias = world.imprint(rows, new=[OLD])
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()
    assert kernel[:, OLD].any()
    assert not kernel[:, OLD + 1 :].any()
    after, _ = world.accuracies(kernel, bias)
    assert after > 0.5


def test_features_that_do_not_vary():
    world = World(seed=3)
    world.values[:] = 1
    kernel, bias = world.imprint()
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()


def test_the_seed_decides_the_sample(world, monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", 150)
    monkeypatch.setattr(module, "_JUDGED", 60)
    monkeypatch.setattr(module, "_CHUNK", 7)
    monkeypatch.setattr(module, "_LOGITS", 100)
    (first, again, other) = (world.imprint(seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    monkeypatch.undo()
    assert world.accuracies(*world.imprint(seed=1))[1] > 0.85


class Counted:
    """Features that note how many rows are asked for at once."""

    def __init__(self, values):
        self.values, self.most, self.all = values, 0, 0

    def __getitem__(self, rows):
        self.most, self.all = max(self.most, len(rows)), self.all + len(rows)
        assert (np.diff(rows) > 0).all()  # a cache on disk is read from its begin to its end
        return self.values[rows]


def test_features_are_read_in_chunks_and_in_order(world, monkeypatch):
    monkeypatch.setattr(module, "_SAMPLE", 40)
    monkeypatch.setattr(module, "_SAMPLE_OF_CLASS", 10)
    monkeypatch.setattr(module, "_JUDGED", 50)
    monkeypatch.setattr(module, "_CHUNK", 16)
    features = Counted(world.values)
    imprint(
        world.kernel, world.bias, features, world.class_ids,
        new=np.arange(OLD, OLD + NEW), old=np.arange(OLD),
    )  # fmt: skip
    assert features.most == 80
    assert features.all <= 120 + 80 + 80


@given(st.lists(st.integers(0, 15), min_size=1, max_size=40), st.integers(0, 9))
def test_whatever_is_at_hand(classes, seed):
    world = World(seed=seed, each=3)
    rows = np.array([3 * c % 48 + i % 3 for i, c in enumerate(classes)])
    world.class_ids[: len(rows)] = classes
    kernel, bias = world.imprint(slice(0, len(rows)))
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()
    filled = {c for c in classes if c >= OLD}
    assert {c for c in range(OLD, OLD + NEW) if kernel[:, c].any()} == filled
    assert np.array_equal(kernel[:, :OLD], world.kernel[:, :OLD])
