"""The tree of an ingest: the taxa observed and all above them, as they are called today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxonvision.catalog.class_ids import EarlierClasses, united, united_names
from taxonvision.taxonomy.changes import Changes
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxon, Taxonomy
from taxonvision.text import one_line

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class ObservedTaxa:
    """The taxa of an ingest.

    Attributes:
        taxonomy: the tree after the changes.
        names: common names of its taxa.
        today: observed taxa that are no more: what they count as, None where they were split.
    """

    taxonomy: Taxonomy
    names: Names
    today: Mapping[int, int | None]


def read_observed_taxa(
    connection: DuckDBPyConnection, changes: Changes, earlier: EarlierClasses | None
) -> ObservedTaxa:
    """Cut `listed_taxa` down to the taxa observed, changed and of earlier classes, and those above.

    It is brought up to date with the changes.
    """
    observed = [
        taxon_id
        for (taxon_id,) in connection.execute(
            "SELECT taxon_id FROM observed_taxa WHERE taxon_id IS NOT NULL"
        ).fetchall()
    ]
    today = {t: changes.current(t) for t in observed if changes.current(t) != t}
    seeds = {*observed, *changes.taxon_ids}
    if earlier:
        seeds.update(taxon.taxon_id for taxon in earlier.taxonomy)
    taxonomy, inactive = _closure(connection, seeds)
    if earlier:
        taxonomy = united(taxonomy, earlier.taxonomy)
    names = united_names(_names(connection), earlier.names if earlier else {}, changes)
    taxonomy = changes.apply(taxonomy)
    _replace_listed(connection, taxonomy, inactive)
    kept = {code: {t: n for t, n in by.items() if t in taxonomy} for code, by in names.items()}
    return ObservedTaxa(taxonomy, {code: by for code, by in kept.items() if by}, today)


def _closure(connection: DuckDBPyConnection, seeds: set[int]) -> tuple[Taxonomy, set[int]]:
    """The tree of these taxa, as far as they are listed, and those of it that are inactive."""
    import numpy as np

    connection.register("seeds", {"taxon_id": np.array(sorted(seeds), np.int64)})
    rows = connection.execute(
        """
        WITH RECURSIVE above AS (
            SELECT taxon_id FROM seeds
            UNION
            SELECT t.parent_taxon_id FROM above JOIN listed_taxa t USING (taxon_id)
            WHERE t.parent_taxon_id IS NOT NULL
        )
        SELECT taxon_id, parent_taxon_id, rank, coalesce(name, ''), rank_level, active
        FROM listed_taxa SEMI JOIN above USING (taxon_id) ORDER BY rank_level DESC, taxon_id
        """
    ).fetchall()
    connection.unregister("seeds")
    inactive = {row[0] for row in rows if not row[5]}
    return Taxonomy((Taxon(*row[:5]) for row in rows), source="the listed taxa"), inactive


def _names(connection: DuckDBPyConnection) -> dict[str, dict[int, str]]:
    names: dict[str, dict[int, str]] = {}
    rows = connection.execute(
        "SELECT taxon_id, language, name FROM listed_names SEMI JOIN listed_taxa USING (taxon_id)"
        " ORDER BY ALL"
    ).fetchall()
    for taxon_id, language, name in rows:
        names.setdefault(language, {}).setdefault(taxon_id, one_line(name))
    return names


def _replace_listed(connection: DuckDBPyConnection, taxonomy: Taxonomy, inactive: set[int]) -> None:
    import numpy as np

    taxa = list(taxonomy)
    connection.register(
        "taxa",
        {
            "taxon_id": np.array([taxon.taxon_id for taxon in taxa], np.int64),
            "rank_level": np.array([taxon.rank_level for taxon in taxa], np.float64),
            "rank": np.array([taxon.rank for taxon in taxa], dtype=object),
            "active": np.array([taxon.taxon_id not in inactive for taxon in taxa], bool),
        },
    )
    connection.execute(
        "CREATE OR REPLACE TABLE listed_taxa AS"
        " SELECT taxon_id, rank_level, rank::VARCHAR AS rank, active FROM taxa"
    )
    connection.unregister("taxa")
