"""Taxa known by the names of their ancestors, rank by rank: their ids and their tree.

Many tables give a record the names of its kingdom, phylum and so on, and an id for the taxon itself
only, or none. Ancestors without an id get one from a hash of the path of names, as classes in
folders do, so that homonymous genera of two families are two taxa.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.catalog.class_taxa import hashed_id
from taxonvision.catalog.staging import Staging
from taxonvision.progress import working
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.tree import Taxon, Taxonomy

Path = tuple[tuple[str, str], ...]
"""Rank and name of each ancestor from the root on, the taxon itself last."""

_FETCHED = 50_000
_ENDINGS = {
    "idae": "family", "aceae": "family", "inae": "subfamily", "oideae": "subfamily",
    "oidea": "superfamily", "ales": "order",
}  # fmt: skip


@dataclass(frozen=True)
class NamedTaxon:
    """A taxon by its path of names.

    Attributes:
        path: the names from the root on.
        ids: the id that the source gives to each step of the path; None where it gives none.
    """

    path: Path
    ids: tuple[int | None, ...]


Cells = Mapping[str, str]
"""The cells of a row that are not empty, by column."""


def lineage_sql(columns: Sequence[str]) -> str:
    """An SQL expression (UHUGEINT) that tells rows apart that differ in these text columns.

    128 bits of a fast hash, which are the same within a run only.
    """
    names = ", ".join(f'"{column}"' for column in columns)
    return f"((hash({names})::UHUGEINT << 64) | hash('again', {names})::UHUGEINT)"


def stage_named_taxa(
    staging: Staging,
    table: str,
    columns: Sequence[str],
    name_taxon: Callable[[Cells], NamedTaxon | None],
) -> None:
    """Fill `listed_taxa` with the taxa of a table and all above them.

    Makes the table `taxon_of (lineage, taxon_id)`.

    Args:
        staging: where the table is, with a unique column `place` and a column `lineage` as
            `lineage_sql` gives it; rows where that is NULL are passed over.
        table: name of the table.
        columns: what a taxon is named by, text columns.
        name_taxon: reads these; None where they name no taxon. Called once a combination of cells.
    """
    connection = staging.connection
    names = ", ".join(f'"{column}"' for column in columns)
    query = connection.execute(
        f"SELECT lineage, n, {names} FROM {table} JOIN (SELECT min(place) AS place, count(*) AS n"  # noqa: S608
        f" FROM {table} WHERE lineage IS NOT NULL GROUP BY lineage) USING (place) ORDER BY place"
    )
    keys: list[int] = []
    taxa: list[NamedTaxon] = []
    counts: list[int] = []
    while rows := query.fetchmany(_FETCHED):
        for key, count, *values in rows:
            filled = {c: value for c, value in zip(columns, values, strict=True) if value}
            taxon = name_taxon(filled)
            if taxon:
                keys.append(key)
                taxa.append(taxon)
                counts.append(count)
    with working("placing taxa by their names"):
        tree, ids = tree_of(taxa, counts)
    staging.add_taxonomy(tree)
    connection.register(
        "named",
        {
            "high": np.array([key >> 64 for key in keys], np.uint64),
            "low": np.array([key & (2**64 - 1) for key in keys], np.uint64),
            "taxon_id": np.array(ids, np.int64),
        },
    )
    connection.execute(
        "CREATE OR REPLACE TABLE taxon_of AS SELECT"
        " (high::UHUGEINT << 64) | low::UHUGEINT AS lineage, taxon_id FROM named"
    )
    connection.unregister("named")


def stage_common_names(
    staging: Staging, table: str, name_sql: str, language_sql: str = "'en'"
) -> None:
    """Fill `listed_names` with the commonest name of each taxon and language in a table.

    The table has a column `lineage`; `taxon_of` stands. Names without a language are left out.
    """
    staging.connection.execute(
        f"""
        INSERT INTO listed_names
        SELECT taxon_id, language, name FROM (
            SELECT t.taxon_id, {language_sql} AS language, trim({name_sql}) AS name, count(*) AS n
            FROM {table} r JOIN taxon_of t USING (lineage) GROUP BY ALL
        ) WHERE name != '' AND language IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY taxon_id, language ORDER BY n DESC, name) = 1
        ORDER BY ALL
        """  # noqa: S608
    )


def tree_of(taxa: Sequence[NamedTaxon], counts: Sequence[int]) -> tuple[Taxonomy, list[int]]:
    """The tree of taxa seen `counts` times, and the id of each.

    Where the same id comes with several paths the commonest is its place, then the first in
    alphabet; where several ids have one place, what is below it hangs below the commonest, then the
    smallest.
    """
    seen: dict[int, dict[Path, int]] = defaultdict(lambda: defaultdict(int))
    for taxon, count in zip(taxa, counts, strict=True):
        for depth, taxon_id in enumerate(taxon.ids, 1):
            if taxon_id is not None:
                seen[taxon_id][taxon.path[:depth]] += count
    places = {
        taxon_id: min(paths, key=lambda path: (-paths[path], path))
        for taxon_id, paths in seen.items()
    }
    id_of: dict[Path, int] = {}
    for taxon_id, path in sorted(
        places.items(), key=lambda item: (item[1], -seen[item[0]][item[1]], item[0])
    ):
        id_of.setdefault(path, taxon_id)
    taken = set(places)
    paths = {*places.values(), *(taxon.path for taxon in taxa if taxon.ids[-1] is None)}
    for path in sorted(_with_ancestors(paths)):
        if path not in id_of:
            id_of[path] = hashed_id(tuple(name for _, name in path), taken)
            taken.add(id_of[path])
    nodes = {taxon_id: path for path, taxon_id in id_of.items()} | places
    tree = Taxonomy(
        Taxon.of_rank(taxon_id, id_of[path[:-1]] if len(path) > 1 else None, *path[-1])
        for taxon_id, path in sorted(nodes.items(), key=lambda item: (item[1], item[0]))
    )
    return tree, [id_of[t.path] if t.ids[-1] is None else t.ids[-1] for t in taxa]


def named_taxon(
    names: Mapping[str, str],
    rank: str,
    name: str,
    ids: Mapping[str, int] | None = None,
    taxon_id: int | None = None,
) -> NamedTaxon:
    """A taxon of a rank and a name below those of `names` (by rank) that rank higher.

    `ids` are those of the ancestors by rank, as far as known, `taxon_id` the taxon's own.
    """
    level = RANK_LEVELS[rank]
    above = sorted(
        (other for other in names if RANK_LEVELS[other] > level), key=RANK_LEVELS.__getitem__
    )[::-1]
    path = (*((other, names[other]) for other in above), (rank, name))
    given = ids or {}
    return NamedTaxon(path, (*(given.get(other) for other in above), taxon_id))


def rank_by_ending(name: str) -> str | None:
    """The rank that the ending of a one-word name tells by the codes of nomenclature, or None.

    Only endings that hardly any genus has; tribes (-ini, -eae) are not among them.
    """
    return next((rank for ending, rank in _ENDINGS.items() if name.endswith(ending)), None)


def _with_ancestors(paths: Iterable[Path]) -> set[Path]:
    found: set[Path] = set()
    for path in paths:
        while path and path not in found:
            found.add(path)
            path = path[:-1]
    return found
