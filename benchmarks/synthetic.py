"""How hard synthetic organisms are: a trained head must neither fail on them nor find them easy.

The claim: with 24 species of 40 photographs each, drawn from three seeds, the head on the frozen
default backbone names 70 % to 98 % of the test photographs right.

    python benchmarks/synthetic.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from absl import app
from commands import Claims, taxonvision

_SEEDS = (0, 1, 2)


def main(argv: list[str]) -> int:
    """Draw, train and evaluate for each seed."""
    claims = Claims()
    found = {}
    for seed in _SEEDS:
        with tempfile.TemporaryDirectory() as temporary:
            work = Path(temporary)
            synth, catalog = work / "synth", work / "catalog"
            taxonvision("synth", f"--out={synth}", f"--seed={seed}")
            taxonvision(
                "ingest", f"--input={synth / 'photos'}", f"--labels={synth / 'labels.csv'}",
                f"--taxa={synth / 'class_taxa.csv'}", f"--taxonomy={synth / 'taxonomy.csv'}",
                f"--out={catalog}",
            )  # fmt: skip
            taxonvision("train", f"--catalog={catalog}", f"--out={work / 'model'}")
            taxonvision(
                "evaluate", f"--model={work / 'model'}", f"--catalog={catalog}",
                f"--out={work / 'results'}",
            )  # fmt: skip
            found[seed] = json.loads((work / "results/metrics.json").read_text())
    print()
    for seed, metrics in found.items():
        print(f"seed {seed}: {metrics['n']} photographs, ranks {metrics['ranks']}")
        top1 = metrics["top1"]
        claims.judge(f"seed {seed}, test top-1 between 0.70 and 0.98", top1, 0.70 <= top1 <= 0.98)
    return claims.exit_code


if __name__ == "__main__":
    app.run(main)
