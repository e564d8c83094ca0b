"""Taxa whose place in the tree is a path of ids, `48460/1/47120`, from root to parent."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from taxonvision.catalog.sources.delimited import TAB_SEPARATED, load_table, reject_rows
from taxonvision.catalog.staging import Staging
from taxonvision.progress import say
from taxonvision.text import one_line

TAXA = {
    "taxon_id": "BIGINT",
    "ancestry": "VARCHAR",
    "rank_level": "DOUBLE",
    "rank": "VARCHAR",
    "name": "VARCHAR",
    "active": "BOOLEAN",
}


def stage_taxa(staging: Staging, path: Path) -> None:
    """Fill `listed_taxa` from a table of the columns `TAXA`, tab separated.

    A row that is listed before, is its own ancestor or whose ancestry is no path of ids goes to
    `rejects`. A taxon whose parent is not listed hangs below its nearest ancestor that is.
    """
    connection = staging.connection
    rows = load_table(staging, path, "path_taxa", TAXA, dialect=TAB_SEPARATED, required=tuple(TAXA))
    connection.execute(
        """
        ALTER TABLE path_taxa ADD COLUMN above BIGINT[];
        UPDATE path_taxa SET above = list_transform(
            string_split(ancestry, '/'), lambda id: try_cast(id AS BIGINT));
        CREATE TEMP TABLE faults AS SELECT rowid AS faulty, taxon_id AS id, CASE
            WHEN taxon_id IS NULL OR taxon_id < 1 THEN 'taxon_id must be 1 or more'
            WHEN rank_level IS NULL OR NOT isfinite(rank_level) THEN 'no rank_level'
            WHEN rank IS NULL THEN 'no rank'
            WHEN NOT regexp_full_match(ancestry, '[0-9]+(/[0-9]+)*')
                OR list_contains(list_transform(above, lambda id: id IS NULL), true)
                THEN 'ancestry must be ids with / between them, not ' || ancestry[:60]
            WHEN list_contains(above, taxon_id) THEN 'taxon ' || taxon_id || ' is its own ancestor'
            END AS reason
        FROM path_taxa WHERE reason IS NOT NULL;
        INSERT INTO faults
            SELECT unnest(list_sort(list(rowid))[2:]), taxon_id,
                'the taxon ' || taxon_id || ' is listed before'
            FROM path_taxa WHERE rowid NOT IN (SELECT faulty FROM faults)
            GROUP BY taxon_id HAVING count(*) > 1;
        """
    )
    reject_rows(staging, path, "path_taxa", "taxon_id", TAB_SEPARATED)
    _find_parents(staging)
    while _reject_circles(staging, path):
        _find_parents(staging)
    (used,) = connection.execute("SELECT count(*) FROM path_taxa").fetchone() or (0,)
    staging.add_table_read(path.name, rows, used=used, faulty=rows - used)
    connection.execute(
        """
        INSERT INTO listed_taxa
            SELECT taxon_id, parent_taxon_id, rank_level, rank, name, coalesce(active, true)
            FROM path_taxa JOIN path_parents USING (taxon_id)
        """
    )
    _say_dangling(staging, path)
    connection.execute("DROP TABLE path_taxa; DROP TABLE path_parents")


def _find_parents(staging: Staging) -> None:
    """Make `path_parents (taxon_id, parent_taxon_id, dangling)`: the nearest ancestors listed."""
    staging.connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE path_parents AS
            WITH rehung AS (
                SELECT taxon_id, max_by(ancestor, place) AS parent_taxon_id FROM (
                    SELECT taxon_id, unnest(above) AS ancestor,
                        generate_subscripts(above, 1) AS place
                    FROM path_taxa WHERE above[-1] NOT IN (SELECT taxon_id FROM path_taxa)
                ) WHERE ancestor IN (SELECT taxon_id FROM path_taxa) GROUP BY taxon_id
            )
            SELECT t.taxon_id, coalesce(p.taxon_id, r.parent_taxon_id) AS parent_taxon_id,
                t.above IS NOT NULL AND p.taxon_id IS NULL AS dangling
            FROM path_taxa t
            LEFT JOIN path_taxa p ON p.taxon_id = t.above[-1]
            LEFT JOIN rehung r ON r.taxon_id = t.taxon_id
        """
    )


def _reject_circles(staging: Staging, path: Path) -> bool:
    """Reject taxa that are each other's ancestors; returns whether there were any."""
    connection = staging.connection
    columns = connection.execute(
        "SELECT t.rowid AS r, taxon_id, coalesce(parent_taxon_id, 0) AS parent"
        " FROM path_taxa t JOIN path_parents USING (taxon_id)"
    ).fetchnumpy()
    circular = columns["r"][_in_circles(columns["taxon_id"], columns["parent"])]
    if not len(circular):
        return False
    connection.register("circular", {"faulty": circular})
    connection.execute(
        """
        CREATE TEMP TABLE faults AS SELECT rowid AS faulty, taxon_id AS id,
            'taxon ' || taxon_id || ' is among the ancestors of its own ancestors' AS reason
        FROM path_taxa WHERE rowid IN (SELECT faulty FROM circular)
        """
    )
    connection.unregister("circular")
    reject_rows(staging, path, "path_taxa", "taxon_id", TAB_SEPARATED)
    return True


def _in_circles(ids: np.ndarray, parents: np.ndarray) -> np.ndarray:
    """Bool [n]: which ids are reached again by going from parent to parent.

    `ids` and `parents` are int64 [n]; a parent that is no id is a root's.
    """
    order = np.argsort(ids)
    place = np.searchsorted(ids, parents, sorter=order).clip(0, len(ids) - 1)
    parent = np.where(ids[order[place]] == parents, order[place], len(ids)) if len(ids) else place
    parent = np.append(parent, len(ids))  # the root of roots is its own parent
    far = parent.copy()
    for _ in range(len(ids).bit_length()):  # 2, 4, 8 ... generations up
        far = far[far]
    # Whoever never arrives at a root ends up on a circle; all of it is found, since the walk by a
    # fixed number of steps maps a circle onto itself.
    return np.isin(np.arange(len(ids)), far[far < len(ids)])


def _say_dangling(staging: Staging, path: Path) -> None:
    dangling = staging.connection.execute(
        """
        SELECT count(*), min_by(name, taxon_id), min(taxon_id)
        FROM path_taxa JOIN path_parents USING (taxon_id) WHERE dangling
        """
    ).fetchone()
    if dangling and dangling[0]:
        count, name, taxon_id = dangling
        say(
            f"warning: {path.name} lists {count} taxa without their parents, as "
            f"{one_line(name or 'unnamed')} ({taxon_id}); they hang below the nearest ancestor "
            "that it lists"
        )
