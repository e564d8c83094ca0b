"""Progress of long work on stderr: a live bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from taxonvision.text import for_screen, several

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")
_SECONDS_BETWEEN_LINES = 10.0
_WORTH_SAYING = 2.0  # seconds
_MOST_LEFT_OUT = 5


def say(message: str) -> None:
    """Write one line to stderr."""
    print(for_screen(message), file=sys.stderr, flush=True)


def say_left_out(faults: Sequence[str], whose: str) -> None:
    """Say which photographs are left out and why, the first few of many, and whose they are."""
    for line in faults[:_MOST_LEFT_OUT]:
        say(f"left out: {line}")
    if len(faults) > _MOST_LEFT_OUT:
        say(f"left out: {several(len(faults) - _MOST_LEFT_OUT, 'photograph')} more of {whose}")


def _one(item: object) -> int:
    return 1


def track(
    items: Iterable[T],
    total: int,
    description: str,
    unit: str = "photographs",
    size: Callable[[T], int] = _one,
    note: Callable[[], str] = str,
    closing: bool = True,
) -> Iterator[T]:
    """Pass `items` on and show how many of `total` are done, how many a second, the time left.

    `size` tells for how many an item counts: `len` for batches. `note` is asked for what else is to
    be shown. With `closing` a line at the end tells how long it took.
    """
    show = _track_on_terminal if sys.stderr.isatty() else _track_in_lines
    yield from show(items, total, description, unit, size, note, closing)


@contextlib.contextmanager
def working(description: str) -> Iterator[None]:
    """Show that something goes on whose end cannot be foreseen; from two seconds on, how long."""
    start = time.monotonic()
    with contextlib.ExitStack() as shown:
        if sys.stderr.isatty() and threading.current_thread() is threading.main_thread():
            shown.enter_context(_spinner(description))
        yield
    seconds = time.monotonic() - start
    if seconds >= _WORTH_SAYING:
        say(f"{description}: {seconds:.1f} s")


def _spinner(description: str) -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    progress.add_task(for_screen(description), total=None)
    return progress


def _track_on_terminal(
    items: Iterable[T],
    total: int,
    description: str,
    unit: str,
    size: Callable[[T], int],
    note: Callable[[], str],
    closing: bool,
) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(stderr=True), transient=not closing) as bar:
        task = bar.add_task(description, total=total, unit=unit, rate="", note="")
        done = 0
        for item in items:
            yield item
            done += size(item)
            rate = done / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=done, rate=f"{rate:.0f}/s", note=note())


def _track_in_lines(
    items: Iterable[T],
    total: int,
    description: str,
    unit: str,
    size: Callable[[T], int],
    note: Callable[[], str],
    closing: bool,
) -> Iterator[T]:
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - last >= max(_SECONDS_BETWEEN_LINES, (last - start) / 10) and done < total:
            rate = done / (now - start)
            left = (total - done) / rate
            line = f"{description}: {done}/{total} {unit}, {rate:.0f}/s, {left:.0f} s left"
            say(", ".join(part for part in (line, note()) if part))
            last = now
    if not closing:
        return
    seconds = time.monotonic() - start
    rate = done / max(seconds, 1e-9)
    say(f"{description}: {done} {unit} in {seconds:.1f} s, {rate:.0f}/s")
