"""Synthetic photographs to a phone bundle in a few minutes, step by step.

Every step is an ordinary command, shown before it runs. Running it again resumes what is done.
"""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from absl import flags

from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli.values import define_seed
from taxonvision.evaluation.results import read_results
from taxonvision.export.recipes import RECIPES
from taxonvision.progress import say

USAGE = "taxonvision quickstart --workdir=DIR"
REQUIRED = ("workdir",)


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("workdir", None, "folder for all that is made", flag_values=values)
    flags.DEFINE_integer("taxa", 24, "species to draw", lower_bound=2, flag_values=values)
    flags.DEFINE_integer(
        "photos_per_taxon", 40, "photographs of each", lower_bound=10, flag_values=values
    )
    define_seed("seed of all that is random", values)
    flags.DEFINE_bool("overwrite", False, "do every step anew", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Run the steps; the first that fails ends it with its exit code."""
    for package in ("tensorflow", "litert_quantizer"):
        if find_spec(package) is None:  # said before anything is drawn
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
    work = Path(values.workdir)
    synth, catalog, model = work / "synth", work / "catalog", work / "model"
    bundles, results = work / "bundles", work / "results"
    candidates = ",".join(str(results / name) for name in RECIPES)
    steps = [
        [
            "synth", f"--out={synth}", f"--taxa={values.taxa}",
            f"--photos_per_taxon={values.photos_per_taxon}", f"--seed={values.seed}",
        ],
        [
            "ingest", f"--input={synth / 'photos'}", f"--labels={synth / 'labels.csv'}",
            f"--taxa={synth / 'class_taxa.csv'}", f"--taxonomy={synth / 'taxonomy.csv'}",
            "--license=CC0-1.0", "--attribution=taxonvision synth", f"--out={catalog}",
        ],
        ["train", f"--catalog={catalog}", f"--out={model}", f"--seed={values.seed}"],
        _evaluate(model, catalog, results / "full"),
        [
            "export", f"--model={model}", f"--catalog={catalog}",
            f"--quantize={','.join(RECIPES)}", f"--out={bundles}",
        ],
        *(_evaluate(bundles / name, catalog, results / name) for name in RECIPES),
        [
            "compare", f"--reference={results / 'full'}", f"--candidate={candidates}",
            f"--out={work / 'comparison'}",
        ],
    ]  # fmt: skip
    for step in steps:
        code = _announce_and_run([*step, "--overwrite"] if values.overwrite else step)
        if code:
            return code
    bundle = bundles / "int8"
    photograph = _typical_photograph(catalog, results / "int8")
    code = _announce_and_run(["verify", str(bundle)]) or _announce_and_run(
        ["predict", f"--model={bundle}", str(photograph)]
    )
    say(f"\nThe bundle for a phone is {bundle}, the comparison {work / 'comparison'}.")
    return code


def _typical_photograph(catalog: Path, results: Path) -> Path:
    """The test photograph whose true name gets the median score: neither the best nor the worst."""
    scores = read_results(results).scores
    middle = np.argsort(scores.truth_scores, kind="stable")[len(scores) // 2]
    photos = open_catalog(catalog).photos("test")
    return photos.paths[photos.photo_ids.index(scores.photo_ids[middle])]


def _evaluate(model: Path, catalog: Path, out: Path) -> list[str]:
    return ["evaluate", f"--model={model}", f"--catalog={catalog}", f"--out={out}"]


def _announce_and_run(arguments: list[str]) -> int:
    from taxonvision.cli.main import main

    say(f"\n$ taxonvision {shlex.join(arguments)}")
    return main(arguments)
