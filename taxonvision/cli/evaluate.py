"""Score the photographs of a split with a model or a bundle.

Prints the accuracy and writes the results: scores.parquet, metrics.json, taxa.csv, report.html.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.catalog.catalog import SPLITS
from taxonvision.cli.examples import inputs_of, open_examples
from taxonvision.cli.models import open_bare_tflite, open_recognizer
from taxonvision.cli.show import show_table, telling_what_is_done
from taxonvision.cli.values import recipe_of
from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.storage import read_json

USAGE = "taxonvision evaluate --model=MODEL|BUNDLE|FILE.tflite --catalog=CATALOG --out=RESULTS"
REQUIRED = ("model", "catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string(
        "model",
        None,
        "model directory, bundle or .tflite file (RGB 0-255 in, probabilities out)",
        flag_values=values,
    )
    flags.DEFINE_string("classes", None, "classes.csv of a bare .tflite file", flag_values=values)
    flags.DEFINE_string(
        "catalog", None, "the catalog with the photographs, or its shards", flag_values=values
    )
    flags.DEFINE_enum("split", "test", SPLITS, "which photographs", flag_values=values)
    flags.DEFINE_string("out", None, "the results to write", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Evaluate and print the figures."""
    from taxonvision.evaluation.evaluate import evaluate

    model, out = Path(values.model), Path(values.out)
    catalog = open_examples(Path(values.catalog))
    if model.suffix == ".tflite":
        if not values.classes:
            raise UserError(f"{model} has no names; --classes=CSV names its outputs")
        recognizer = open_bare_tflite(model, Path(values.classes), catalog.taxonomy)
    else:
        recognizer = open_recognizer(model)
    inputs = {"model": recognizer.fingerprint, "classes": "", **inputs_of(catalog)}
    recipe = recipe_of("evaluate", values, inputs)
    with telling_what_is_done():
        evaluate(recognizer, catalog, values.split, out, recipe, overwrite=values.overwrite)
    figures = read_json(out / "metrics.json")
    rows = [("top 1", figures["top1"]), ("top 5", figures["top5"])]
    rows += [("mean over taxa", figures["macro_top1"])]
    rows += [(f"{rank}, rolled up", share) for rank, share in figures["ranks"].items()]
    show_table(
        f"{model} on {figures['n']} photographs of the split {values.split}",
        ("accuracy", ""),
        [(name, f"{share:.1%}") for name, share in rows],
    )
    say(f"{out / 'report.html'} has the taxa and the mistakes")
    return 0
