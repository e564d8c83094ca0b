from __future__ import annotations

import threading

import pytest

from taxonvision.parallel import cores, map_in_order


def test_results_come_in_the_order_of_the_items():
    assert list(map_in_order(lambda n: n * n, range(1000))) == [n * n for n in range(1000)]


def test_only_a_few_items_are_taken_ahead():
    taken = []

    def items():
        for n in range(10_000):
            taken.append(n)
            yield n

    results = map_in_order(lambda n: n, items())
    next(results)
    assert len(taken) <= 16 * cores() + 1
    results.close()
    assert len(taken) <= 16 * cores() + 1


def test_several_items_are_worked_on_at_once():
    meeting = threading.Barrier(min(2, cores()), timeout=30)
    assert sorted(map_in_order(lambda n: meeting.wait() * 0 + n, range(2))) == [0, 1]


def test_an_exception_is_raised_at_its_turn():
    def fail_at_three(n):
        if n == 3:
            raise ValueError("three")
        return n

    results = map_in_order(fail_at_three, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
