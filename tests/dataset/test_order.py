from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.dataset.order import Order, part_of


def numbers_of(order, epoch, positions):
    import tensorflow as tf

    epoch, positions = (tf.constant(value, tf.int64) for value in (epoch, positions))
    return order.numbers(epoch, positions).numpy()


@given(st.integers(1, 200), st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_every_epoch_has_every_photograph_once(photographs, seed, epoch):
    found = numbers_of(Order(photographs, 1, seed), epoch, np.arange(photographs))
    assert sorted(found.tolist()) == list(range(photographs))


def test_another_seed_or_epoch_is_another_order():
    orders = [
        tuple(numbers_of(Order(50, 1, seed), epoch, np.arange(50)))
        for seed in range(3)
        for epoch in range(3)
    ]
    assert len(set(orders)) == 9


def test_neighbours_in_the_catalog_do_not_stay_neighbours():
    found = numbers_of(Order(10_000, 1, 0), 0, np.arange(10_000))
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(found, np.arange(10_000))[0, 1]) < 0.05


def test_a_position_far_behind_is_computed_alone():
    order = Order(3_000_000_000, 1, 0)
    far = numbers_of(order, 7, np.array([2_999_999_999, 5, 2_500_000_000]))
    assert np.array_equal(far[1:2], numbers_of(order, 7, np.array([5])))
    assert len(set(far.tolist())) == 3
    assert (far < 3_000_000_000).all()


def test_without_shuffling_the_order_is_that_of_the_numbers():
    assert numbers_of(Order(9, 2, 4, shuffle=False), 3, np.arange(9)).tolist() == list(range(9))


@pytest.mark.parametrize(
    ("photographs", "batch_size", "batch", "steps"),
    [(10, 3, 3, 3), (9, 3, 3, 3), (2, 3, 2, 1), (3, 3, 3, 1), (1, 1, 1, 1)],
)
def test_photographs_that_fill_no_batch_are_left_out_unless_they_are_all(
    photographs, batch_size, batch, steps
):
    order = Order(photographs, batch_size)
    assert (order.batch, order.steps_per_epoch) == (batch, steps)


@given(st.integers(0, 300), st.integers(1, 20))
def test_the_shares_of_workers_follow_each_other_and_hardly_differ(rows, workers):
    shares = [part_of(rows, worker, workers) for worker in range(workers)]
    assert [row for share in shares for row in share] == list(range(rows))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Order(0, 1), "no photograph"),
        (lambda: Order(5, 0), "at least one photograph"),
        (lambda: Order(5, 1, seed=-1), "seed must be"),
        (lambda: Order(5, 1, seed=2**63), "seed must be"),
        (lambda: Order(5, 4).part(2, 2), "worker must be from 0 to 1"),
        (lambda: Order(5, 4).part(-1, 2), "worker must be from 0 to 1"),
        (lambda: Order(3, 4).part(0, 4), "4 workers cannot share a batch of 3"),
    ],
)
def test_numbers_out_of_range(make, message):
    with pytest.raises(ValueError, match=message):
        make()
