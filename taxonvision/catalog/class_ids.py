"""Class ids that never move: an earlier head's classes, what became of their taxa, and new ones.

1. A class keeps its id and its `since` for ever; no id is given again. New classes are appended in
   the order of their scientific names.
2. A class follows its taxon through the table of changes: with a taxon that was renamed, moved or
   merged its row goes along, so that what a head has learned of the organism is not lost.
3. Where several classes lead to one taxon it keeps its own row, else it gets the first active one
   (what is known of a part of the taxon is true of it, and it is named before it is trained again);
   the others are retired and keep their old taxon. A class whose taxon was split is retired.
4. A class without photographs in the new catalog stays as it is, or is retired by `retire_absent`.
5. A retired class whose taxon has enough photographs again becomes active, in its old row. So a
   table of changes is to be given again with every later catalog.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taxonvision.storage import digest_of, file_digest, read_json
from taxonvision.taxonomy.changes import NO_CHANGES, Changes
from taxonvision.taxonomy.classes import TaxonClass, find_classes, read_classes
from taxonvision.taxonomy.names import Names, read_names
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxon, Taxonomy, read_taxonomy

FIRST_RELEASE = "1"


@dataclass(frozen=True)
class EarlierClasses:
    """The classes that a catalog goes on from, with their tree and common names.

    Attributes:
        classes: in the order of their ids.
        taxonomy: has the taxa of all classes.
        names: the common names, where there are any.
        digest: SHA-256 of the files that were read.
        version: of the model that they are those of; "" where they are of none.
    """

    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: Names
    digest: str
    version: str = ""


def read_earlier_classes(path: Path) -> EarlierClasses:
    """The classes of a model, a catalog or a `classes.csv`, with the tree and names beside it.

    A class that the tree lacks, or any where there is no tree, is a root. Raises UserError for a
    folder without classes and for a damaged table.
    """
    table = find_classes(path)
    classes = read_classes(table)
    tree, names = table.with_name("taxonomy.csv"), table.with_name("names.csv")
    roots = Taxonomy(
        Taxon(c.taxon_id, None, c.rank, c.name, RANK_LEVELS.get(c.rank, RANK_LEVELS["species"]))
        for c in classes
    )
    return EarlierClasses(
        classes=classes,
        taxonomy=united(read_taxonomy(tree), roots) if tree.is_file() else roots,
        names=read_names(names) if names.is_file() else {},
        digest=digest_of([file_digest(file) for file in (table, tree, names) if file.is_file()]),
        version=_version_of(table.with_name("model.json")),
    )


def _version_of(manifest: Path) -> str:
    """The version of a model; "" where there is none."""
    if not manifest.is_file():
        return ""
    found = read_json(manifest)
    version = found.get("version") if isinstance(found, dict) else None
    return version if isinstance(version, str) else ""


def united(newer: Taxonomy, older: Taxonomy) -> Taxonomy:
    """The newer tree, and the taxa that only the older one has, below the parents they had."""
    return Taxonomy([*newer, *(taxon for taxon in older if taxon.taxon_id not in newer)])


def united_names(newer: Names, older: Names, changes: Changes = NO_CHANGES) -> Names:
    """The common names of both after the changes: first the newer, and a taxon's own names.

    What is left of merged and renamed taxa goes to the one that their photographs count as.
    """
    names: dict[str, dict[int, str]] = {}
    for source in (newer, older):
        for own in (True, False):
            for language, by_taxon in source.items():
                kept = names.setdefault(language, {})
                for taxon_id, name in by_taxon.items():
                    current = changes.current(taxon_id)
                    if (current in (taxon_id, None)) == own:
                        kept.setdefault(taxon_id if current is None else current, name)
    return names


def next_release(classes: Iterable[TaxonClass], version: str = "") -> str:
    """What `since` says of the classes appended to these: one more than the last number.

    `version` is that of the last release, which may have brought no class; "" where it is not
    known. Where not all are whole numbers: how many different ones there are, plus one or as much
    as it takes to be new.
    """
    labels = {c.since for c in classes} | ({version} if version else set())
    number = len(labels) + 1
    if all(label.isdecimal() for label in labels):
        number = max(map(int, labels), default=int(FIRST_RELEASE) - 1) + 1
    while str(number) in labels:
        number += 1
    return str(number)


def grow_classes(
    previous: Sequence[TaxonClass],
    eligible: Collection[int],
    taxonomy: Taxonomy,
    *,
    since: str,
    changes: Changes = NO_CHANGES,
    retire_absent: bool = False,
) -> list[TaxonClass]:
    """The classes of a new catalog by id: the previous ones, then the new ones.

    Args:
        previous: the classes so far, ids 0, 1, 2 ...; empty for a first catalog.
        eligible: ids of the taxa that have enough photographs, counted after the changes.
        taxonomy: the tree after the changes, with all eligible taxa; it names the classes, also
            those of before.
        since: the release of the new classes.
        changes: what became of taxa.
        retire_absent: retire the classes whose taxa are not eligible.
    """
    ended = [taxon_id for taxon_id in eligible if changes.current(taxon_id) != taxon_id]
    if ended:
        raise ValueError(f"taxon {ended[0]} is no more after the changes; count what it became")
    rows = _rows_by_current_taxon(previous, changes)
    kept = {_first(taxon_id, of_taxon).class_id: taxon_id for taxon_id, of_taxon in rows.items()}
    chosen = set(eligible)
    grown = []
    for row in previous:
        taxon_id = kept.get(row.class_id)
        if taxon_id is None:
            row, active = _named(row, row.taxon_id, taxonomy), False
        else:
            known = not retire_absent and any(r.active for r in rows[taxon_id])
            row, active = _named(row, taxon_id, taxonomy), taxon_id in chosen or known
        grown.append(replace(row, status="active" if active else "retired"))
    new = sorted(
        (taxonomy[taxon_id] for taxon_id in chosen.difference(rows)),
        key=lambda taxon: (taxon.name, taxon.taxon_id),
    )
    return grown + [
        TaxonClass(class_id, taxon.taxon_id, taxon.name, taxon.rank, "active", since)
        for class_id, taxon in enumerate(new, start=len(grown))
    ]


def _rows_by_current_taxon(
    previous: Sequence[TaxonClass], changes: Changes
) -> dict[int, list[TaxonClass]]:
    rows: dict[int, list[TaxonClass]] = {}
    for row in previous:
        current = changes.current(row.taxon_id)
        if current is not None:
            rows.setdefault(current, []).append(row)
    return rows


def _first(taxon_id: int, rows: Sequence[TaxonClass]) -> TaxonClass:
    """The row that a taxon keeps: its own, else the first active one, else the first."""
    return min(rows, key=lambda r: (r.taxon_id != taxon_id, not r.active, r.class_id))


def _named(row: TaxonClass, taxon_id: int, taxonomy: Taxonomy) -> TaxonClass:
    """The row for a taxon, with the name and rank that the tree gives it."""
    if taxon_id not in taxonomy:
        return replace(row, taxon_id=taxon_id)
    taxon = taxonomy[taxon_id]
    return replace(row, taxon_id=taxon_id, name=taxon.name, rank=taxon.rank)
