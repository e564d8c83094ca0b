"""Splits for photographs whose own observation does not settle them: given, grouped or alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.duplicates import MAX_DISTANCE, near_pairs
from taxonvision.catalog.splits import Units, assign, group_units, position_sql
from taxonvision.errors import UserError
from taxonvision.tables import write_csv
from taxonvision.text import reason_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES = """
CREATE TABLE unit_split (row BIGINT, split VARCHAR);
CREATE TABLE earlier_split (observation_id VARCHAR, sha256 VARCHAR, split TINYINT);
CREATE TABLE near_duplicates (row BIGINT, near_row BIGINT, distance UTINYINT);
"""
_KEYS = {"observer": "observer", "site": "site", "date": "observed_on"}
# Ids that count up, alone or at the end of an address, tell what was there first; dates do not:
# an old observation may come late.
_SERIAL = "try_cast(regexp_extract(observation_id, '(^|/)([0-9]{1,18})$', 2) AS BIGINT)"
NEAR_DUPLICATE_COLUMNS = (
    "photo_id", "split", "taxon_id", "near_photo_id", "near_split", "near_taxon_id", "distance",
)  # fmt: skip


def read_earlier_splits(connection: DuckDBPyConnection, photos: Path) -> None:
    """Fill `earlier_split` from the `photos.parquet` of an earlier catalog.

    Raises UserError when it cannot be read.
    """
    import duckdb

    index = _index_of("split")
    try:
        connection.execute(
            f"INSERT INTO earlier_split SELECT DISTINCT observation_id, sha256, {index}"  # noqa: S608
            " FROM read_parquet(?)",
            [str(photos)],
        )
    except duckdb.InterruptException:
        raise
    except duckdb.Error as error:
        raise UserError(
            f"--splits_from: {photos} cannot be read ({reason_of(error, 200)}); make it again"
        ) from None


def _index_of(split_sql: str) -> str:
    """The index into `SPLITS` of a split (VARCHAR), NULL for NULL.

    Where something was in several, test goes before val before train: the highest index.
    """
    return f"(list_position({list(SPLITS)}, {split_sql}) - 1)::TINYINT"


def needs_grouping(connection: DuckDBPyConnection, split_by: str, *, near_duplicates: bool) -> bool:
    """Whether any split depends on more than the position of the photograph's own observation.

    Raises UserError where photographs are to be split by what is known of none of them.
    """
    if split_by in _KEYS:
        _refuse_unknown(connection, split_by)
        return True
    if near_duplicates:
        return True
    found = connection.execute(
        "SELECT EXISTS (FROM earlier_split) OR EXISTS (FROM candidate"
        " WHERE given IS NOT NULL OR (split IS NULL AND fate IS NULL))"
    ).fetchone()
    return bool(found and found[0])


def _refuse_unknown(connection: DuckDBPyConnection, split_by: str) -> None:
    known = connection.execute(
        f"SELECT count({_KEYS[split_by]}), count(*) FROM listed"  # noqa: S608
        " SEMI JOIN (FROM candidate WHERE fate IS NULL) USING (row)"
    ).fetchone()
    if known and known[1] and not known[0]:
        raise UserError(
            f"--split_by={split_by}: the {split_by} is known of no photograph; split by another"
        )


def split_units(
    connection: DuckDBPyConnection,
    split_by: str,
    *,
    near_duplicates: bool,
    max_distance: int = MAX_DISTANCE,
) -> None:
    """Fill `unit_split`, and `near_duplicates` from the photographs opened so far.

    A unit is an observation, or the part of it to which one split was given. `split_by` also joins
    the units of one observer, site or date.

    An earlier catalog gives a photograph the split that it had itself; else that of its
    observation; else that of a copy of it. For a photograph without an observation, whose path is
    no lasting name, a copy goes before the path.
    """
    grouped_by = f"min(l.{_KEYS[split_by]})" if split_by in _KEYS else "NULL"
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE member AS SELECT
            c.row, c.observation_key, o.sha256, o.perceptual_hash,
            coalesce({_index_of("c.given::VARCHAR")}, own.split,
                CASE WHEN l.split_position IS NULL THEN copy.split END,
                observation.split, copy.split) AS given
        FROM candidate c
        LEFT JOIN opened o ON o.row = c.row
        LEFT JOIN listed l ON l.row = c.row
        LEFT JOIN (SELECT observation_id, sha256, max(split) AS split FROM earlier_split
            GROUP BY ALL) own ON own.observation_id = l.observation_id AND own.sha256 = o.sha256
        LEFT JOIN (SELECT observation_id, max(split) AS split FROM earlier_split
            GROUP BY ALL) observation ON observation.observation_id = l.observation_id
        LEFT JOIN (SELECT sha256, max(split) AS split FROM earlier_split
            GROUP BY ALL) copy ON copy.sha256 = o.sha256
        WHERE c.fate IS NULL AND c.row NOT IN (SELECT row FROM faulty_file);
        CREATE OR REPLACE TEMP TABLE unit AS SELECT
            row_number() OVER (
                ORDER BY {_SERIAL} NULLS LAST, observed_on NULLS LAST, observation_id, given) - 1
                AS unit,
            *
        FROM (
            SELECT m.observation_key, m.given, min(l.observed_on) AS observed_on,
                min(l.observation_id) AS observation_id,
                {grouped_by}::VARCHAR AS grouped_by,
                coalesce({position_sql("grouped_by")}, min(l.split_position),
                    min(('0x' || m.sha256[1:16])::UBIGINT),
                    {position_sql("min(l.observation_id)")}) AS position
            FROM member m JOIN listed l ON l.row = m.row
            GROUP BY m.observation_key, m.given
        );
        CREATE OR REPLACE TEMP TABLE member AS SELECT m.row, m.perceptual_hash, u.unit
            FROM member m JOIN unit u ON u.observation_key = m.observation_key
                AND u.given IS NOT DISTINCT FROM m.given;
        """  # noqa: S608
    )
    units = connection.execute(
        """
        SELECT position, unit, coalesce(given, -1)::TINYINT AS given,
            dense_rank() OVER (ORDER BY observation_key) - 1 AS observation,
            CASE WHEN grouped_by IS NULL THEN -1
                ELSE dense_rank() OVER (ORDER BY grouped_by) - 1 END AS grouped_by
        FROM unit ORDER BY unit
        """
    ).fetchnumpy()
    n = len(units["unit"])
    alike = _find_near_duplicates(connection, max_distance) if near_duplicates else _NO_PAIRS
    keys = [units["observation"].astype(np.int64), units["grouped_by"].astype(np.int64)]
    given = units["given"].astype(np.int8)
    assigned = assign(
        Units(
            units["position"].astype(np.uint64), np.arange(n), group_units(n, alike, *keys), given
        ),
        alike,
    )
    connection.register(
        "assigned", {"unit": np.arange(n), "split": np.array(SPLITS, object)[assigned.split]}
    )
    connection.execute(
        """
        CREATE OR REPLACE TABLE unit_split AS
            SELECT m.row, a.split::VARCHAR AS split FROM member m JOIN assigned a USING (unit);
        """
    )
    connection.unregister("assigned")


_NO_PAIRS = np.empty((0, 2), np.int64)


def _find_near_duplicates(connection: DuckDBPyConnection, max_distance: int) -> np.ndarray:
    """Fill `near_duplicates`; returns the pairs of units, int64 [m, 2], that they join."""
    hashed = connection.execute(
        "SELECT row, unit, perceptual_hash FROM member"
        " WHERE perceptual_hash IS NOT NULL ORDER BY row"
    ).fetchnumpy()
    found = near_pairs(np.asarray(hashed["perceptual_hash"], np.uint64), max_distance)
    rows, units = np.asarray(hashed["row"]), np.asarray(hashed["unit"], np.int64)
    connection.register(
        "found",
        {
            "row": rows[found.pairs[:, 0]],
            "near_row": rows[found.pairs[:, 1]],
            "distance": found.distances,
        },
    )
    connection.execute("CREATE OR REPLACE TABLE near_duplicates AS SELECT * FROM found")
    connection.unregister("found")
    pairs = units[found.pairs].reshape(-1, 2)
    return np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)


def write_near_duplicates(connection: DuckDBPyConnection, path: Path) -> int:
    """Write the pairs of used photographs that lie in two splits, or were named as two taxa.

    Returns how many lie in two splits.
    """
    pairs = connection.execute(
        """
        SELECT a.photo_id, x.split, x.taxon_id, b.photo_id, y.split, y.taxon_id, d.distance
        FROM near_duplicates d
        JOIN chosen x ON x.row = d.row JOIN chosen y ON y.row = d.near_row
        JOIN listed_files a ON a.row = d.row JOIN listed_files b ON b.row = d.near_row
        WHERE x.split <> y.split OR x.taxon_id <> y.taxon_id ORDER BY ALL
        """
    ).fetchall()
    write_csv(path, NEAR_DUPLICATE_COLUMNS, pairs)
    return sum(split != near_split for _, split, _, _, near_split, *_ in pairs)
