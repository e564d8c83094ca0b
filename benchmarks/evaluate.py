"""Evaluating: a bundle at the speed of the bare interpreter, and 60,000 classes in bounded memory.

The claims: scoring JPEG files with an int8 bundle of 224 pixels, all that `evaluate` does from the
files to the kept scores on disk, runs at 0.75 or more of the speed of bare LiteRT on pixels that
lie in memory; the scores of 100,000 photographs by 60,000 classes go through keeping,
scores.parquet, reading and measuring in less than 2 GB.

    python benchmarks/evaluate.py [--bundle=DIR --photographs=1000] [--large=100000]

The photographs are drawn by `synth`, with the grain of cameras, as JPEGs of the pixels that those
of butterflies.py have; those that `prepare` writes by default and that iNaturalist serves as medium
are told without a claim, since a fast processor takes half as long to decode the latter as to score
them. The peers run in the same process on the same cores, taking turns with ours: one interpreter
with all threads, and one interpreter of one thread a core; the better one counts. The large scores
are those of a softmax over 60,000 taxa of `synth --metadata_only`, 256 rows whose own class is the
best in four of five, each shifted by another number of classes for every photograph.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
from absl import app, flags
from commands import Claims, make_bundle

if TYPE_CHECKING:
    from taxonvision.runtime.recognizer import Recognizer

_BUNDLE = flags.DEFINE_string("bundle", None, "an int8 bundle of 224 pixels; else one is made")
_PHOTOGRAPHS = flags.DEFINE_integer("photographs", 1000, "scored in each turn", lower_bound=50)
_TURNS = flags.DEFINE_integer("turns", 3, "of each way", lower_bound=1)
_LARGE = flags.DEFINE_integer("large", 100_000, "photographs with scores of 60,000 classes; 0: not")
_TAXA = flags.DEFINE_integer("taxa", 60_000, "classes of the large scores", lower_bound=100)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_ROWS = 256
_SIZES = {(224, 224): True, (342, 256): False, (500, 375): False}
"""Width and height of the JPEGs, and whether the claim is about them."""


def main(argv: list[str]) -> int:
    """Time a bundle beside its peers, stream large scores; print the verdicts."""
    claims = Claims()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        work.mkdir(parents=True, exist_ok=True)
        bundle = Path(_BUNDLE.value) if _BUNDLE.value else make_bundle(work)
        for size, claimed in _SIZES.items():
            _judge_speed(bundle, size, claims if claimed else None, work)
        if _LARGE.value:
            _judge_memory(work, claims)
    return claims.exit_code


def _judge_speed(bundle: Path, size: tuple[int, int], claims: Claims | None, work: Path) -> None:
    from taxonvision.runtime.bundle import open_bundle
    from taxonvision.storage import read_json

    recognizer, model = open_bundle(bundle).recognizer(), bundle / "model.tflite"
    paths = _photographs(work, size)
    pixels = np.concatenate(list(recognizer.contract.read_batches(paths, 50)))
    dtype = read_json(bundle / "bundle.json")["input"]["dtype"]
    pixels = pixels.astype(dtype)  # before the peers begin
    ways: dict[str, Callable[[], None]] = {
        "one interpreter, all threads": _one(model, pixels),
        "an interpreter a core": _one_a_core(model, pixels),
        "evaluate, from files to files": lambda: _ours(recognizer, paths, work),
    }
    for way in ways.values():  # to warm up
        way()
    seconds = {name: np.empty(_TURNS.value) for name in ways}
    cpu = dict.fromkeys(ways, 0.0)
    for turn in range(_TURNS.value):
        for name, way in ways.items():
            start, busy = time.perf_counter(), time.process_time()
            way()
            seconds[name][turn] = time.perf_counter() - start
            cpu[name] += time.process_time() - busy
    for name in ways:
        print(
            f"{name}: {len(paths) / np.median(seconds[name]):.1f} photographs/s in the median,"
            f" {1000 * cpu[name] / len(paths) / _TURNS.value:.1f} ms of CPU time each"
        )
    *peers, ours = ways
    # By turn, since other work on the machine comes and goes: what runs side by side is compared.
    ratio = min(float(np.median(seconds[peer] / seconds[ours])) for peer in peers)
    by_cpu = min(cpu[peer] / cpu[ours] for peer in peers)
    print(f"by CPU time, of the better peer's speed: {by_cpu:.3f}")
    told = f"{size[0]} x {size[1]} pixels, of the better peer's speed"
    if claims is None:
        print(f"{told}: {ratio:.3f}")
    else:
        claims.judge(f"{told} >= 0.75", ratio, ratio >= 0.75)


def _photographs(work: Path, size: tuple[int, int]) -> list[Path]:
    """JPEGs of what `synth` draws, with the grain that cameras add, which JPEG pays for."""
    from PIL import Image

    from taxonvision.synthetic.render import draw_empty_scene

    width, height = size
    folder = work / f"jpegs_{width}"
    folder.mkdir(exist_ok=True)
    drawn = [draw_empty_scene(np.random.default_rng(i), 320) for i in range(20)]
    paths = []
    for number in range(_PHOTOGRAPHS.value):
        smooth = np.asarray(drawn[number % len(drawn)].resize(size))
        grain = np.random.default_rng(number).normal(0, 8, (height, width, 1))
        pixels = (smooth + grain).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{number:05d}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    mean = sum(path.stat().st_size for path in paths) / len(paths)
    print(f"\n{len(paths)} JPEGs of {width} x {height} pixels, {mean / 1000:.0f} kB each")
    return paths


def _interpreter(model: Path, threads: int) -> Callable[[np.ndarray], None]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model), num_threads=threads)
    interpreter.allocate_tensors()
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(photograph: np.ndarray) -> None:
        interpreter.set_tensor(given["index"], photograph[None])
        interpreter.invoke()
        interpreter.get_tensor(answered["index"])

    return run


def _one(model: Path, pixels: np.ndarray) -> Callable[[], None]:
    from taxonvision.parallel import cores

    run = _interpreter(model, cores())

    def score() -> None:
        for photograph in pixels:
            run(photograph)

    return score


def _one_a_core(model: Path, pixels: np.ndarray) -> Callable[[], None]:
    from taxonvision.parallel import cores

    runs = [_interpreter(model, 1) for _ in range(cores())]

    def share(number: int) -> None:
        for photograph in pixels[number :: len(runs)]:
            runs[number](photograph)

    def score() -> None:
        with ThreadPoolExecutor(len(runs)) as pool:
            list(pool.map(share, range(len(runs))))

    return score


def _ours(recognizer: Recognizer, paths: Sequence[Path], work: Path) -> None:
    """Read, decode, make input, score; keep what counts, write it, join it to scores.parquet."""
    from taxonvision.evaluation.parts import write_scored
    from taxonvision.evaluation.scores import Labelled

    names = [path.name for path in paths]
    target = work / "scores.parquet"
    target.unlink(missing_ok=True)
    truth = np.full(len(names), recognizer.class_taxon_ids[0])
    write_scored(recognizer, Labelled.of(names, truth), paths, target, "scoring", _refuse)


def _refuse(source: object, reason: Exception) -> None:
    raise ValueError(f"{source}: {reason}")


def _judge_memory(work: Path, claims: Claims) -> None:
    """In a process of its own, whose memory is that of nothing else."""
    found = work / "large.json"
    process = multiprocessing.get_context("spawn").Process(
        target=_stream, args=(work, _LARGE.value, _TAXA.value, found)
    )
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the scores did not get through")
    seconds, peak = json.loads(found.read_text())
    print(f"\n{_LARGE.value:,} photographs, {_TAXA.value:,} classes")
    for name, value in seconds.items():
        print(f"{name}: {value:.1f}")
    claims.judge("peak of the process, GB < 2", peak, peak < 2)


def _stream(work: Path, photographs: int, taxa: int, found: Path) -> None:
    from taxonvision.evaluation import parts
    from taxonvision.evaluation.metrics.measure import measure
    from taxonvision.evaluation.metrics.tables import write_tables
    from taxonvision.evaluation.results import KnownTaxa, Results
    from taxonvision.evaluation.score_files import read_scores
    from taxonvision.evaluation.scores import Labelled

    seconds: dict[str, float] = {}
    start, busy = time.perf_counter(), time.process_time()

    def lap(name: str) -> None:
        nonlocal start, busy
        seconds[f"{name}, seconds"] = time.perf_counter() - start
        seconds[f"{name}, CPU seconds"] = time.process_time() - busy
        start, busy = time.perf_counter(), time.process_time()

    recognizer, taxon_ids = _large_recognizer(taxa)
    rows, own = _softmax_rows(taxa)
    rng = np.random.default_rng(1)
    which, shifts = rng.integers(_ROWS, size=photographs), rng.integers(taxa, size=photographs)
    truth = taxon_ids[(own[which] + shifts) % taxa]

    def scored(*_: object) -> Generator[np.ndarray, None, None]:
        for row, shift in zip(which, shifts, strict=True):
            yield np.roll(rows[row], shift)

    labelled = Labelled(
        [str(i) for i in range(photographs)],
        [str(i // 2) for i in range(photographs)],
        truth,
        rng.uniform(-60, 70, photographs),
        rng.uniform(-180, 180, photographs),
    )
    lap("tree and rows")
    for _ in scored():
        pass
    lap("making scores alone")
    path = work / "large.parquet"
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(".parts"), ignore_errors=True)
    sources = [Path(name) for name in labelled.photo_ids]
    with patch.object(parts, "score_photographs", scored):
        parts.write_scored(recognizer, labelled, sources, path, "keeping", _refuse)
    lap("making, keeping and writing")
    scores = read_scores(path)
    lap("reading")
    known = KnownTaxa(taxon_ids, rng.integers(1, 500, taxa))
    results = Results(work, {}, recognizer.taxonomy, scores, known)
    evaluation = measure(results)
    lap("measuring, 1,000 replicates")
    write_tables(work, evaluation)
    lap("writing tables")
    seconds["entries of a photograph"] = len(scores.classes.scores) / photographs
    seconds["inner nodes of a photograph"] = len(scores.inner.scores) / photographs
    seconds["scores.parquet, MB"] = path.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    found.write_text(json.dumps([seconds, peak]))


def _large_recognizer(taxa: int) -> tuple[Recognizer, np.ndarray]:
    """A recognizer without a model over the species of a large tree, and their ids."""
    from taxonvision.runtime.contract import Contract
    from taxonvision.runtime.recognizer import Recognizer
    from taxonvision.synthetic.large_tree import make_large_tree
    from taxonvision.taxonomy.tree import Taxon, Taxonomy

    tree = make_large_tree(taxa, 0)
    ids, parents = tree.taxon_ids.tolist(), tree.parents.tolist()
    taxonomy = Taxonomy(
        Taxon.of_rank(ids[row], ids[parent] if parent >= 0 else None, rank, name)
        for row, (parent, rank, name) in enumerate(
            zip(parents, tree.ranks, tree.names, strict=True)
        )
    )
    classes = tree.taxon_ids[tree.rows("species")][:taxa]
    recognizer = Recognizer(
        "large", "", 0, 0, Contract(224), tuple(classes.tolist()), taxonomy, {}, lambda _: _
    )
    return recognizer, classes


def _softmax_rows(taxa: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows float32 [256, taxa] of shares, and the class that each photograph shows.

    Logits are normal, those of the 200 classes after the own one higher, as relatives look alike;
    the own one is the best in four of five.
    """
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (_ROWS, taxa))
    logits[:, :200] += rng.exponential(2.0, (_ROWS, 200)) + 2
    own = np.where(rng.random(_ROWS) < 0.8, 0, 1)
    logits[:, 0] = logits[:, 1:].max(axis=1) + rng.exponential(2.0, _ROWS)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32), own


if __name__ == "__main__":
    app.run(main)
