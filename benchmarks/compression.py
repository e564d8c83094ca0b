"""What each way of compressing a model saves and what it costs, in one table and one picture.

The claims, of the int8 model.tflite against the float32 one of the same run: at most 31 % of its
size, the same name on at least 96.5 % of the test photographs, top-1 within 1.5 points of the full
model, at least 1.6 times as fast.

    pip install matplotlib
    python benchmarks/compression.py --data=FOLDER [--workdir=DIR --picture=FILE.png]

FOLDER holds images/, labels.csv (file, class, split), class_taxa.csv and taxonomy.csv. Bundles are
exported and evaluated by the commands. Latency is that of LiteRT alone on one photograph: the
models take turns, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import app, flags
from commands import Claims, taxonvision

_DATA = flags.DEFINE_string("data", None, "folder of the data set", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_PICTURE = flags.DEFINE_string("picture", None, "where to draw accuracy against size, a PNG or SVG")
_ROUNDS = flags.DEFINE_integer("rounds", 60, "photographs that are timed", lower_bound=3)
_BUNDLES = {
    "float32": ["--quantize=float32"],
    "float16": ["--quantize=float16"],
    "dynamic": ["--quantize=dynamic"],
    "int8": ["--quantize=int8"],
    "int8, head rank 32": ["--quantize=int8", "--head_rank=32"],
    "int8, head rank 16": ["--quantize=int8", "--head_rank=16"],
}
_THREADS = (1, 2)
_LABEL_GAP = 0.5
"""Between the names in the picture, in percent of accuracy."""


@dataclass(frozen=True)
class _Row:
    """A model with its figures; bytes of the model's file and of all files of the bundle."""

    name: str
    model_bytes: int
    bundle_bytes: int
    top1: float
    macro: float
    agreement: float
    calibration_error: float
    milliseconds: dict[int, float]


def main(argv: list[str]) -> int:
    """Train, export, evaluate, time; print the table and the verdicts."""
    data = Path(_DATA.value).absolute()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        _prepare(data, work)
        full = _figures(work, "full")
        rows = [_row(work, name) for name in _BUNDLES]
        milliseconds = _latencies(work, list(_BUNDLES))
    for row in rows:
        row.milliseconds.update(milliseconds[row.name])
    _print_table(full, rows)
    if _PICTURE.value:
        _draw(full["top1"], rows, Path(_PICTURE.value))
    by_name = {row.name: row for row in rows}
    int8, float32 = by_name["int8"], by_name["float32"]
    claims = Claims()
    size = int8.model_bytes / float32.model_bytes
    claims.judge("int8, share of float32's size <= 0.31", size, size <= 0.31)
    claims.judge("int8, agreement >= 0.965", int8.agreement, int8.agreement >= 0.965)
    lost = 100 * (full["top1"] - int8.top1)
    claims.judge("int8, points lost <= 1.5", lost, lost <= 1.5)
    for threads in _THREADS:
        ratio = float32.milliseconds[threads] / int8.milliseconds[threads]
        claims.judge(f"int8, times as fast as float32, {threads} threads", ratio, ratio >= 1.6)
    return claims.exit_code


def _prepare(data: Path, work: Path) -> None:
    taxonvision(
        "ingest", f"--input={data / 'images'}", f"--labels={data / 'labels.csv'}",
        f"--taxa={data / 'class_taxa.csv'}", f"--taxonomy={data / 'taxonomy.csv'}",
        f"--out={work / 'catalog'}",
    )  # fmt: skip
    taxonvision("train", f"--catalog={work / 'catalog'}", f"--out={work / 'model'}")
    _evaluate(work, work / "model", "full")
    for name, how in _BUNDLES.items():
        taxonvision(
            "export", f"--model={work / 'model'}", f"--catalog={work / 'catalog'}", *how,
            f"--out={_bundle(work, name)}",
        )  # fmt: skip
        _evaluate(work, _bundle(work, name), name)


def _bundle(work: Path, name: str) -> Path:
    return work / "bundles" / name.replace(", ", "-").replace(" ", "_")


def _evaluate(work: Path, model: Path, name: str) -> None:
    taxonvision(
        "evaluate", f"--model={model}", f"--catalog={work / 'catalog'}",
        f"--out={work / 'results' / name}",
    )  # fmt: skip


def _figures(work: Path, name: str) -> dict[str, float]:
    return dict(json.loads((work / "results" / name / "metrics.json").read_text()))


def _row(work: Path, name: str) -> _Row:
    from taxonvision.evaluation.calibration import expected_calibration_error
    from taxonvision.evaluation.metrics.accuracy import best_classes
    from taxonvision.evaluation.results import read_results

    full, this = (read_results(work / "results" / each).scores for each in ("full", name))
    confidence = this.classes.scores[this.classes.starts[:-1]]
    figures, bundle = _figures(work, name), _bundle(work, name)
    return _Row(
        name=name,
        model_bytes=(bundle / "model.tflite").stat().st_size,
        bundle_bytes=sum(p.stat().st_size for p in bundle.rglob("*") if p.is_file()),
        top1=figures["top1"],
        macro=figures["macro_top1"],
        agreement=float((best_classes(full) == best_classes(this)).mean()),
        calibration_error=expected_calibration_error(confidence, best_classes(this) == this.truth),
        milliseconds={},
    )


def _latencies(work: Path, names: Sequence[str]) -> dict[str, dict[int, float]]:
    """Median milliseconds of a photograph by model and number of threads."""
    from taxonvision.runtime.tflite import TFLiteModel

    found: dict[str, dict[int, float]] = {name: {} for name in names}
    rng = np.random.default_rng(0)
    for threads in _THREADS:
        models = {
            name: TFLiteModel((_bundle(work, name) / "model.tflite").read_bytes(), name, threads)
            for name in names
        }
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(_ROUNDS.value):
            for name, model in models.items():
                pixels = rng.integers(0, 256, model.input.shape, np.uint8)
                start = time.perf_counter()
                model.run(pixels)
                seconds[name].append(time.perf_counter() - start)
        for name, measured in seconds.items():
            found[name][threads] = 1000 * statistics.median(measured[len(measured) // 5 :])
    return found


def _print_table(full: dict[str, float], rows: Sequence[_Row]) -> None:
    print(f"\nfull model, Keras: top-1 {full['top1']:.1%}, macro {full['macro_top1']:.1%}\n")
    print(
        "| model | MB | bundle MB | top-1 | macro | agreement | calibration | ms, 1 / 2 threads |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        times = " / ".join(f"{row.milliseconds[threads]:.2f}" for threads in _THREADS)
        print(
            f"| {row.name} | {row.model_bytes / 1e6:.2f} | {row.bundle_bytes / 1e6:.2f} | "
            f"{row.top1:.1%} | {row.macro:.1%} | {row.agreement:.3f} | "
            f"{row.calibration_error:.3f} | {times} |"
        )
    print()


def _draw(full: float, rows: Sequence[_Row], path: Path) -> None:
    """Accuracy against size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.axhline(100 * full, color="#999999", linewidth=1, linestyle="--")
    axes.annotate(
        "full model", (0, 100 * full), xycoords=("axes fraction", "data"), xytext=(6, 4),
        textcoords="offset points", color="#666666",
    )  # fmt: skip
    label = 101.0
    for row in sorted(rows, key=lambda row: -row.top1):
        size, accuracy = row.bundle_bytes / 1e6, 100 * row.top1
        label = min(accuracy, label - _LABEL_GAP)
        axes.scatter(size, accuracy, s=45, color="#2a6f4e", zorder=3)
        axes.annotate(
            row.name, (size, accuracy), xytext=(size + 0.5, label), va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            arrowprops={"arrowstyle": "-", "color": "#bbbbbb", "shrinkB": 4},
        )  # fmt: skip
    axes.set_xlabel("whole bundle, MB")
    axes.set_ylabel("test top-1, %")
    axes.set_xlim(0, 1.2 * max(row.bundle_bytes for row in rows) / 1e6)
    lowest = min(row.top1 for row in rows)
    axes.set_ylim(100 * min(lowest, full) - 2, 100 * full + 2)
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=150)
    print(f"drawn: {path}")


if __name__ == "__main__":
    app.run(main)
