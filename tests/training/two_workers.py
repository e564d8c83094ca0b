"""Starts the processes of one training on this machine: TF_CONFIG on loopback, a thread each."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "2",  # one would leave none to serve the other worker
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}


@dataclass(frozen=True)
class Outcome:
    """How one process ended."""

    returncode: int
    stdout: str
    stderr: str


class Workers:
    """Running processes of one cluster, by their rank."""

    def __init__(self, processes: Sequence[subprocess.Popen[bytes]], logs: Path) -> None:
        self.processes = processes
        self._logs = logs

    def output(self, rank: int, stream: str = "stdout") -> str:
        """What the process has written so far to `stdout` or `stderr`."""
        return (self._logs / f"{rank}.{stream}").read_text(errors="replace")

    def wait_for(self, text: str, rank: int, seconds: float, stream: str = "stdout") -> None:
        """Return once the process has written the text."""
        deadline = time.monotonic() + seconds
        while text not in self.output(rank, stream):
            ended = self.processes[rank].poll()
            assert ended is None, f"worker {rank} ended by {ended}: {self.output(rank, 'stderr')}"
            assert time.monotonic() < deadline, f"worker {rank} did not say {text!r} in {seconds} s"
            time.sleep(0.02)

    def send(self, rank: int, sent: signal.Signals) -> None:
        """Send a signal to one process."""
        self.processes[rank].send_signal(sent)

    def outcomes(self, seconds: float) -> list[Outcome]:
        """Wait until all have ended, at most so long; those still running then are killed."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(subprocess.TimeoutExpired):
            for process in self.processes:
                process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()
        return [
            Outcome(process.returncode, self.output(rank), self.output(rank, "stderr"))
            for rank, process in enumerate(self.processes)
        ]

    def kill(self) -> None:
        """End those that still run."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


def free_addresses(count: int) -> list[str]:
    """Addresses on loopback whose ports nobody listens at."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


@contextlib.contextmanager
def start_workers(
    arguments: Sequence[str | Path],
    count: int = 2,
    *,
    environment: dict[str, str] | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[Workers]:
    """Run `python ARGUMENTS` in `count` processes that find each other; kill them at the end.

    Args:
        arguments: of Python: a script and its arguments, or `-m taxonvision train ...`.
        count: processes of the cluster; 1 runs without TF_CONFIG.
        environment: added to the variables of each.
        only: ranks that are started; all where None.
    """
    addresses = free_addresses(count)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as files:
        processes: list[subprocess.Popen[bytes]] = []
        workers = Workers(processes, Path(folder))
        files.callback(workers.kill)
        for rank in range(count) if only is None else only:
            variables = {**os.environ, **ONE_THREAD, **(environment or {})}
            variables.pop("TF_CONFIG", None)
            if count > 1:
                task = {"type": "worker", "index": rank}
                cluster = {"worker": addresses}
                variables["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            out, err = (
                files.enter_context((Path(folder) / f"{len(processes)}.{stream}").open("wb"))
                for stream in ("stdout", "stderr")
            )
            command = [sys.executable, *map(str, arguments)]
            processes.append(subprocess.Popen(command, stdout=out, stderr=err, env=variables))
        yield workers


def run_workers(
    arguments: Sequence[str | Path],
    count: int = 2,
    *,
    seconds: float = 300.0,
    environment: dict[str, str] | None = None,
) -> list[Outcome]:
    """Run the processes to their end and return how each ended, by rank."""
    with start_workers(arguments, count, environment=environment) as workers:
        return workers.outcomes(seconds)
