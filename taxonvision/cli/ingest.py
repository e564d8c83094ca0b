"""Turn photographs and tables into a catalog.

Sources: folders (a folder a class, nested folders as taxonomy, folders train/ val/ test/ above the
classes, or a table of labels); the tables of iNaturalist Open Data; Darwin Core archives,
occurrence tables and .dwc files; exports of the iNaturalist website; COCO JSON of competitions and
camera traps; prepared data sets of TensorFlow Datasets. What is faulty is listed in rejects.csv;
eligibility.csv says of every taxon whether it is included, and if not, why.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from absl import flags

from taxonvision.catalog.catalog import MANIFEST, SPLITS, read_catalog_manifest
from taxonvision.catalog.class_ids import read_earlier_classes
from taxonvision.catalog.fates import LEFT_OUT
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.rules import SPLIT_UNITS
from taxonvision.cli.rules import define_rules, rules_of
from taxonvision.cli.sources import DEFAULT_RULES, define_sources, source_of
from taxonvision.cli.values import digest_of_table, optional_path, recipe_of
from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.storage import check_place
from taxonvision.taxonomy.changes import NO_CHANGES, read_changes
from taxonvision.text import several

USAGE = "taxonvision ingest --input=PATH --out=CATALOG [--source=folder --rules=inat|none ...]"
REQUIRED = ("input", "out")
_TABLES = ("labels", "taxa", "taxonomy", "changes")


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    define_sources(values)
    flags.DEFINE_string("out", None, "the catalog to write", flag_values=values)
    define_rules(values)
    flags.DEFINE_enum(
        "split_by",
        "observation",
        SPLIT_UNITS,
        "what never lies in two splits; site: the place of a camera trap",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "near_duplicates",
        True,
        "keep photographs that look alike in one split (with --check_photos)",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "check_photos",
        True,
        "open every photograph; without, the catalog lists what to fetch",
        flag_values=values,
    )
    flags.DEFINE_string(
        "classes_from",
        None,
        "model, catalog or classes.csv whose class ids are kept; new classes are appended",
        flag_values=values,
    )
    flags.DEFINE_bool(
        "retire_absent",
        False,
        "retire classes of --classes_from that no photograph is left for",
        flag_values=values,
    )
    flags.DEFINE_string("splits_from", None, "catalog whose splits are kept", flag_values=values)
    flags.DEFINE_string(
        "changes",
        None,
        "table of taxonomic changes: kind (merged, renamed, split, moved), taxon_id, new_taxon_id, "
        "name, rank, parent_taxon_id",
        flag_values=values,
    )
    flags.DEFINE_bool("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Ingest and say what came of it."""
    out = Path(values.out)
    if values.retire_absent and not values.classes_from:
        raise UserError("--retire_absent needs --classes_from, the classes that may be retired")
    rules = rules_of(values, DEFAULT_RULES[values.source])
    source = source_of(values)
    earlier = read_earlier_classes(Path(values.classes_from)) if values.classes_from else None
    splits = optional_path(values.splits_from)
    tables = {name: optional_path(values[name].value) for name in _TABLES}
    inputs = {
        "input": source.digest,
        "classes_from": earlier.digest if earlier else "",
        "splits_from": read_catalog_manifest(splits)["fingerprint"] if splits else "",
        **{name: digest_of_table(path) for name, path in tables.items()},
    }
    recipe = recipe_of("ingest", values, inputs)
    check_place(out, MANIFEST, recipe, overwrite=values.overwrite)
    options = IngestOptions(
        rules=rules,
        split_by=values.split_by,
        near_duplicates=values.near_duplicates,
        check_photos=values.check_photos,
        earlier=earlier,
        retire_absent=values.retire_absent,
        splits_from=splits / "photos.parquet" if splits else None,
        changes=read_changes(tables["changes"]) if tables["changes"] else NO_CHANGES,
    )
    manifest = ingest(source.stage, values.source, options, out, recipe, overwrite=values.overwrite)
    _say(out, manifest["counts"], checked=values.check_photos)
    return 0


def _say(out: Path, counts: Mapping[str, Any], *, checked: bool) -> None:
    splits = ", ".join(f"{counts[split]} {split}" for split in SPLITS)
    photographs, classes = several(counts["used"], "photograph"), counts["classes"]
    say(f"{out}: {photographs} of {classes} {'class' if classes == 1 else 'classes'} ({splits})")
    for reason, count in counts["left_out"].items():
        say(f"  left out: {count} {LEFT_OUT[reason]}")
    if not counts["classes"]:
        say(f"no taxon is eligible; {out / 'eligibility.csv'} says of each what is missing")
    faulty = [several(counts["rejected"], "photograph")] if counts["rejected"] else []
    faulty += [
        f"{several(table['faulty'], 'row')} of {name}"
        for name, table in counts["tables"].items()
        if table["faulty"]
    ]
    if faulty:
        say(f"{out / 'rejects.csv'} says what is faulty: {', '.join(faulty)}")
    if checked and counts["rejected"] and not counts["used"]:
        say(
            "no photograph that the rules would use could be opened; --photos names their folder, "
            "--check_photos=false plans a download"
        )
    if counts["near_duplicates_across_splits"]:
        say(
            f"warning: {counts['near_duplicates_across_splits']} pairs of photographs that look "
            f"alike lie in two splits, as given: {out / 'near_duplicates.csv'}"
        )
    if counts["other_files"]:
        others = ", ".join(f"{n} {suffix}" for suffix, n in counts["other_files"].items())
        say(f"files that are no photographs were passed over: {others}")
    if not checked and counts["used"]:
        say("the photographs were not opened; the column url of photos.parquet says what to fetch")
