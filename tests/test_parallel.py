from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time

import pytest

from taxonvision.errors import UserError
from taxonvision.parallel import cores, map_in_order, map_in_processes


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


# Processes.


def test_one_worker_and_one_item_need_no_process():
    assert list(map_in_processes(lambda n: n * n, [3], 4)) == [9]
    assert list(map_in_processes(lambda n: n * n, [3, 4], 1)) == [9, 16]
    assert list(map_in_processes(abs, [], 4)) == []


@pytest.mark.slow
def test_processes_give_the_results_in_order():
    numbers = list(range(-50, 50))
    assert list(map_in_processes(abs, numbers, 2)) == [abs(n) for n in numbers]


@pytest.mark.slow
def test_an_exception_in_a_process_is_raised_here():
    results = map_in_processes(math.sqrt, [4, 9, -1, 16], 2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ValueError, match="math domain error"):
        next(results)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_closing_ends_the_workers_in_the_midst_of_their_work():
    results = map_in_processes(time.sleep, [0, 600, 600], 2)
    next(results)
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    begun = time.monotonic()
    results.close()
    assert time.monotonic() - begun < 60
    assert not any(worker.is_alive() for worker in workers)


@pytest.mark.slow
def test_a_worker_that_the_system_ends_is_a_sentence():
    with pytest.raises(UserError, match="a worker process was ended from outside"):
        list(map_in_processes(os._exit, [3, 3], 2))
