"""Ctrl-C while DuckDB works: its query is ended first, then the interruption is raised.

Raised in the midst of a call it comes out of DuckDB as some other error, or ends the process.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended: in the midst of an import it does harm."""
    if not _in_charge():
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda signum, frame: pressed.append(signum))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


@contextlib.contextmanager
def interruptible(connection: DuckDBPyConnection) -> Iterator[DuckDBPyConnection]:
    """Yield what stands for a connection and is left by Ctrl-C with KeyboardInterrupt alone."""
    if not _in_charge():
        yield connection
        return
    guarded = _Guarded(connection)
    signal.signal(signal.SIGINT, guarded.stop)
    try:
        yield cast("DuckDBPyConnection", guarded)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _in_charge() -> bool:
    """Whether Ctrl-C raises KeyboardInterrupt here."""
    here = threading.current_thread() is threading.main_thread()
    return here and signal.getsignal(signal.SIGINT) is signal.default_int_handler


class _Guarded:
    """Passes every call on to a connection, and knows when one is under way."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection
        self._calling = self._stopped = False

    def __getattr__(self, name: str) -> Any:
        passed_on = getattr(self._connection, name)
        if not callable(passed_on):
            return passed_on

        def call(*arguments: Any, **options: Any) -> Any:
            self._calling = True
            try:
                result = passed_on(*arguments, **options)
            except Exception:
                if self._stopped:
                    raise KeyboardInterrupt from None
                raise
            finally:
                self._calling = False
            if self._stopped:
                raise KeyboardInterrupt
            return self if result is self._connection else result

        return call

    def stop(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal: raise, or end the query, whose caller will raise."""
        self._stopped = True
        if not self._calling:
            raise KeyboardInterrupt
        self._connection.interrupt()
