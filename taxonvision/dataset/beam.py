"""Shards written by an Apache Beam pipeline, where one machine is too small.

The workers see the catalog's photographs and the shards' folder under the same paths, on a file
system that they share, and have taxonvision with its extra `beam` installed.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

from taxonvision.chatter import without_chatter
from taxonvision.dataset.prepare import WriteShards
from taxonvision.dataset.write_shard import ShardJob, write_shard
from taxonvision.errors import UserError
from taxonvision.text import reason_of

_SECONDS_BETWEEN_LOOKS = 1.0
_DIRECT = "FnApiRunner"  # what DirectRunner comes to after looking for a program to download


def in_pipeline(runner: str, options: Sequence[str] = ()) -> WriteShards:
    """Shards written by a pipeline, once.

    Args:
        runner: a name that Beam knows: DirectRunner, FlinkRunner, SparkRunner, DataflowRunner ...
        options: Beam's and the runner's own: `parallelism=8`, or a switch such as `streaming`.

    Raises UserError for a runner or a value that Beam does not know. Options that it does not know
    go to the runner, with a warning of Beam's.
    """
    with without_chatter():  # which clients of clouds are not installed
        import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    direct = runner.lower() in ("direct", "directrunner")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            pipeline_options = PipelineOptions([f"--{option}" for option in options])
            pipeline_options.get_all_options()
        pipeline = beam.Pipeline(_DIRECT if direct else runner, pipeline_options)
    except SystemExit:  # argparse
        reason = complaint.getvalue().strip().rpartition("error: ")[2]
        raise UserError(f"--beam_options: {reason}") from None
    except (ImportError, ValueError, AttributeError) as error:
        raise UserError(f"--beam_runner={runner}: {reason_of(error)}") from None

    def write(jobs: Sequence[ShardJob]) -> Generator[int, None, None]:
        _ = (
            pipeline
            | "Shards" >> beam.Create(list(jobs))
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.Map(_write_or_tell)
        )
        yield from _appearing(jobs, _Run(pipeline))
        _check(jobs)

    return write


def _write_or_tell(job: ShardJob) -> None:
    """`write_shard` in a worker; a fault of the user's is told in a file, not by a traceback."""
    fault = _fault_of(job)
    fault.unlink(missing_ok=True)
    try:
        write_shard(job)
    except UserError as error:
        fault.write_text(str(error), encoding="utf-8")


def _fault_of(job: ShardJob) -> Path:
    return job.work / f"{job.shard.file}.fault"


def _check(jobs: Sequence[ShardJob]) -> None:
    """Raise UserError unless all shards are there."""
    missing = [job for job in jobs if not job.target.exists()]
    for job in missing:
        with contextlib.suppress(OSError):
            raise UserError(_fault_of(job).read_text(encoding="utf-8"))
    if missing:
        raise UserError(
            f"the pipeline ended without writing {missing[0].target}; its workers must see the "
            "photographs and this folder under the same paths"
        )


class _Run:
    """A running pipeline, in a thread of its own since some runners return only at the end."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._result: Any = None
        self._outcome: queue.Queue[Exception | None] = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._result = self._pipeline.run()
            self._result.wait_until_finish()
            self._outcome.put(None)
        except Exception as error:  # whatever an engine raises
            self._outcome.put(error)

    def has_ended(self) -> bool:
        """Wait a moment; whether it ended well. Raises UserError when it failed."""
        try:
            error = self._outcome.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            return False
        if error is not None:
            raise UserError(f"the Beam pipeline failed ({reason_of(error, 500)})")
        return True

    def cancel(self) -> None:
        """Tell a runner elsewhere to stop."""
        if self._result is not None:
            with contextlib.suppress(Exception):  # runners that cannot
                self._result.cancel()


def _appearing(jobs: Sequence[ShardJob], run: _Run) -> Iterator[int]:
    """The numbers of photographs of the shards as they appear, until the run has ended."""
    waiting = list(jobs)
    ended = False
    try:
        while not ended:
            ended = run.has_ended()
            there = {path.name for path in jobs[0].folder.iterdir()} if jobs else set()
            for job in waiting:
                if job.shard.file in there:
                    yield job.shard.photographs
            waiting = [job for job in waiting if job.shard.file not in there]
    except BaseException:
        run.cancel()
        raise
