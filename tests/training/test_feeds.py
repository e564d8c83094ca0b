from __future__ import annotations

import itertools

import numpy as np
import pytest

from taxonvision.models.engine import load_keras

load_keras()

from taxonvision.dataset.balance import Sampling  # noqa: E402
from taxonvision.training import feeds  # noqa: E402
from taxonvision.training.feeds import FeatureFeed, Features  # noqa: E402


def numbered(count, classes=3):
    """Features that tell which photograph they are of."""
    values = np.arange(count, dtype=np.float32)[:, None] * [1, 0] + [0, 7]
    labels = (np.arange(count) % classes).astype(np.int32)
    return Features(values.astype(np.float32), labels)


def feed(count=10, held_out=0, batch_size=3, sampling=None, seed=0):
    sampling = sampling or Sampling()
    return FeatureFeed(numbered(count), numbered(held_out), batch_size, sampling, seed)


def photographs(batches):
    return [inputs.numpy()[:, 0].astype(int).tolist() for inputs, _ in batches]


def test_an_epoch_shows_each_photograph_once_in_an_order_of_its_own():
    epochs = photographs(feed(9).training(0, 0, 2))
    assert len(epochs) == 6
    first, second = (list(itertools.chain(*epochs[at : at + 3])) for at in (0, 3))
    assert sorted(first) == sorted(second) == list(range(9))
    assert first != second
    assert first != photographs(feed(9, seed=1).training(0, 0, 1))


def test_labels_belong_to_their_features():
    for inputs, labels in feed().training(0, 0, 3):
        assert labels.numpy().tolist() == [int(row) % 3 for row in inputs.numpy()[:, 0]]
        assert (inputs.dtype, labels.dtype) == ("float32", "int32")


def test_it_goes_on_at_any_step():
    some = feed()
    assert some.steps_per_epoch == 3
    whole = photographs(some.training(0, 0, 4))
    for start in range(len(whole) + 1):
        epoch, step = divmod(start, 3)
        assert photographs(some.training(epoch, step, 4 - epoch)) == whole[start:]
    # An epoch whose steps are done but whose end was not reached.
    assert photographs(some.training(1, 3, 3)) == whole[6:]


def test_sampling_changes_what_is_seen():
    capped = feed(12, sampling=Sampling(max_photos=2))
    assert capped.steps_per_epoch == 2
    seen = list(itertools.chain(*photographs(capped.training(0, 0, 3))))
    assert len(set(seen)) == 6


def test_a_batch_is_never_larger_than_what_there_is():
    some = feed(5, batch_size=100)
    assert (some.batch_size, some.steps_per_epoch) == (5, 1)
    assert sorted(photographs(some.training(0, 0, 1))[0]) == list(range(5))


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (5, [4, 1]), (8, [4, 4])])
def test_all_that_is_held_out_is_validated_with(monkeypatch, count, sizes):
    monkeypatch.setattr(feeds, "_FEATURES_VALIDATED", 4)
    some = feed(held_out=count)
    batches = photographs(some.validation())
    assert [len(batch) for batch in batches] == sizes
    assert list(itertools.chain(*batches)) == list(range(count))
    assert all(size <= some.validation_rows for size in sizes)


def test_mean_and_deviation_are_of_what_is_trained_on():
    some = feed(10, held_out=50)
    np.testing.assert_allclose(some.mean, [4.5, 7])
    np.testing.assert_allclose(some.deviation, [np.arange(10).std(), 0])


def with_views(count, views, seed=0, batch_size=3):
    """Each look tells its number in the second feature."""
    plain = numbered(count)
    looks = [plain.values * [1, 0] + [0, view] for view in range(views)]
    values, *others = (look.astype(np.float32) for look in looks)
    train = Features(values, plain.class_ids, tuple(others))
    return FeatureFeed(train, numbered(0), batch_size, Sampling(), seed)


def looks(feed, epochs):
    """By epoch, which view of each photograph is seen."""
    rows = np.concatenate([inputs.numpy() for inputs, _ in feed.training(0, 0, epochs)])
    rows = rows.astype(int).reshape(epochs, -1, 2)
    return [dict(epoch.tolist()) for epoch in rows]


@pytest.mark.parametrize("views", [2, 3])
def test_a_photograph_is_seen_in_all_its_views_in_turn(views):
    seen = looks(with_views(9, views), 2 * views)
    for number in range(9):
        turns = [epoch[number] for epoch in seen]
        assert sorted(turns[:views]) == list(range(views))
        assert turns[views:] == turns[:views]
    # Every epoch has views of all kinds.
    assert {frozenset(epoch.values()) for epoch in seen} == {frozenset(range(views))}


def test_views_change_nothing_of_the_order_and_go_on_anywhere():
    some = with_views(9, 3)
    assert [list(epoch) for epoch in looks(some, 2)] == [
        list(e) for e in looks(with_views(9, 1), 2)
    ]
    assert looks(some, 4) == looks(with_views(9, 3), 4)
    whole = [inputs.numpy().tolist() for inputs, _ in some.training(0, 0, 3)]
    later = [inputs.numpy().tolist() for inputs, _ in some.training(1, 2, 2)]
    assert later == whole[5:]


def test_labels_belong_to_their_views():
    for inputs, labels in with_views(10, 3).training(0, 0, 3):
        assert labels.numpy().tolist() == [int(row) % 3 for row in inputs.numpy()[:, 0]]
        assert inputs.dtype == "float32"
