"""A word from the scheduler that the job must end soon."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

from taxonvision.errors import RequeueError


class Notice:
    """Within its block SIGTERM and SIGUSR1 do not kill the process.

    SLURM sends them before it takes a job's nodes (`--signal=USR1@120`, preemption, time limit).
    At first they raise RequeueError wherever the process is: there is nothing to lose yet. From
    `only_note` on they are noted in `given`, and whoever trains looks there between two steps.
    """

    def __init__(self) -> None:
        self.given = False
        self._raises = True
        self._before: dict[int, Any] = {}

    def only_note(self) -> None:
        """From now on there is work to be saved first."""
        self._raises = False
        for number in self._before:
            # TensorFlow takes SIGTERM for itself where several processes train.
            signal.signal(number, self._note)

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
        if self._raises:
            raise RequeueError("told to stop before it began, exiting with 85 to be requeued")
