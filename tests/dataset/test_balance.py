from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.dataset.balance import Sampling, sampled_rows, seen_counts, used_photographs

CLASS_COUNT = 6
class_ids = st.lists(st.integers(0, CLASS_COUNT - 1), min_size=1, max_size=60).map(
    lambda ids: np.array(ids, np.int32)
)
samplings = st.builds(Sampling, st.integers(0, 12), st.sampled_from([0, 0.25, 0.5, 0.9, 1]))
seeds = st.integers(0, 2**63 - 1)
TAIL = np.repeat(np.arange(4), [64, 16, 4, 1]).astype(np.int32)


def epoch_of(rows, epoch):
    return rows.numbers(epoch, np.arange(len(rows)))


def capped(ids, sampling):
    counts = np.bincount(ids, minlength=CLASS_COUNT)
    return np.minimum(counts, sampling.max_photos or len(ids))


@given(class_ids, samplings)
def test_the_share_of_a_class_follows_the_power_of_its_count(ids, sampling):
    counts = capped(ids, sampling)
    seen = seen_counts(ids, CLASS_COUNT, sampling)
    shares = np.where(counts > 0, counts.astype(float) ** sampling.power, 0)
    assert np.abs(seen - counts.sum() * shares / shares.sum()).max() <= 0.5001
    assert np.array_equal(seen > 0, counts > 0)
    if sampling.power == 1:
        assert np.array_equal(seen, counts)


@given(class_ids, samplings, seeds, st.integers(0, 10**6))
def test_an_epoch_has_what_the_counts_say(ids, sampling, seed, epoch):
    rows = sampled_rows(ids, sampling, seed)
    seen = seen_counts(ids, CLASS_COUNT, sampling)
    numbers = epoch_of(rows, epoch)
    assert numbers.dtype == np.int64
    assert len(numbers) == len(rows) == seen.sum()
    assert np.array_equal(np.bincount(ids[numbers], minlength=CLASS_COUNT), seen)


@given(class_ids, samplings, seeds, st.integers(0, 1000), st.integers(1, 8))
def test_photographs_of_a_class_are_used_equally_often(ids, sampling, seed, first, epochs):
    rows = sampled_rows(ids, sampling, seed)
    used = np.zeros(len(ids), int)
    for epoch in range(first, first + epochs):
        np.add.at(used, epoch_of(rows, epoch), 1)
    counts = capped(ids, sampling)
    for class_id in np.unique(ids):
        allowed = np.sort(used[ids == class_id])[-counts[class_id] :]
        assert allowed[-1] - allowed[0] <= 1
        assert used[ids == class_id].sum() == allowed.sum()


@given(class_ids, samplings, seeds, st.integers(0, 10**6), st.data())
def test_any_rows_are_computed_alone(ids, sampling, seed, epoch, data):
    rows = sampled_rows(ids, sampling, seed)
    some = np.array(data.draw(st.lists(st.integers(0, len(rows) - 1))), np.int64)
    again = sampled_rows(ids.copy(), sampling, seed)
    assert np.array_equal(again.numbers(epoch, some), epoch_of(rows, epoch)[some])


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_cap_chooses_by_seed_for_all_epochs(power):
    def used(seed):
        rows = sampled_rows(TAIL, Sampling(8, power), seed)
        return set(np.concatenate([epoch_of(rows, epoch) for epoch in range(20)]).tolist())

    assert len(used(1)) == 8 + 8 + 4 + 1
    assert used(1) == used(1) != used(2)


def test_a_cap_alone_gives_each_photograph_once():
    rows = sampled_rows(TAIL, Sampling(max_photos=8), 3)
    for epoch in range(3):
        assert len(set(epoch_of(rows, epoch).tolist())) == len(rows) == 21


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), [64, 16, 4, 1]),
        (Sampling(power=0.5), [45, 23, 11, 6]),
        (Sampling(power=0), [21, 21, 21, 21]),
        (Sampling(max_photos=4, power=0.5), [4, 4, 4, 2]),
    ],
)
def test_seen_counts(sampling, expected):
    assert seen_counts(TAIL, 5, sampling).tolist() == [*expected, 0]


def test_photographs_of_a_class_come_by_chance_over_their_numbers():
    ids = np.zeros(10_000, np.int32)
    order = sampled_rows(ids, Sampling(power=0), 0).photographs
    assert np.array_equal(np.sort(order), np.arange(10_000))
    assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(order, np.arange(10_000))[0, 1]) < 0.05
    assert order.dtype == np.int32


def test_large_class_ids_leave_room_for_numbers():
    ids = np.array([2**20, 3, 2**20, 3, 2**20], np.int32)
    numbers = epoch_of(sampled_rows(ids, Sampling(power=0), 0), 0)
    assert ids[numbers].tolist() == [3] * 3 + [2**20] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_photos": -1}, r"max_photos must be 0 \(all\) or more, not -1"),
        ({"power": -0.1}, "power must be from 0 to 1"),
        ({"power": 1.5}, "power must be from 0 to 1, not 1.5"),
        ({"power": float("nan")}, "power must be"),
    ],
)
def test_numbers_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


@given(class_ids, samplings, seeds)
def test_the_photographs_used_are_those_that_some_epoch_sees(ids, sampling, seed):
    rows = sampled_rows(ids, sampling, seed)
    seen = {n for epoch in range(len(ids)) for n in epoch_of(rows, epoch).tolist()}
    assert used_photographs(ids, sampling, seed).tolist() == sorted(seen)
