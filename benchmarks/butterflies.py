"""Photographs of 100 butterflies and moths to a model and its bundles, timed and compared.

The claims: with the backbone frozen, test top-1 is at least 0.87; ingest, train and evaluate take
under three minutes on two cores; model.tflite in int8 has at most 5 MB and is within 1.5 points
of the full model; genus and family are named right more often than the species.

    python benchmarks/butterflies.py --data=FOLDER [--workdir=DIR]

FOLDER holds images/, labels.csv (file, class, split), class_taxa.csv and taxonomy.csv. The commands
are run as a user runs them. The peer of each bundle is the full model in the same run.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from absl import app, flags
from commands import Claims, taxonvision

_DATA = flags.DEFINE_string("data", None, "folder of the data set", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_QUANTIZATIONS = ("float32", "float16", "dynamic", "int8")


def main(argv: list[str]) -> int:
    """Run the commands and print the table and the verdict on each claim."""
    data = Path(_DATA.value).absolute()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary)
        seconds = {
            "ingest": taxonvision(
                "ingest", f"--input={data / 'images'}", f"--labels={data / 'labels.csv'}",
                f"--taxa={data / 'class_taxa.csv'}", f"--taxonomy={data / 'taxonomy.csv'}",
                f"--out={work / 'catalog'}",
            ),
            "train": taxonvision(
                "train", f"--catalog={work / 'catalog'}", f"--out={work / 'model'}"
            ),
            "evaluate": _evaluate(work, "model", "full"),
        }  # fmt: skip
        end_to_end = sum(seconds.values())
        seconds["export"] = taxonvision(
            "export", f"--model={work / 'model'}", f"--catalog={work / 'catalog'}",
            f"--quantize={','.join(_QUANTIZATIONS)}", f"--out={work / 'bundles'}",
        )  # fmt: skip
        for name in _QUANTIZATIONS:
            seconds[f"evaluate {name}"] = _evaluate(work, f"bundles/{name}", name)
        candidates = ",".join(str(work / "results" / name) for name in _QUANTIZATIONS)
        seconds["compare"] = taxonvision(
            "compare", f"--reference={work / 'results/full'}", f"--candidate={candidates}",
            f"--out={work / 'comparison'}",
        )  # fmt: skip
        full = json.loads((work / "results/full/metrics.json").read_text())
        models = json.loads((work / "comparison/comparison.json").read_text())["models"]
    print("\nseconds:", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    reference = models[0]
    for row in models[1:]:
        print(
            f"{row['name']:8} size / full {row['bytes'] / reference['bytes']:.2f}   "
            f"top-1 {row['top1']:.3f} ({100 * row['difference']:+.1f} points)   "
            f"agreement {row['agreement']:.3f}   "
            f"speed / full {reference['median_latency_ms'] / row['median_latency_ms']:.1f}"
        )
    claims = Claims()
    int8 = next(row for row in models if row["name"] == "int8")
    ranks = full["ranks"]
    claims.judge("full model, test top-1 >= 0.87", full["top1"], full["top1"] >= 0.87)
    claims.judge("ingest, train, evaluate < 180 s", end_to_end, end_to_end < 180)
    claims.judge("int8 model.tflite <= 5 MB", int8["bytes"] / 1e6, int8["bytes"] <= 5e6)
    claims.judge("int8 loses <= 1.5 points", 100 * int8["difference"], int8["difference"] >= -0.015)
    claims.judge("genus above species", ranks["genus"], ranks["genus"] > ranks["species"])
    claims.judge("family above species", ranks["family"], ranks["family"] > ranks["species"])
    return claims.exit_code


def _evaluate(work: Path, model: str, name: str) -> float:
    return taxonvision(
        "evaluate", f"--model={work / model}", f"--catalog={work / 'catalog'}",
        f"--out={work / 'results' / name}",
    )  # fmt: skip


if __name__ == "__main__":
    app.run(main)
