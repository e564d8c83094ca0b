"""What training all layers brings over the head alone, and what logit adjustment brings to rarity.

The claims: on 100 butterflies and moths, training every layer of the default backbone from its
ImageNet weights names at least 4 points more of the test photographs right than training the head
alone; on a long-tailed cut of them logit adjustment raises the mean accuracy over taxa, in the mean
of three seeds.

    python benchmarks/finetune.py --data=FOLDER [--workdir=DIR]
    python benchmarks/finetune.py --short

FOLDER holds images/, labels.csv (file, class, split), class_taxa.csv and taxonomy.csv. The commands
are run as a user runs them; the peer is the head-only model of the same run. --short fine-tunes on
six synthetic species to show that it works; it makes no claims.
"""

from __future__ import annotations

import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import app, flags
from commands import Claims, taxonvision

from taxonvision.evaluation.metrics.accuracy import is_right
from taxonvision.evaluation.results import read_results

_DATA = flags.DEFINE_string("data", None, "folder of the data set")
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_SHORT = flags.DEFINE_bool("short", False, "fine-tune six synthetic species, small and few")
_TUNING = (
    "--train=all", "--epochs=8", "--batch_size=32", "--learning_rate=2e-3", "--label_smoothing=0.1",
)  # fmt: skip
_SEEDS = (0, 1, 2)
_RAREST = 0.1  # of the photographs of the most frequent class
_RESAMPLES = 10_000


def main(argv: list[str]) -> int:
    """Train both ways, compare, then both losses on long tails; print the table and the verdict."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary)
        data = _synthetic(work) if _SHORT.value else Path(_DATA.value or "").absolute()
        catalog = _ingest(data, data / "labels.csv", work / "catalog")
        small = ["--image_size=96"] if _SHORT.value else []
        head_seconds = _train(catalog, work / "head", *small)
        seconds = _train(catalog, work / "all", *_TUNING, *small)
        head = _evaluate(work / "head", catalog, work / "results" / "head")
        tuned = _evaluate(work / "all", catalog, work / "results" / "all")
        tails = [] if _SHORT.value else [_long_tail(work, data, seed) for seed in _SEEDS]
        rights = [
            is_right(read_results(work / "results" / name).scores) for name in ("head", "all")
        ]
    print(
        f"\nhead alone: top-1 {head['top1']:.3f}, macro {head['macro_top1']:.3f}, "
        f"{head_seconds:.0f} s"
    )
    print(
        f"all layers: top-1 {tuned['top1']:.3f}, macro {tuned['macro_top1']:.3f}, {seconds:.0f} s"
    )
    gain = tuned["top1"] - head["top1"]
    low, high = _interval(rights[1].astype(float) - rights[0])
    print(
        f"difference {100 * gain:+.1f} points, 95 % of resamples from {100 * low:+.1f} "
        f"to {100 * high:+.1f}; {(rights[1] & ~rights[0]).sum()} photographs won, "
        f"{(rights[0] & ~rights[1]).sum()} lost"
    )
    for seed, (plain, adjusted) in enumerate(tails):
        print(f"long tail, seed {seed}: macro {plain:.3f} plain, {adjusted:.3f} adjusted")
    if _SHORT.value:
        return 0
    claims = Claims()
    claims.judge("fine-tuning gains >= 4 points", 100 * gain, gain >= 0.04)
    mean = float(np.mean([adjusted - plain for plain, adjusted in tails]))
    claims.judge("logit adjustment, points of macro accuracy > 0", 100 * mean, mean > 0)
    return claims.exit_code


def _long_tail(work: Path, data: Path, seed: int) -> tuple[float, float]:
    """Macro accuracy without and with logit adjustment, trained on a long-tailed cut."""
    folder = work / f"tail{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    _cut(data / "labels.csv", folder / "labels.csv", seed)
    catalog = _ingest(data, folder / "labels.csv", folder / "catalog")
    found = []
    for name, flag in (("plain", 0), ("adjusted", 1)):
        _train(catalog, folder / name, f"--logit_adjustment={flag}", f"--seed={seed}")
        metrics = _evaluate(folder / name, catalog, folder / "results" / name)
        found.append(metrics["macro_top1"])
    return found[0], found[1]


def _cut(labels: Path, out: Path, seed: int) -> None:
    """Keep fewer and fewer training photographs, class by class, down to a tenth.

    As in the long-tailed CIFAR of Cui et al., "Class-balanced loss", 2019: numbers fall
    exponentially. Which class is how rare, and which photographs stay, is left to the seed.
    """
    rng = np.random.default_rng(seed)
    with labels.open(newline="") as table:
        rows = list(csv.DictReader(table))
    classes = rng.permutation(sorted({row["class"] for row in rows})).tolist()
    kept = [row for row in rows if row["split"] != "train"]
    for rank, name in enumerate(classes):
        of_class = [row for row in rows if row["split"] == "train" and row["class"] == name]
        share = _RAREST ** (rank / (len(classes) - 1))
        count = max(1, round(share * len(of_class)))
        kept += [of_class[i] for i in rng.permutation(len(of_class))[:count]]
    with out.open("w", newline="") as table:
        writer = csv.DictWriter(table, ["file", "class", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)


def _interval(differences: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the means of resampled photographs, each with both models' answers."""
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(differences), (_RESAMPLES, len(differences)))
    low, high = np.quantile(differences[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _synthetic(work: Path) -> Path:
    taxonvision("synth", f"--out={work / 'synth'}", "--taxa=6", "--photos_per_taxon=20")
    (work / "synth" / "photos").rename(work / "synth" / "images")
    return work / "synth"


def _ingest(data: Path, labels: Path, out: Path) -> Path:
    taxonvision(
        "ingest", f"--input={data / 'images'}", f"--labels={labels}",
        f"--taxa={data / 'class_taxa.csv'}", f"--taxonomy={data / 'taxonomy.csv'}", f"--out={out}",
    )  # fmt: skip
    return out


def _train(catalog: Path, out: Path, *options: str) -> float:
    return taxonvision("train", f"--catalog={catalog}", f"--out={out}", *options)


def _evaluate(model: Path, catalog: Path, out: Path) -> dict:
    taxonvision("evaluate", f"--model={model}", f"--catalog={catalog}", f"--out={out}")
    return json.loads((out / "metrics.json").read_text())


if __name__ == "__main__":
    if not any(argument.startswith(("--data", "--short")) for argument in sys.argv):
        sys.exit("give --data=FOLDER or --short")
    app.run(main)
