"""Score the photographs of a split with a model or a bundle.

Prints the figures and writes the results: scores.parquet, metrics.json, taxa.csv, report.html and
others. A killed run goes on where it ended. Where results of the same model and photographs are
there and only --replicates or the version of this program is another, no photograph is scored
again: the figures are made anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import flags

from taxonvision.catalog.catalog import SPLITS
from taxonvision.cli.examples import inputs_of, open_examples
from taxonvision.cli.fit_flags import negatives_of
from taxonvision.cli.models import open_bare_tflite, open_recognizer
from taxonvision.cli.show import show_table, telling_what_is_done
from taxonvision.cli.values import recipe_of
from taxonvision.errors import UserError
from taxonvision.evaluation.bootstrap import REPLICATES
from taxonvision.evaluation.results import MANIFEST
from taxonvision.progress import say
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.storage import read_json
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import for_screen, percent, several

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
    flags.DEFINE_string(
        "negatives",
        None,
        "folder of photographs without an organism, to find how often one is given a name",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "replicates",
        REPLICATES,
        "times that observations are drawn again for the intervals; 0: no intervals",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string("out", None, "the results to write", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Evaluate and print the figures."""
    from taxonvision.evaluation.evaluate import Scenes, evaluate

    model, out = Path(values.model), Path(values.out)
    catalog = open_examples(Path(values.catalog))
    recognizer = _open(model, values.classes, catalog.taxonomy)
    paths, of_scenes = negatives_of(values)
    inputs = {"model": recognizer.fingerprint, "classes": "", **of_scenes, **inputs_of(catalog)}
    with telling_what_is_done():
        evaluate(
            recognizer,
            catalog,
            values.split,
            out,
            recipe_of("evaluate", values, inputs, leaving_out=("replicates",)),
            scenes=Scenes(Path(values.negatives), paths) if paths else None,
            replicates=values.replicates,
            overwrite=values.overwrite,
        )
    try:
        figures, words = read_json(out / "metrics.json"), read_json(out / MANIFEST)["words"]
        count, rows = figures["n"], list(_rows(figures))
    except (UserError, KeyError, TypeError, AttributeError, ValueError):
        raise UserError(
            f"{out} is done but damaged: its figures cannot be read; add --overwrite to make it "
            "again"
        ) from None
    show_table(
        f"{model} on {several(count, 'photograph')} of the split {values.split}",
        ("", "", "95 % interval"),
        rows,
    )
    for sentence in words:
        print(for_screen(sentence))
    say(f"{out / 'report.html'} has the taxa and the mistakes")
    return 0


def _open(model: Path, classes: str | None, taxonomy: Taxonomy) -> Recognizer:
    if model.suffix != ".tflite":
        if classes:
            say(f"warning: no effect of --classes, since {model} has its own")
        return open_recognizer(model)
    if not classes:
        raise UserError(f"{model} has no names; --classes=CSV names its outputs")
    return open_bare_tflite(model, Path(classes), taxonomy)


def _rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The figures that could be measured: their names, values and intervals."""
    ranks = [(f"{rank}, rolled up", ("ranks", rank)) for rank in figures["ranks"]]
    floor = figures.get("calibration_error_floor")
    chance = "" if floor is None else f" ({percent(floor)} by chance alone)"
    named: list[tuple[str, tuple[str, ...]]] = [
        ("top 1", ("top1",)),
        ("top 5", ("top5",)),
        ("mean over taxa", ("macro_top1",)),
        *ranks,
        ("top 1 by observation", ("by_observation", "top1")),
        ("average precision, mean over taxa", ("average_precision",)),
        ("common ancestors that are right", ("common_ancestor", "precision")),
        ("photographs with a right one", ("common_ancestor", "recall")),
        (f"calibration error{chance}", ("calibration_error",)),
        ("can be answered, 95 % of it right", ("coverage_at_95",)),
        ("scenes that are given a name", ("false_names", "share")),
    ]
    for name, keys in named:
        value, interval = _at(figures, keys), _at(figures.get("intervals"), keys)
        if value is not None:
            bounds = (percent(interval["low"]), percent(interval["high"])) if interval else ()
            yield name, percent(value), " to ".join(bounds)


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    """What lies in mappings under keys, None where one is missing or null."""
    for key in keys:
        value = None if value is None else value.get(key)
    return value
