"""Compress a model into TFLite bundles for phones.

Each bundle is run on its golden photographs and must agree with the full model. With several
quantisations, --out gets one bundle each: OUT/float32, OUT/int8.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.catalog.catalog import open_catalog
from taxonvision.cli.values import define_seed, recipe_of
from taxonvision.errors import UserError
from taxonvision.export.recipes import RECIPES
from taxonvision.models.directory import open_model
from taxonvision.models.engine import load_keras
from taxonvision.progress import say

USAGE = "taxonvision export --model=MODEL --catalog=CATALOG --out=BUNDLE [--quantize=int8,float16]"
REQUIRED = ("model", "catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "the model to compress", flag_values=values)
    flags.DEFINE_string(
        "catalog", None, "where calibration and golden photographs come from", flag_values=values
    )
    flags.DEFINE_string("out", None, "the bundle to write", flag_values=values)
    flags.DEFINE_list(
        "quantize", ["int8"], f"one or several of {', '.join(RECIPES)}", flag_values=values
    )
    flags.DEFINE_enum(
        "input_type",
        None,
        ["uint8", "float32"],
        "type of the input; by default uint8 for int8 and float32 for the others",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration_photographs",
        100,
        "photographs of the split train that give int8 its ranges",
        lower_bound=1,
        flag_values=values,
    )
    define_seed("draws calibration and golden photographs", values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Export and say what was written."""
    names = list(dict.fromkeys(values.quantize))
    unknown = [name for name in names if name not in RECIPES]
    if unknown or not names:
        raise UserError(
            f"--quantize: {unknown[0] if unknown else ''!r} is none of {', '.join(RECIPES)}"
        )
    model, out = open_model(Path(values.model)), Path(values.out)
    catalog = open_catalog(Path(values.catalog))
    load_keras()
    from taxonvision.export.export import ExportOptions, export

    inputs = {"model": model.fingerprint, "catalog": catalog.fingerprint}
    options = ExportOptions(names, values.input_type, values.calibration_photographs, values.seed)
    recipes = {}
    for name in names:
        # Only int8 is calibrated, so that the others stay valid when the number changes.
        count = str(values.calibration_photographs) if name == "int8" else ""
        made_of = {**inputs, "quantize": name, "calibration_photographs": count}
        recipes[name] = recipe_of("export", values, made_of)
    for place in export(model, catalog, options, out, recipes, overwrite=values.overwrite):
        size = (place / "model.tflite").stat().st_size
        say(f"{place}: {len(model.classes)} classes, model.tflite {size / 1e6:.2f} MB")
    return 0
