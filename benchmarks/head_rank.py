"""A head of 1,000 classes in two factors: how often it still gives the full head's first name.

The claims: of rank 256, the ImageNet head that comes with the weights of the default backbone gives
the same first name as the full one on at least 90 % of the photographs before it is refitted, on
more of them after, and before on at least 5 points more than by a plain truncated SVD.

    python benchmarks/head_rank.py --data=FOLDER [--rank=256 --workdir=DIR --taxa=60000]

FOLDER holds images/ and labels.csv (file, class, split). The factors are made with its training
photographs and with synthetic ones of half the species; photographs of its split `valid` and of a
sixth of the species tell whether the refit gained; its test photographs and the synthetic ones of
the other species are judged. At the end seconds and memory of a random head of `--taxa` classes,
which fall into genera, on the same features; 0 leaves it out.
"""

from __future__ import annotations

import csv
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from absl import app, flags
from commands import Claims, taxonvision

from taxonvision.models.engine import load_keras

_DATA = flags.DEFINE_string("data", None, "folder of the data set", required=True)
_RANK = flags.DEFINE_integer("rank", 256, "of the factors", lower_bound=1)
_TAXA = flags.DEFINE_integer("taxa", 60_000, "classes of the large head", lower_bound=0)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_LEAST, _AHEAD = 0.9, 0.05


def main(argv: list[str]) -> int:
    """Extract, factorise in each way, print the tables and the verdicts."""
    load_keras()
    from taxonvision.export.factorise import Factors, factorise
    from taxonvision.export.refit_factors import refit
    from taxonvision.models.imagenet_weights import imagenet_head

    with tempfile.TemporaryDirectory() as temporary:
        train, held_out, judges = _features(Path(_WORKDIR.value or temporary).absolute())
    kernel, bias = imagenet_head()
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    chosen = slice(_RANK.value)
    start = factorise(kernel, bias, train, _RANK.value)
    found = {
        "plain SVD": Factors(left[:, chosen] * values[chosen], right[chosen], bias),
        "by the features": start,
        "refitted": refit(start, kernel, bias, train, seed=0, held_out=held_out),
    }
    agreement: dict[str, float] = {}
    print(f"\nrank {_RANK.value}, same first name{'':4}" + "".join(f"{n:>14}" for n in judges))
    for name, factors in found.items():
        same = [_same(factors.logits(x), x @ kernel + bias) for x in judges.values()]
        agreement[name] = float(np.concatenate(same).mean())
        print(f"{name:29}" + "".join(f"{each.mean():14.1%}" for each in same))
    claims = Claims()
    plain, before, after = agreement.values()
    claims.judge(f"before the refit >= {_LEAST}", before, before >= _LEAST)
    claims.judge("after the refit, more", after, after > before)
    claims.judge(f"ahead of plain SVD >= {_AHEAD}", before - plain, before - plain >= _AHEAD)
    if not _TAXA.value:
        return claims.exit_code
    kernel, bias = _large_head(_TAXA.value, train)
    print(f"\n{_TAXA.value:,} taxa: {_peak():.2f} GB before")
    begun = time.perf_counter()
    start = factorise(kernel, bias, train, _RANK.value)
    print(f"factorised in {time.perf_counter() - begun:.1f} s, peak {_peak():.2f} GB")
    begun = time.perf_counter()
    refit(start, kernel, bias, train, seed=0, held_out=held_out)
    print(f"refitted in {time.perf_counter() - begun:.1f} s, peak {_peak():.2f} GB")
    return claims.exit_code


def _features(work: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Features [n, 1280] to learn from, to hold out from that, and others, by name, to judge by."""
    from taxonvision.features.extract import FeatureExtractor
    from taxonvision.models.backbones import build_backbone
    from taxonvision.runtime.contract import Contract

    data = Path(_DATA.value).absolute()
    with (data / "labels.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    taxonvision("synth", f"--out={work / 'synth'}")
    species = sorted(path for path in (work / "synth" / "photos").rglob("*") if _has_photos(path))
    synthetic = [sorted(path.glob("*.jpg")) for path in species]
    half, third = len(species) // 2, len(species) * 2 // 3
    backbone = build_backbone("efficientnet_lite0")
    extractor = FeatureExtractor(backbone.model)
    contract = Contract(backbone.image_size, backbone.crop_ratio)

    def of(photos: Sequence[Path]) -> np.ndarray:
        batches = contract.read_batches(photos, extractor.batch)
        return np.concatenate([extractor.of(pixels) for pixels in batches])

    real = {
        split: of([data / "images" / row["file"] for row in rows if row["split"] == split])
        for split in ("train", "valid", "test")
    }
    parts = synthetic[:half], synthetic[half:third], synthetic[third:]
    learned, held_out, others = (of(list(chain(*part))) for part in parts)
    return (
        np.concatenate([real["train"], learned]),
        np.concatenate([real["valid"], held_out]),
        {"test": real["test"], "synthetic": others},
    )


def _has_photos(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("*.jpg"))


def _same(ours: np.ndarray, full: np.ndarray) -> np.ndarray:
    return ours.argmax(axis=1) == full.argmax(axis=1)


def _large_head(taxa: int, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A random head whose classes are near to others of their genus, some ten to each."""
    rng = np.random.default_rng(0)
    dimension = features.shape[1]
    strength = np.arange(1, dimension + 1, dtype=np.float32) ** -0.5
    turn = rng.standard_normal((dimension, dimension), np.float32) * strength
    turn /= 5 * (features.std(axis=0)[:, None] + 0.1)
    genera = rng.standard_normal((dimension, -(-taxa // 10)), np.float32)
    kernel = np.empty((dimension, taxa), np.float32)
    for start in range(0, taxa, 4096):
        numbers = np.arange(start, min(start + 4096, taxa))
        own = rng.standard_normal((dimension, len(numbers)), np.float32)
        kernel[:, numbers] = turn @ (0.8 * genera[:, numbers // 10] + 0.6 * own)
    return kernel, np.zeros(taxa, np.float32)


def _peak() -> float:
    """The process's peak of memory in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    app.run(main)
