"""Photographs of six butterflies, one colour each, and catalogs of whichever of them are wanted."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from taxonvision.catalog.class_ids import read_earlier_classes
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
from taxonvision.storage import Recipe
from taxonvision.tables import write_csv
from taxonvision.taxonomy.changes import COLUMNS, NO_CHANGES, read_changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy

IO, URTICAE, RAPAE, NAPI, ATALANTA, CARDUI = OLD_AND_NEW = (3, 4, 5, 6, 8, 9)
OLD, NEW = OLD_AND_NEW[:4], OLD_AND_NEW[4:]
NAMES = {
    1: "Aglais", 2: "Pieris", 7: "Vanessa",
    IO: "Aglais io", URTICAE: "Aglais urticae", RAPAE: "Pieris rapae", NAPI: "Pieris napi",
    ATALANTA: "Vanessa atalanta", CARDUI: "Vanessa cardui",
}  # fmt: skip
PARENTS = {IO: 1, URTICAE: 1, RAPAE: 2, NAPI: 2, ATALANTA: 7, CARDUI: 7}
_COLOURS = {
    IO: (220, 40, 40), URTICAE: (220, 150, 40), RAPAE: (40, 180, 60), NAPI: (40, 60, 220),
    ATALANTA: (140, 30, 160), CARDUI: (30, 170, 180),
}  # fmt: skip
SPLITS = ("train",) * 4 + ("val",) + ("test",) * 5
"""Of the photographs 0, 1, 2 ... of each taxon."""
ALL = range(len(SPLITS))


def photograph(taxon_id: int, number: int) -> bytes:
    """A PNG, the same bytes whenever it is asked for."""
    rng = np.random.default_rng([taxon_id, number])
    pixels = np.array(_COLOURS[taxon_id]) + rng.normal(0, 25, (40, 48, 3))
    with io.BytesIO() as file:
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "png")
        return file.getvalue()


@dataclass(frozen=True)
class Listed:
    """A model or a catalog, as far as a plan looks at it."""

    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: Names = field(default_factory=dict)
    manifest: dict = field(default_factory=lambda: {"version": "1"})
    folder: Path = Path("next")


@dataclass(frozen=True)
class Wanted:
    """What a catalog is to have.

    Attributes:
        numbers: of the photographs, by taxon.
        names: other names of taxa.
        shown_as: taxa whose training photographs are labelled as another.
        changes: lines of a table of changes, as mappings.
        earlier: a model or catalog whose class ids are kept.
        retire_absent: retire those of them without photographs.
        more_taxa: lines of the tree: taxon_id, parent_taxon_id, rank_level, rank, name.
        check_photos: whether they are opened.
    """

    numbers: Mapping[int, Collection[int]]
    names: Mapping[int, str] = field(default_factory=dict)
    shown_as: Mapping[int, int] = field(default_factory=dict)
    changes: Collection[Mapping[str, object]] = ()
    earlier: Path | None = None
    retire_absent: bool = False
    more_taxa: Collection[tuple[object, ...]] = ()
    check_photos: bool = True


def of_taxa(*taxon_ids: int, numbers: Collection[int] = ALL, **options: object) -> Wanted:
    """The same photographs of some taxa."""
    return Wanted(dict.fromkeys(taxon_ids, numbers), **options)  # type: ignore[arg-type]


def write_changes_table(path: Path, lines: Collection[Mapping[str, object]]) -> Path:
    """A table of changes; what a line does not say is empty."""
    write_csv(path, COLUMNS, ([line.get(column, "") for column in COLUMNS] for line in lines))
    return path


def make_catalog(folder: Path, wanted: Wanted) -> Path:
    """Write the photographs and a catalog of them into a new folder; returns the catalog."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    rows = []
    for taxon_id, numbers in wanted.numbers.items():
        for number in numbers:
            file, split = f"{taxon_id}-{number}.png", SPLITS[number]
            (photos / file).write_bytes(photograph(taxon_id, number))
            label = wanted.shown_as.get(taxon_id, taxon_id) if split == "train" else taxon_id
            rows.append((file, label, split))
    with (folder / "labels.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "class", "split"), *rows])
    names = {**NAMES, **wanted.names}
    write_csv(
        folder / "taxa.csv",
        ("class", "taxon_id", "scientific_name", "common_name"),
        [(i, i, names[i], names[i].split()[-1].upper()) for i in sorted(wanted.numbers)],
    )
    tree = [(i, "", 20, "genus", names[i]) for i in (1, 2, 7)]
    tree += [(i, PARENTS[i], 10, "species", names[i]) for i in OLD_AND_NEW]
    write_csv(
        folder / "taxonomy.csv",
        ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name"),
        [*tree, *wanted.more_taxa],
    )
    changes = NO_CHANGES
    if wanted.changes:
        changes = read_changes(write_changes_table(folder / "changes.csv", wanted.changes))
    source = FolderOptions(
        labels=folder / "labels.csv",
        taxa=folder / "taxa.csv",
        taxonomy=folder / "taxonomy.csv",
        license="CC0-1.0",
        attribution="the tests",
    )
    options = IngestOptions(
        earlier=read_earlier_classes(wanted.earlier) if wanted.earlier else None,
        retire_absent=wanted.retire_absent,
        changes=changes,
        near_duplicates=False,
        check_photos=wanted.check_photos,
    )
    out = folder / "catalog"
    ingest(lambda staging: stage_folder(staging, photos, source), "folder", options, out,
           Recipe("ingest"))  # fmt: skip
    return out
