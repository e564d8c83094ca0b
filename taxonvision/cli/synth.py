"""Draw procedural butterflies: photographs, labels, tree and iNaturalist tables.

The same seed gives the same files. `--layout=folder` writes photos/Family/Genus/Species with
labels.csv, class_taxa.csv and taxonomy.csv; `--layout=open_data` writes photos/<photo_id> as the
iNaturalist Open Data bucket has them. Both write observations.csv, photos.csv, taxa.csv and
observers.csv.

`--metadata_only --photos=10_000_000 --taxa=60_000` writes those four tables alone, for benchmarks,
with a tree and frequencies of taxa as iNaturalist's; `--compress` makes them .csv.gz.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.cli.values import recipe_of
from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.synthetic.dataset import LAYOUTS, SynthOptions, synthesize
from taxonvision.synthetic.metadata import MetadataOptions, synthesize_metadata

USAGE = (
    "taxonvision synth --out=DIR [--layout=folder|open_data --taxa=24 --photos_per_taxon=40]"
    " [--metadata_only --photos=N]"
)
REQUIRED = ("out",)
_OF_PHOTOGRAPHS = ("layout", "photos_per_taxon", "size", "broken", "empty_scenes")
_OF_METADATA = ("photos", "compress")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("out", None, "the data set to write", flag_values=values)
    flags.DEFINE_enum(
        "layout",
        "folder",
        LAYOUTS,
        "how the photographs lie: folders as taxonomy, or the bucket of iNaturalist Open Data",
        flag_values=values,
    )
    flags.DEFINE_integer("taxa", 24, "number of species", flag_values=values)
    flags.DEFINE_integer("photos_per_taxon", 40, "photographs of each", flag_values=values)
    flags.DEFINE_integer("size", 320, "side of a photograph in pixels", flag_values=values)
    flags.DEFINE_integer("seed", 0, "another seed, other species", flag_values=values)
    flags.DEFINE_float("broken", 0.0, "share of the files to break, 0 to 1", flag_values=values)
    flags.DEFINE_integer(
        "empty_scenes", 0, "scenes without an organism, written to empty/", flag_values=values
    )
    flags.DEFINE_bool(
        "metadata_only", False, "write the four tables and no photographs", flag_values=values
    )
    flags.DEFINE_integer(
        "photos", None, "with --metadata_only: photographs in the tables", flag_values=values
    )
    flags.DEFINE_bool(
        "compress", False, "with --metadata_only: tables as .csv.gz", flag_values=values
    )
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Draw the data set and say what is in it."""
    out, recipe = Path(values.out), recipe_of("synth", values, {})
    _check_flags(values)
    if values.metadata_only:
        metadata = MetadataOptions(values.photos, values.taxa, values.seed, values.compress)
        counts = synthesize_metadata(metadata, out, recipe, overwrite=values.overwrite)
    else:
        options = SynthOptions(
            layout=values.layout,
            taxa=values.taxa,
            photos_per_taxon=values.photos_per_taxon,
            size=values.size,
            seed=values.seed,
            broken=values.broken,
            empty_scenes=values.empty_scenes,
        )
        counts = synthesize(options, out, recipe, overwrite=values.overwrite)
    say(f"{out}: {_in_words(counts)}")
    return 0


def _check_flags(values: flags.FlagValues) -> None:
    """Raise UserError for a flag that says nothing of what is to be made."""
    others = _OF_PHOTOGRAPHS if values.metadata_only else _OF_METADATA
    given = [f"--{name}" for name in others if values[name].present]
    if given and values.metadata_only:
        raise UserError(f"--metadata_only draws no photographs; leave out {' and '.join(given)}")
    if given:
        raise UserError(
            f"{' and '.join(given)} only with --metadata_only; how many photographs are drawn is"
            " --taxa times --photos_per_taxon"
        )
    if values.metadata_only and values.photos is None:
        raise UserError("--metadata_only needs --photos, how many photographs the tables list")


def _in_words(counts: dict[str, int]) -> str:
    def several(key: str, one: str, many: str) -> str:
        return f"{counts[key]} {one if counts[key] == 1 else many}"

    words = several("photos", "photograph", "photographs")
    if counts.get("broken"):
        words += f" ({counts['broken']} of them broken)"
    words += f" of {several('taxa', 'species', 'species')}"
    words += f" in {several('genera', 'genus', 'genera')}"
    words += f" and {several('families', 'family', 'families')}"
    if counts.get("empty_scenes"):
        words += f", {several('empty_scenes', 'empty scene', 'empty scenes')}"
    return words
