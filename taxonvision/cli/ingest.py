"""Turn photographs and tables into a catalog.

A folder a class, nested folders as taxonomy (Family/Genus/Species), folders train/ val/ test/ above
the classes, or a table of labels. Files that cannot be used are listed in rejects.csv.
"""

from __future__ import annotations

from pathlib import Path

from absl import flags

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.ingest import ingest
from taxonvision.catalog.sources.folder import FolderOptions, list_folder, listing_digest
from taxonvision.cli.values import optional_path, recipe_of
from taxonvision.progress import say
from taxonvision.storage import file_digest

USAGE = "taxonvision ingest --input=FOLDER --out=CATALOG [--labels=CSV --taxa=CSV --taxonomy=CSV]"
REQUIRED = ("input", "out")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_enum(
        "source", "folder", ["folder"], "how the photographs come", flag_values=values
    )
    flags.DEFINE_string("input", None, "folder of the photographs", flag_values=values)
    flags.DEFINE_string("out", None, "the catalog to write", flag_values=values)
    flags.DEFINE_string(
        "labels", None, "table: file (relative to --input), class, split", flag_values=values
    )
    flags.DEFINE_string(
        "taxa",
        None,
        "table: class, taxon_id, scientific_name, common_name (English), common_name_de ...",
        flag_values=values,
    )
    flags.DEFINE_string(
        "taxonomy",
        None,
        "table of the tree: taxon_id, parent_taxon_id, rank_level, rank, name",
        flag_values=values,
    )
    flags.DEFINE_list(
        "levels",
        [],
        "ranks of the folder levels, as family,genus,species; empty: the last is species",
        flag_values=values,
    )
    flags.DEFINE_string("license", "", "licence of all photographs, as CC0-1.0", flag_values=values)
    flags.DEFINE_string("attribution", "", "line of credit of all photographs", flag_values=values)
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Ingest and say what came of it."""
    root, out = Path(values.input), Path(values.out)
    options = FolderOptions(
        labels=optional_path(values.labels),
        taxa=optional_path(values.taxa),
        taxonomy=optional_path(values.taxonomy),
        levels=tuple(values.levels),
        license=values.license,
        attribution=values.attribution,
    )
    listing = list_folder(root, options)
    tables = {name: getattr(options, name) for name in ("labels", "taxa", "taxonomy")}
    inputs = {name: file_digest(path) if path else "" for name, path in tables.items()}
    recipe = recipe_of("ingest", values, {"input": listing_digest(root), **inputs})
    manifest = ingest(listing, values.source, out, recipe, overwrite=values.overwrite)
    counts = manifest["counts"]
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    say(f"{out}: {counts['used']} photographs of {counts['classes']} classes ({splits})")
    if counts["rejected"]:
        say(f"{counts['rejected']} files could not be used: {out / 'rejects.csv'} says why")
    if counts["other_files"]:
        others = ", ".join(f"{n} {suffix}" for suffix, n in counts["other_files"].items())
        say(f"files that are no photographs were passed over: {others}")
    return 0
