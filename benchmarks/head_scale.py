"""A head for 60,000 taxa on 1,280 features: seconds a step, memory, and what an H100 would need.

The claims: fitting it by the package's own code in batches of 1,024, from the first step to the
head that comes back, checkpoints included, peaks below 6 GB; so does fitting it with an earlier
head of 55,000 classes held on to.

    python benchmarks/head_scale.py [--taxa=60000 --features=1280 --batch=1024 --steps=8]

Features are random numbers in a memory-mapped file. The peer of the same run is Keras's `fit` of
the same layer with Adam on the same batches. Each runs in a process of its own, whose peak memory
the system tells. At the end an estimate, which is arithmetic and not measured, of what 30 million
photographs take on one H100.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from absl import app, flags
from commands import Claims

_TAXA = flags.DEFINE_integer("taxa", 60_000, "classes of the head", lower_bound=2)
_OLD_TAXA = flags.DEFINE_integer("old_taxa", 55_000, "those of the earlier head", lower_bound=1)
_FEATURES = flags.DEFINE_integer("features", 1280, "numbers a photograph", lower_bound=1)
_BATCH = flags.DEFINE_integer("batch", 1024, "photographs a step", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 8, "steps an epoch", lower_bound=3)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_CHILD = flags.DEFINE_string("child", None, "for the script's own processes")
_EPOCHS = 2
_HELD_OUT = 2048
_MOST_GB = 6.0


@dataclass(frozen=True)
class _Gpu:
    """What is assumed of an H100.

    Peak and bandwidth: NVIDIA H100 datasheet, SXM5 80 GB, without sparsity. TF32 is what
    TensorFlow multiplies float32 in on such a GPU; bfloat16 would allow twice as much.
    The shares that are reached are guesses: matrix products of a head, 60,000 wide, come near the
    peak, depthwise convolutions do not. By them an RTX 4090 (1.01 TB/s) would extract EfficientNet
    Lite0 in float16 at 6,200 photographs a second; pytorch-image-models measured 11,500
    (results/benchmark-infer-amp-nhwc-pt240-cu124-rtx4090.csv).
    """

    flops: float = 494.7e12
    bandwidth: float = 3.35e12
    share_of_flops: float = 0.3
    share_of_bandwidth: float = 0.5

    def seconds(self, flops: float, traffic: float) -> float:
        """The longer of computing and of moving bytes."""
        return max(
            flops / (self.flops * self.share_of_flops),
            traffic / (self.bandwidth * self.share_of_bandwidth),
        )


_PHOTOGRAPHS, _HEAD_EPOCHS = 30e6, 20
_BACKBONES = {
    # Multiplications with additions, and numbers that convolutions put out, of a photograph:
    # pytorch-image-models, the table named above (infer_gmacs, infer_macts). The first agrees with
    # the 407 M of EfficientNet-Lite's own page; the second network has 1,280 features too.
    "EfficientNet-Lite0, 224 pixels": (0.40e9, 6.74e6),
    "EfficientNetV2-M, 480 pixels": (24.76e9, 89.84e6),
}
_PASSES_OVER_OUTPUTS = 6
"""A convolution writes, normalisation and activation read and write each, the next layer reads."""
_PASSES_OVER_LOGITS = 12
"""One-hot targets, logits, their softmax, loss and gradient, each written once and read at least
once; counted from the operations of the step."""
_PASSES_OVER_WEIGHTS = 40
"""Keras's AdamW reads and writes weights, gradient and two moments 38 times, operation by operation
(`keras/src/optimizers/adam.py`: 8 for the first moment, 10 for the second, 12 for the weights, 8
for their decay); the product and the gradient make 2 more."""
_CPU_SECONDS_OF_PHOTOGRAPH = 0.002
"""To decode and shrink a JPEG of 500 × 375 pixels; benchmarks/input_pipeline.py and the antialiased
resizing of it, a core of a common server."""
_CORES = 32


def main(argv: list[str]) -> int:
    """Measure each in a process of its own; print the table, the verdicts and the estimate."""
    if _CHILD.value:
        print(json.dumps(_CHILDREN[_CHILD.value](Path(_WORKDIR.value))))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        _make_features(work)
        found = {name: _in_process(name, work) for name in _CHILDREN}
    peer = found["keras"]
    print(f"\n{_TAXA.value:,} taxa x {_FEATURES.value:,} features, batches of {_BATCH.value:,}")
    for name, row in found.items():
        print(
            f"{name:8} {row['step']:.3f} s a step (from {row['fastest']:.3f} to "
            f"{row['slowest']:.3f}), {row['step'] / peer['step']:.2f} of Keras's; "
            f"{row['cpu']:.2f} CPU s a step, {row['cpu'] / peer['cpu']:.2f}; "
            f"peak {row['peak']:.2f} GB, {row['peak'] / peer['peak']:.2f}"
        )
    feed = found["fit"]["feed"]
    print(f"of a step of `fit`, {1e3 * feed:.1f} ms go into reading the batch")
    claims = Claims()
    for name in ("fit", "guarded"):
        peak = found[name]["peak"]
        claims.judge(f"{name}, peak GB < {_MOST_GB:g}", peak, peak < _MOST_GB)
    _print_estimate(feed)
    return claims.exit_code


def _make_features(work: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    count = _STEPS.value * _BATCH.value
    for name, rows in (("train", count), ("held_out", _HELD_OUT)):
        values = rng.standard_normal((rows, _FEATURES.value), np.float32).astype(np.float16)
        np.save(work / f"{name}.npy", values)
        np.save(work / f"{name}_classes.npy", rng.integers(0, _TAXA.value, rows, np.int32))


def _in_process(name: str, work: Path) -> dict[str, float]:
    """What a child measured; this process stays small, since a child starts with its peak."""
    print(f"{name} ...", flush=True)
    asked = [f"--{flag.name}={flag.value}" for flag in (_TAXA, _OLD_TAXA, _FEATURES)]
    asked += [f"--{flag.name}={flag.value}" for flag in (_BATCH, _STEPS)]
    command = [sys.executable, __file__, f"--child={name}", f"--workdir={work}", *asked]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


_Moment = tuple[float, float]
"""Seconds of the clock, and of all cores."""


def _now() -> _Moment:
    return time.perf_counter(), time.process_time()


class _MappedRows:
    """Features float16 in a memory-mapped file; notes when it is asked for a batch."""

    def __init__(self, path: Path) -> None:
        self._values = np.load(path, mmap_mode="r")
        self.asked_at: list[_Moment] = []

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: Any) -> np.ndarray:
        values = self._values[rows].astype(np.float32)
        if len(values) == _BATCH.value:
            self.asked_at.append(_now())
        return values


def _fit(work: Path) -> dict[str, float]:
    """The package's refit, from a head of zeros."""
    return _refit(work, guarded=False)


def _guarded(work: Path) -> dict[str, float]:
    """The same as an update does it that holds on to an earlier head."""
    return _refit(work, guarded=True)


def _refit(work: Path, *, guarded: bool) -> dict[str, float]:
    from taxonvision.dataset.balance import Sampling
    from taxonvision.models.engine import load_keras

    load_keras()
    import tensorflow as tf

    from taxonvision.taxonomy.classes import TaxonClass
    from taxonvision.taxonomy.tree import Taxonomy
    from taxonvision.training.feeds import FeatureFeed, Features
    from taxonvision.training.fit_state import FitOptions
    from taxonvision.training.head import Guard, Head, HeadOptions, fit_active
    from taxonvision.training.losses import LossOptions
    from taxonvision.training.signals import Notice
    from taxonvision.training.stages import parse_stages

    tf.config.experimental.enable_op_determinism()  # as the commands do on a CPU
    rows = {name: _MappedRows(work / f"{name}.npy") for name in ("train", "held_out")}
    train, held_out = (
        Features(values, np.load(work / f"{name}_classes.npy")) for name, values in rows.items()
    )
    sampling = Sampling()
    classes = [
        TaxonClass(i, i + 1, f"taxon {i}", "species", "active", "1") for i in range(_TAXA.value)
    ]
    options = HeadOptions(
        FitOptions(parse_stages("head", _EPOCHS)), LossOptions(), sampling, _BATCH.value, 0
    )
    folder = work / ("guarded" if guarded else "fit")
    shutil.rmtree(folder, ignore_errors=True)  # or it would go on from the last checkpoint
    start, guard = Head.zeros(_FEATURES.value, _TAXA.value), None
    if guarded:
        # An update holds the parent's head, the grown one and a copy of the old rows of it.
        known, rng = min(_OLD_TAXA.value, _TAXA.value), np.random.default_rng(0)
        parent = Head(
            rng.standard_normal((_FEATURES.value, known), np.float32) / _FEATURES.value,
            np.zeros(known, np.float32),
        )
        start.kernel[:, :known] = parent.kernel
        guard = Guard(Head(start.kernel[:, :known].copy(), parent.bias), np.arange(known), 1.0)
    head, outcome = fit_active(
        start, classes, Taxonomy([]), train, held_out, options, Notice(), folder, guard
    )  # fmt: skip
    assert np.isfinite(head.kernel).all() and len(outcome.history) == _EPOCHS
    found = _timings(rows["train"].asked_at)
    feed = FeatureFeed(train, held_out, _BATCH.value, sampling, 0)
    begun = time.perf_counter()
    batches = sum(1 for _ in feed.training(0, 0, _EPOCHS))
    return found | {"feed": (time.perf_counter() - begun) / batches}


def _keras(work: Path) -> dict[str, float]:
    """Keras's own `fit` on the same batches."""
    from taxonvision.dataset.balance import Sampling
    from taxonvision.models.engine import load_keras

    keras = load_keras()
    from taxonvision.training.feeds import FeatureFeed, Features

    train, held_out = (
        Features(_MappedRows(work / f"{name}.npy"), np.load(work / f"{name}_classes.npy"))
        for name in ("train", "held_out")
    )
    feed = FeatureFeed(train, held_out, _BATCH.value, Sampling(), 0)
    inputs = keras.Input((_FEATURES.value,))
    model = keras.Model(inputs, keras.layers.Dense(_TAXA.value)(inputs))
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    times: list[_Moment] = []
    watch = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: times.append(_now())
    )
    model.fit(
        feed.training(0, 0, _EPOCHS), epochs=_EPOCHS, steps_per_epoch=_STEPS.value, verbose=0,
        callbacks=[watch],
    )  # fmt: skip
    return _timings(times)


_CHILDREN: dict[str, Callable[[Path], dict[str, float]]] = {
    "fit": _fit,
    "guarded": _guarded,
    "keras": _keras,
}


def _timings(starts: list[_Moment]) -> dict[str, float]:
    """Of steps that began at these moments, and the process's peak of memory in GB.

    The first steps of an epoch are left out: they trace, wait for the first batch or follow a
    validation and a checkpoint.
    """
    assert len(starts) == _EPOCHS * _STEPS.value
    clock, cores = (
        np.diff(np.reshape(times, (_EPOCHS, _STEPS.value)), axis=1)[:, 1:]
        for times in np.transpose(starts)
    )
    return {
        "step": float(np.median(clock)),
        "fastest": float(clock.min()),
        "slowest": float(clock.max()),
        "cpu": float(np.median(cores)),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def _print_estimate(feed: float) -> None:
    """What the photographs of iNaturalist would take on an H100; nothing of it is measured."""
    gpu, photographs = _Gpu(), _PHOTOGRAPHS
    print(
        f"\nESTIMATE, not measured: {photographs / 1e6:.0f} million photographs, one H100 SXM. "
        "Assumed:\n"
        f"- {gpu.flops / 1e12:.0f} TFLOP/s in TF32, of which {gpu.share_of_flops:.0%} are reached; "
        f"{gpu.bandwidth / 1e12:.2f} TB/s to memory, {gpu.share_of_bandwidth:.0%} reached; each "
        "step takes the longer of the two\n"
        f"- extraction: float32, outputs of convolutions pass memory {_PASSES_OVER_OUTPUTS} times"
    )
    for name, (products, outputs) in _BACKBONES.items():
        flops, traffic = 2 * products, 4 * _PASSES_OVER_OUTPUTS * outputs
        seconds = gpu.seconds(flops, traffic)
        print(
            f"  {name}: {flops / 1e9:.1f} GFLOP, {traffic / 1e6:.0f} MB, {1 / seconds:,.0f} "
            f"photographs/s: {_hours(photographs * seconds)} once"
        )
    decoding = photographs * _CPU_SECONDS_OF_PHOTOGRAPH
    print(
        f"  JPEG decoding is a limit of its own: {1e3 * _CPU_SECONDS_OF_PHOTOGRAPH:.0f} ms of a "
        f"CPU core a photograph: {_hours(decoding)} on one core, {_hours(decoding / _CORES)} on "
        f"{_CORES}"
    )
    batch, width, taxa = _BATCH.value, _FEATURES.value, _TAXA.value
    # Two products, forward and for the gradient of the weights; none for that of the features,
    # which a frozen backbone does not need.
    flops = 4.0 * batch * width * taxa
    traffic = 4.0 * (_PASSES_OVER_WEIGHTS * width * taxa + _PASSES_OVER_LOGITS * batch * taxa)
    seconds, steps = gpu.seconds(flops, traffic), photographs / batch
    size = 2.0 * width * photographs
    print(
        f"- head, {taxa:,} x {width:,}, float32, batches of {batch:,}: {flops / 1e12:.2f} TFLOP "
        f"(4 x batch x features x taxa) and {traffic / 1e9:.1f} GB a step (AdamW passes the "
        f"weights {_PASSES_OVER_WEIGHTS} times, logits pass {_PASSES_OVER_LOGITS} times)\n"
        f"  {1e3 * seconds:.1f} ms a step, {steps:,.0f} steps: {_hours(steps * seconds)} an epoch, "
        f"{_hours(_HEAD_EPOCHS * steps * seconds)} for {_HEAD_EPOCHS}\n"
        f"  reading is a limit of its own: {size / 1e9:.0f} GB of float16 an epoch, "
        f"{size / 1e9 / (steps * seconds):.2f} GB/s, in rows of {2 * width:,} bytes at random "
        f"places: main memory, or NVMe that reads {photographs / (steps * seconds):,.0f} rows/s\n"
        f"  at the {1e3 * feed:.1f} ms that reading a batch took here, one after the other: "
        f"{_hours(_HEAD_EPOCHS * steps * feed)} for {_HEAD_EPOCHS} epochs"
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h"


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main)
