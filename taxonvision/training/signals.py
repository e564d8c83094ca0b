"""A word from the scheduler that the job must end soon."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any


class Notice:
    """Within its block SIGTERM and SIGUSR1 do not end the process but are noted.

    SLURM sends them before it takes a job's nodes (`--signal=USR1@120`, preemption, time limit).
    """

    def __init__(self) -> None:
        self.given = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Notice:
        for number in (signal.SIGTERM, signal.SIGUSR1):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.given = True
