"""What a photograph costs on its way into training, in CPU time, from shards.

The claims: from shards with the defaults of `prepare`, with the standard augmentation (crop, flip),
to 224 pixels, photographs are at least 1.1 times as fast as from
`keras.utils.image_dataset_from_directory`, which resizes alone, and 0.6 times as fast as
`simplejpeg` merely decodes the same JPEGs of 500 pixels; and the first batch after step 100,000 of
30 million photographs is there in under a second.

    pip install simplejpeg
    python benchmarks/input_pipeline.py [--photographs=2000 --workdir=DIR]

The photographs are made here: clouds of colour whose detail falls with its fineness as in nature,
with grain, which JPEG compresses like photographs. The three take turns in one process.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from absl import app, flags
from commands import Claims, taxonvision
from PIL import Image

from taxonvision.dataset.batches import Batches, BatchOptions
from taxonvision.dataset.shards import open_shards
from taxonvision.dataset.stored import StoredPhotos, stored_photos
from taxonvision.models.engine import load_keras
from taxonvision.parallel import map_in_processes
from taxonvision.progress import track

_PHOTOGRAPHS = flags.DEFINE_integer("photographs", 2000, "how many", lower_bound=256)
_ROUNDS = flags.DEFINE_integer("rounds", 7, "how often each takes its turn", lower_bound=1)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_HEIGHT, _WIDTH, _SIZE, _CLASSES = 375, 500, 224, 10
_MANY, _LATE_STEP = 30_000_000, 100_000


def main(argv: list[str]) -> int:
    """Make photographs and shards, time the three, print the verdict on each claim."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary)
        paths = _photographs(work / "photos", _PHOTOGRAPHS.value)
        _labels(work / "labels.csv", work / "photos", paths)
        taxonvision(
            "ingest", f"--input={work / 'photos'}", f"--labels={work / 'labels.csv'}",
            f"--out={work / 'catalog'}",
        )  # fmt: skip
        taxonvision("prepare", f"--catalog={work / 'catalog'}", f"--out={work / 'shards'}")
        photos = stored_photos(open_shards(work / "shards"), "train")
        print(
            f"\n{len(paths)} JPEGs of {_WIDTH} x {_HEIGHT} pixels, "
            f"{np.mean([path.stat().st_size for path in paths]) / 1e3:.0f} kB; in the shards "
            f"{photos.lengths.mean() / 1e3:.0f} kB"
        )
        costs = _take_turns(photos, paths, work / "photos")
        first_batch = _seconds_to_first_batch(photos)
    for name, values in costs.items():
        print(f"{name:10} {np.median(values):.3f} CPU ms a photograph, {np.round(values, 3)}")
    against_keras = float(np.median(np.divide(costs["keras"], costs["shards"])))
    against_bare = float(np.median(np.divide(costs["simplejpeg"], costs["shards"])))
    claims = Claims()
    claims.judge("speed / Keras's >= 1.1", against_keras, against_keras >= 1.1)
    claims.judge("speed / bare decoding's >= 0.6", against_bare, against_bare >= 0.6)
    claims.judge("first batch at step 100,000 < 1 s", first_batch, first_batch < 1)
    return claims.exit_code


def _photographs(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"class {i % _CLASSES}" / f"{i:05d}.jpg" for i in range(count)]
    for path in paths[:_CLASSES]:
        path.parent.mkdir(parents=True, exist_ok=True)
    written = map_in_processes(_write_photograph, [path for path in paths if not path.exists()])
    for _ in track(written, count, "making photographs"):
        pass
    return paths


def _write_photograph(path: Path) -> None:
    """Noise whose amplitude falls with a power of the frequency, mostly grey."""
    rng = np.random.default_rng(int(path.stem))
    frequency = np.hypot(
        np.fft.fftfreq(_HEIGHT, 1 / _HEIGHT)[:, None], np.fft.rfftfreq(_WIDTH, 1 / _WIDTH)
    ).astype(np.float32)
    frequency[0, 0] = np.inf
    noise = rng.standard_normal((4, _HEIGHT, _WIDTH), np.float32)
    spectra = np.fft.rfft2(noise) * frequency ** np.float32(-rng.uniform(1.1, 1.6))
    *colours, grey = np.fft.irfft2(spectra, (_HEIGHT, _WIDTH))
    clouds = grey[..., None] + 0.2 * np.stack(colours, -1)
    clouds *= rng.uniform(30, 60) / clouds.std()
    grain = rng.uniform(1, 5) * rng.standard_normal((_HEIGHT, _WIDTH, 1), np.float32)
    pixels = clouds + rng.uniform(80, 160, 3) + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path, quality=88)


def _labels(table: Path, folder: Path, paths: list[Path]) -> None:
    rows = [f"{path.relative_to(folder)},{path.parent.name},train" for path in paths]
    table.write_text("\n".join(["file,class,split", *rows]) + "\n")


def _take_turns(photos: StoredPhotos, paths: list[Path], folder: Path) -> dict[str, list[float]]:
    """CPU milliseconds a photograph of each in every round; a first round is for warming up."""
    keras = load_keras()
    batches = Batches(photos, BatchOptions(_SIZE))
    peer = keras.utils.image_dataset_from_directory(
        folder, image_size=(_SIZE, _SIZE), batch_size=32, seed=0, verbose=False
    )
    jpegs = [path.read_bytes() for path in paths]
    ways: dict[str, Callable[[int], int]] = {
        "shards": lambda epoch: _run_through(batches.dataset(epoch=epoch)),
        "keras": lambda epoch: _run_through(peer),
        "simplejpeg": lambda epoch: sum(len(simplejpeg.decode_jpeg(j)) > 0 for j in jpegs),
    }
    costs: dict[str, list[float]] = {name: [] for name in ways}
    for epoch in range(_ROUNDS.value + 1):
        for name, way in ways.items():
            before = _cpu_seconds()
            count = way(epoch)
            costs[name].append(1e3 * (_cpu_seconds() - before) / count)
    return {name: values[1:] for name, values in costs.items()}


def _run_through(data: Any) -> int:
    return sum(len(labels) for _, labels in data)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _seconds_to_first_batch(photos: StoredPhotos) -> float:
    """Of an index of many photographs, which are the few again and again."""
    columns = (photos.file_numbers, photos.offsets, photos.lengths, photos.class_ids)
    contents = np.broadcast_to(photos.contents[:1], (_MANY, 2))
    same = (np.resize(column, _MANY) for column in columns)
    many = StoredPhotos(photos.files, *same, photos.photo_id, contents)
    batches = Batches(many, BatchOptions(_SIZE))
    start = time.perf_counter()
    next(iter(batches.dataset(step=_LATE_STEP)))
    return time.perf_counter() - start


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main)
