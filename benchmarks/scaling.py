"""What a second worker adds to full training: two processes of one core each against one.

The claim: EfficientNet-Lite0 at 224 pixels, all layers trained, batch normalisation synchronised
over the workers, 32 photographs a worker: two workers together train at least 0.85 times two as
many photographs a second as one worker alone does, the other core idle.

    python benchmarks/scaling.py [--steps=4 --workdir=DIR]

What the machine itself allows, since two busy cores share its memory and its clock, is measured in
the same run by two independent single workers side by side. Beside that, batch normalisation
frozen, where only gradients go between the workers.

The real command runs in processes that find each other by TF_CONFIG on loopback, each with one
thread and bound to a core of its own. Speeds are those of the last epoch; before it the step is
traced. It takes eight minutes and says little on a machine that is busy.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from absl import app, flags
from commands import Claims, taxonvision

_SIZE = flags.DEFINE_integer("size", 224, "side of the network's input in pixels", lower_bound=32)
_BATCH = flags.DEFINE_integer("batch", 32, "photographs a worker and step", lower_bound=2)
_STEPS = flags.DEFINE_integer("steps", 4, "steps an epoch", lower_bound=1)
_EPOCHS = flags.DEFINE_integer("epochs", 2, "epochs, of which the last counts", lower_bound=2)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_TAXA, _WORKERS = 2, 2
_THREADS = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}
_SYNCHRONISED, _FROZEN = "--nofreeze_batch_norm", "--freeze_batch_norm"


@dataclass(frozen=True)
class _Process:
    """One `train`.

    Attributes:
        out: the model to write.
        core: the only one it runs on.
        strategy: as `--strategy`.
        workers: how many share its batch.
        cluster: TF_CONFIG; empty for a single worker.
    """

    out: Path
    core: int
    strategy: str = "single"
    workers: int = 1
    cluster: str = ""


def main(argv: list[str]) -> int:
    """Make shards, train in every way, print the speeds and the verdict on the claim."""
    cores = _cores()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary)
        shards = _shards(work)
        one, both = _single(work, cores[:1]), _cluster(work, cores)
        alone = _speeds(shards, one, _SYNCHRONISED)[0]
        together = _speeds(shards, both, _SYNCHRONISED)[0]
        beside = sum(_speeds(shards, _single(work, cores), _SYNCHRONISED))
        alone_frozen = _speeds(shards, one, _FROZEN)[0]
        together_frozen = _speeds(shards, both, _FROZEN)[0]
    efficiency = together / (_WORKERS * alone)
    print("\nphotographs a second     one alone   two     of twice one")
    for name, speed, single in (
        ("two workers", together, alone),
        ("two independent ones", beside, alone),
        ("two workers, frozen", together_frozen, alone_frozen),
    ):
        print(
            f"{name:22} {_WORKERS} x {single:5.2f} {speed:7.2f} {speed / (_WORKERS * single):15.3f}"
        )
    print(f"two workers against two independent ones: {together / beside:.3f}")
    claims = Claims()
    claims.judge("two workers / (2 * one worker) >= 0.85", efficiency, efficiency >= 0.85)
    return claims.exit_code


def _cores() -> list[int]:
    """Two cores that this process may use, not two threads of one if that can be avoided."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < _WORKERS:
        sys.exit("this takes two cores; one would be shared by both workers")
    first, *others = allowed
    apart = [core for core in others if _siblings(core) != _siblings(first)]
    if not apart:
        print("warning: the two cores are threads of one, which share what computes")
    return [first, (apart or others)[0]]


def _siblings(core: int) -> str:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    return path.read_text() if path.exists() else str(core)


def _shards(work: Path) -> Path:
    """Synthetic photographs, all for training, as many as two workers take in an epoch."""
    synth, catalog, shards = work / "synth", work / "catalog", work / "shards"
    taxonvision(
        "synth", f"--out={synth}", f"--taxa={_TAXA}", f"--photos_per_taxon={_photos(_WORKERS)}"
    )
    with (synth / "labels.csv").open(newline="") as given:
        rows = [{**row, "split": "train"} for row in csv.DictReader(given)]
    with (work / "labels.csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    taxonvision(
        "ingest", f"--input={synth / 'photos'}", f"--labels={work / 'labels.csv'}",
        f"--taxa={synth / 'class_taxa.csv'}", f"--taxonomy={synth / 'taxonomy.csv'}",
        f"--out={catalog}",
    )  # fmt: skip
    taxonvision("prepare", f"--catalog={catalog}", f"--out={shards}")
    return shards


def _photos(workers: int) -> int:
    """Photographs of a taxon, so that an epoch of so many workers has the steps asked for."""
    return -(-workers * _BATCH.value * _STEPS.value // _TAXA)


def _single(work: Path, cores: Sequence[int]) -> list[_Process]:
    return [_Process(work / f"single{core}", core) for core in cores]


def _cluster(work: Path, cores: Sequence[int]) -> list[_Process]:
    """Processes that train one model."""
    addresses = _free_addresses(len(cores))
    return [
        _Process(
            work / "cluster",
            core,
            "multiworker",
            len(cores),
            json.dumps(
                {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": rank}}
            ),
        )
        for rank, core in enumerate(cores)
    ]


def _free_addresses(count: int) -> list[str]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]


def _speeds(shards: Path, processes: Sequence[_Process], batch_norm: str) -> list[float]:
    """Photographs a second of each model that these processes train at the same time."""
    start = time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    try:
        for process in processes:
            running.append(_start(shards, process, batch_norm))
        for each in running:
            if each.wait():
                raise subprocess.CalledProcessError(each.returncode, each.args)
    finally:
        for each in running:
            each.kill()
    speeds = [_last_speed(out) for out in sorted({process.out for process in processes})]
    print(f"{speeds} photographs/s; {time.perf_counter() - start:.0f} s in all", flush=True)
    return speeds


def _start(shards: Path, process: _Process, batch_norm: str) -> subprocess.Popen[bytes]:
    arguments = [
        "train", f"--catalog={shards}", f"--out={process.out}", "--train=all", batch_norm,
        f"--image_size={_SIZE.value}", f"--batch_size={_BATCH.value * process.workers}",
        f"--max_photos={_photos(process.workers)}", f"--epochs={_EPOCHS.value}",
        f"--strategy={process.strategy}", "--overwrite",
    ]  # fmt: skip
    print(f"\ncore {process.core} $ taxonvision {shlex.join(arguments)}", flush=True)
    with _bound_to(process.core):  # which a process inherits
        return subprocess.Popen(
            [sys.executable, "-m", "taxonvision", *arguments],
            env={**os.environ, **_THREADS, "TF_CONFIG": process.cluster},
        )


@contextlib.contextmanager
def _bound_to(core: int) -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _last_speed(model: Path) -> float:
    with (model / "history.csv").open(newline="") as table:
        return float(list(csv.DictReader(table))[-1]["photographs_per_second"])


if __name__ == "__main__":
    app.run(main)
