"""Which taxon a class is: told by tables, else by the path of names that leads to it.

A class is given as a path of names from the root of the tree, ("Nymphalidae", "Danaus",
"Danaus plexippus"); where only its own name is known the path has one name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.tables import read_csv, taxon_id_in
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxon, Taxonomy, read_taxonomy
from taxonvision.text import one_line

ClassPath = tuple[str, ...]
_MAX_TAXON_ID = 2**31 - 1
_COMMON_NAME = re.compile(r"common_name(?:_([a-z]{2,3}(?:[_-][A-Za-z]{2,4})?))?")


@dataclass(frozen=True)
class ClassTaxa:
    """The taxa of some classes, their tree, and common names by language."""

    taxon_ids: Mapping[ClassPath, int]
    taxonomy: Taxonomy
    names: Names = field(default_factory=dict)


def taxa_of_paths(class_paths: Sequence[ClassPath], levels: Sequence[str]) -> ClassTaxa:
    """Taxa whose ids are hashes of the path of names from the root.

    `levels` names the ranks from the root on; without it the last name is a species, above it are
    genus, family and so on.
    """
    return taxa_of_ranks(_ranks_of_paths(class_paths, levels))


def taxa_of_ranks(ranks: Mapping[ClassPath, str]) -> ClassTaxa:
    """Taxa whose ids are hashes of the path of names from the root.

    Args:
        ranks: the rank of every path of names, of those above the classes too.
    """
    ids: dict[ClassPath, int] = {}
    taken: set[int] = set()
    for node in sorted(ranks):
        ids[node] = hashed_id(node, taken)
        taken.add(ids[node])
    taxa = [
        Taxon.of_rank(taxon_id, ids.get(node[:-1]), ranks[node], node[-1])
        for node, taxon_id in ids.items()
    ]
    return ClassTaxa(ids, Taxonomy(taxa))


def taxa_of_tables(
    class_paths: Sequence[ClassPath], table: Path, taxonomy: Path | None
) -> ClassTaxa:
    """Taxa that a table gives the last names of the paths, in the tree of another table.

    Args:
        class_paths: the classes.
        table: `class, taxon_id` and, where known, `scientific_name`, `common_name` (English),
            `common_name_de` and so on.
        taxonomy: a `taxonomy.csv`; None: the taxa are species without parents.

    Raises:
        UserError: the table lacks a class, or the tree a taxon.
    """
    taxa, names = _read_class_taxa(table)
    missing = sorted(path[-1] for path in class_paths if path[-1] not in taxa)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{table} has no line for the class {missing[0]!r}{more}")
    ids = {path: taxa[path[-1]].taxon_id for path in class_paths}
    if taxonomy is None:
        tree = Taxonomy({taxon.taxon_id: taxon for taxon in taxa.values()}.values())
        return ClassTaxa(ids, tree, names)
    tree = read_taxonomy(taxonomy)
    for path, taxon_id in ids.items():
        if taxon_id not in tree:
            raise UserError(
                f"{taxonomy} has no taxon {taxon_id}, which {table} gives to the class {path[-1]!r}"
            )
    return ClassTaxa(ids, tree, names)


def _read_class_taxa(table: Path) -> tuple[dict[str, Taxon], dict[str, dict[int, str]]]:
    """Class to taxon (without parent), and the common names by language."""
    taxa: dict[str, Taxon] = {}
    names: dict[str, dict[int, str]] = {}
    for row in read_csv(table, ("class", "taxon_id")):
        taxon_id = taxon_id_in(row, "taxon_id", table)
        if row["class"] in taxa:
            raise UserError(f"{table}, line {row.line}: class {row['class']!r} is listed twice")
        name = row.get("scientific_name") or row["class"]
        taxa[row["class"]] = Taxon.of_rank(taxon_id, None, "species", name)
        for column, common_name in row.items():
            match = _COMMON_NAME.fullmatch(column)
            if match and common_name:
                names.setdefault(match[1] or "en", {}).setdefault(taxon_id, one_line(common_name))
    return taxa, names


def _ranks_of_paths(
    class_paths: Sequence[ClassPath], levels: Sequence[str]
) -> dict[ClassPath, str]:
    """The rank of each path of names: by --levels from the top, else from the species upwards."""
    nodes = {path[:depth] for path in class_paths for depth in range(1, len(path) + 1)}
    if levels:
        return {node: levels[len(node) - 1] for node in nodes}
    height = dict.fromkeys(nodes, 0)
    for node in sorted(nodes, key=len, reverse=True):
        if len(node) > 1:
            height[node[:-1]] = max(height[node[:-1]], height[node] + 1)
    return {node: MAIN_RANKS[-1 - height[node]] for node in nodes}


def hashed_id(node: ClassPath, taken: set[int]) -> int:
    """A positive id below 2³¹ from the path of names; a collision is rehashed with a counter."""
    counter = 0
    while True:
        key = "/".join(node) + (f"#{counter}" if counter else "")
        taxon_id = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % _MAX_TAXON_ID + 1
        if taxon_id not in taken:
            return taxon_id
        counter += 1
