"""Starts the processes of one training on this machine: TF_CONFIG on loopback, a thread each.

They are forked from a server that has imported TensorFlow and not yet used it, so that it has no
threads: each begins in no time where an import takes seconds, and shares nothing with the others.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from unittest import mock

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "2",  # one would leave none to serve the other worker
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
}

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["tensorflow", "keras", "taxonvision.training.train"])


@dataclass(frozen=True)
class Outcome:
    """How one process ended."""

    returncode: int
    stdout: str
    stderr: str


class Workers:
    """Running processes of one cluster, by their rank."""

    def __init__(self, processes: Sequence[ForkServerProcess], logs: Path) -> None:
        self.processes = processes
        self._logs = logs

    def output(self, rank: int, stream: str = "stdout") -> str:
        """What the process has written so far to `stdout` or `stderr`."""
        return (self._logs / f"{rank}.{stream}").read_text(errors="replace")

    def wait_for(self, text: str, rank: int, seconds: float, stream: str = "stdout") -> None:
        """Return once the process has written the text."""
        deadline = time.monotonic() + seconds
        while text not in self.output(rank, stream):
            ended = self.processes[rank].exitcode
            assert ended is None, f"worker {rank} ended by {ended}: {self.output(rank, 'stderr')}"
            assert time.monotonic() < deadline, f"worker {rank} did not say {text!r} in {seconds} s"
            time.sleep(0.02)

    def send(self, rank: int, sent: signal.Signals) -> None:
        """Send a signal to one process."""
        process = self.processes[rank]
        if process.exitcode is None:
            os.kill(process.pid, sent)

    def outcomes(self, seconds: float) -> list[Outcome]:
        """Wait until all have ended, at most so long; those still running then are killed."""
        deadline = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
        self.kill()
        return [
            Outcome(process.exitcode, self.output(rank), self.output(rank, "stderr"))
            for rank, process in enumerate(self.processes)
        ]

    def kill(self) -> None:
        """End those that still run."""
        for process in self.processes:
            process.kill()
            process.join()


def _run(arguments: Sequence[str], variables: Mapping[str, str], out: Path, err: Path) -> None:
    """Be `python ARGUMENTS` with these variables, in a process that was forked."""
    os.environ.clear()
    os.environ.update(variables)
    for path, descriptor in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    program, *rest = arguments
    try:
        if program == "-c":
            sys.argv = ["-c", *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = [program, *rest]
            sys.path.insert(0, str(Path(program).parent))
            runpy.run_path(program, run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


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
        arguments: of Python: a script and its arguments, or `-c` and a program.
        count: processes of the cluster; 1 runs without TF_CONFIG.
        environment: added to the variables of each.
        only: ranks that are started; all where None.
    """
    addresses, words = free_addresses(count), [str(argument) for argument in arguments]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        processes: list[ForkServerProcess] = []
        workers = Workers(processes, Path(folder))
        stack.callback(workers.kill)
        for rank in range(count) if only is None else only:
            variables = {**os.environ, **ONE_THREAD, **(environment or {})}
            variables.pop("TF_CONFIG", None)
            if count > 1:
                task = {"type": "worker", "index": rank}
                cluster = {"worker": addresses}
                variables["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
            out, err = (
                Path(folder, f"{len(processes)}.{stream}") for stream in ("stdout", "stderr")
            )
            for path in (out, err):
                path.touch()
            process = _SERVER.Process(target=_run, args=(words, variables, out, err))
            with mock.patch.dict(os.environ, ONE_THREAD):  # of the server, which the first starts
                process.start()
            processes.append(process)
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
