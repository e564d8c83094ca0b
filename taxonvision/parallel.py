"""Work on many files at once: in threads, in bounded memory, or in processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import TypeVar

from taxonvision.errors import UserError

T = TypeVar("T")
R = TypeVar("R")
_AHEAD_PER_WORKER = 16


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map` in as many threads as there are cores; at most a few items are worked on ahead.

    Threads serve decoding and hashing well: Pillow, NumPy and hashlib release the interpreter's
    lock. An exception is raised at its item's turn.
    """
    workers = cores()
    pending: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= workers * _AHEAD_PER_WORKER:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def map_in_processes(
    function: Callable[[T], R], items: Sequence[T], workers: int | None = None
) -> Generator[R, None, None]:
    """`map` in processes, as many as there are cores unless told; the results come in order.

    With one worker or one item all is done in this process. `function` must be found by its name
    in a module. When this process ends, however it ends, or the iterator is closed, the workers
    end at once in the midst of what they do. Raises UserError when the system kills one.
    """
    workers = min(cores() if workers is None else workers, len(items))
    if workers <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    alive, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(alive,)
    )
    try:
        with _without_ctrl_c():  # workers inherit that they do not hear it: this process acts on it
            results = pool.map(function, items)
        yield from results
    except BrokenProcessPool:
        raise UserError(
            "a worker process was ended from outside, perhaps for want of memory; "
            "run again with fewer workers"
        ) from None
    except BaseException:
        held.close()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        held.close()
        alive.close()


def _start_worker(alive: Connection) -> None:
    """End when the other end of the pipe is closed: by the parent, or because the parent died."""

    def leave_with_parent() -> None:
        with contextlib.suppress(EOFError, OSError):
            alive.recv_bytes()
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


@contextlib.contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Hold Ctrl-C back in this thread; one that came meanwhile is delivered at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
