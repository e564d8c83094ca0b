"""Compress a model into TFLite bundles for phones.

Each bundle is run on its golden photographs and must agree with the full model. With several
quantisations, --out gets one bundle each: OUT/float32, OUT/int8.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from absl import flags

from taxonvision.catalog.catalog import open_catalog
from taxonvision.catalog.rights import LICENSES, parse_licenses
from taxonvision.cli.fit_flags import NOT_IN_RECIPES, cache_of, define_cache, negatives_of
from taxonvision.cli.values import define_seed, digest_of_table, optional_path, recipe_of
from taxonvision.errors import UserError
from taxonvision.export.options import (
    AUTO_RANK,
    OUTPUT_TYPES,
    PLAIN,
    PROBABILITIES,
    PROFILES,
    ExportOptions,
)
from taxonvision.export.own_thresholds import own_thresholds
from taxonvision.export.recipes import RECIPES
from taxonvision.export.region import parse_within, region_of
from taxonvision.models.directory import open_model
from taxonvision.models.engine import load_keras
from taxonvision.progress import say
from taxonvision.storage import Recipe
from taxonvision.text import several

USAGE = "taxonvision export --model=MODEL --catalog=CATALOG --out=BUNDLE [--quantize=int8,float16]"
REQUIRED = ("model", "catalog", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("model", None, "the model to compress", flag_values=values)
    flags.DEFINE_string("catalog", None, "where photographs come from", flag_values=values)
    flags.DEFINE_string("out", None, "the bundle to write", flag_values=values)
    flags.DEFINE_list(
        "quantize", ["int8"], f"one or several of {', '.join(RECIPES)}", flag_values=values
    )
    _define_graph(values)
    _define_taxa(values)
    flags.DEFINE_string(
        "thresholds",
        None,
        "table of the scores above which taxa are named as sure, as `thresholds` writes it; other "
        "taxa have the threshold of all",
        flag_values=values,
    )
    _define_photographs(values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def _define_graph(values: flags.FlagValues) -> None:
    flags.DEFINE_enum(
        "profile",
        PLAIN,
        PROFILES,
        "whom the bundle serves beside its own readers: inat, the camera of the iNaturalist and "
        "Seek apps (299 pixels, float32, files in inat/); mediapipe, the tasks of MediaPipe "
        "(labels inside the model)",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "input_type",
        None,
        ["uint8", "float32"],
        "type of the input; by default uint8 for int8 and float32 for the others",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "output_type",
        PROBABILITIES,
        OUTPUT_TYPES,
        "what the model answers; of logits readers of the bundle take the softmax",
        flag_values=values,
    )
    flags.DEFINE_string(
        "head_rank",
        None,
        "factorise the head: the rank, or auto for the smallest that loses at most --max_loss",
        flag_values=values,
    )
    flags.DEFINE_float(
        "max_loss",
        0.5,
        "with --head_rank=auto: points of top-1 on validation photographs that may be lost",
        lower_bound=0.0,
        upper_bound=100.0,
        flag_values=values,
    )


def _define_taxa(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "only_taxa",
        None,
        "table of the taxa that stay (taxon_id or name), with all that is below them; the scores "
        "of the others are shared out",
        flag_values=values,
    )
    flags.DEFINE_string(
        "within",
        None,
        "LAT,LNG,RADIUS_KM: only taxa that the catalog has observed there",
        flag_values=values,
    )


def _define_photographs(values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "negatives",
        None,
        "folder of photographs without organisms, which fit the score below which nothing is "
        "known; by default the model's own threshold, for a region or without one drawn scenes",
        flag_values=values,
    )
    flags.DEFINE_list(
        "licenses",
        sorted(LICENSES),
        "licences under which a photograph may be in the bundle, as an app takes it along",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "calibration_photographs",
        100,
        "photographs of the split train that give int8 its ranges",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "validation_photographs",
        1000,
        "photographs of the split val that judge the bundle, at most",
        lower_bound=0,
        flag_values=values,
    )
    define_seed("draws photographs and scenes", values)
    define_cache(values)


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
    negatives, of_negatives = negatives_of(values)
    thresholds = own_thresholds(model, optional_path(values.thresholds))
    options = _options(values, names, negatives, thresholds)
    within = None if values.within is None else parse_within(values.within)
    region = region_of(model, catalog, optional_path(values.only_taxa), within)
    made_of = {"model": model.fingerprint, "catalog": catalog.fingerprint, **of_negatives}
    recipes = {name: _recipe(values, name, made_of) for name in names}
    load_keras()
    from taxonvision.export.export import export

    for place in export(model, catalog, region, options, out, recipes, overwrite=values.overwrite):
        files = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
        size = (place / "model.tflite").stat().st_size
        say(
            f"{place}: {several(len((place / 'labels.txt').read_text().splitlines()), 'class')}, "
            f"model.tflite {size / 1e6:.2f} MB, all files {sum(files) / 1e6:.2f} MB"
        )
    return 0


def _options(
    values: flags.FlagValues,
    names: list[str],
    negatives: Sequence[Path],
    thresholds: Mapping[int, float],
) -> ExportOptions:
    rank = values.head_rank
    if rank is not None and rank != AUTO_RANK:
        if not rank.isdecimal() or int(rank) < 2:
            raise UserError(f"--head_rank: {rank!r} is neither a whole number above 1 nor auto")
        rank = int(rank)
    if values["max_loss"].present and rank != AUTO_RANK:
        raise UserError("--max_loss says nothing without --head_rank=auto")
    return ExportOptions(
        quantize=names,
        cache=cache_of(values),
        licenses=parse_licenses(values.licenses),
        input_type=values.input_type,
        output_type=values.output_type,
        profile=values.profile,
        head_rank=rank,
        max_loss=values.max_loss / 100,
        negatives=negatives,
        thresholds=thresholds,
        calibration_photographs=values.calibration_photographs,
        validation_photographs=values.validation_photographs,
        seed=values.seed,
    )


def _recipe(values: flags.FlagValues, name: str, made_of: Mapping[str, str]) -> Recipe:
    """How one bundle is made."""
    inputs = {
        **made_of,
        "quantize": name,
        # Only int8 is calibrated, so that the others stay valid when the number changes.
        "calibration_photographs": str(values.calibration_photographs) if name == "int8" else "",
        "only_taxa": digest_of_table(optional_path(values.only_taxa)),
        "thresholds": digest_of_table(optional_path(values.thresholds)),
        "licenses": ",".join(sorted(parse_licenses(values.licenses))),
    }
    return recipe_of("export", values, inputs, leaving_out=NOT_IN_RECIPES)
