"""Photographs are known by what they are, not by where they lie: keys of their bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

CONTENT_COLUMNS = {"content_high": "UBIGINT", "content_low": "UBIGINT"}
"""The columns of the two halves of a key in a table, and their DuckDB types; 0: unknown."""
OF_SHA256 = (
    "coalesce(try_cast('0x' || sha256[1:16] AS UBIGINT), 0) AS content_high,"
    " coalesce(try_cast('0x' || sha256[17:32] AS UBIGINT), 0) AS content_low"
)
"""The same of a column `sha256` in hexadecimal, in SQL, so that no text reaches Python."""


def content_of(data: bytes) -> tuple[int, int]:
    """The key of a photograph's bytes: the first 16 of their SHA-256, as two big-endian halves."""
    digest = hashlib.sha256(data).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:16])


def stored_halves(connection: DuckDBPyConnection, table: Path) -> str:
    """The columns of `CONTENT_COLUMNS` as SQL; zeros where a table was made before they were."""
    query = "SELECT name FROM parquet_schema(?)"
    names = {name for (name,) in connection.execute(query, [str(table)]).fetchall()}
    return ", ".join(
        f"coalesce({name}, 0)::{kind} AS {name}" if name in names else f"0::{kind} AS {name}"
        for name, kind in CONTENT_COLUMNS.items()
    )


def contents_in(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Keys uint64 [n, 2] from the columns of `CONTENT_COLUMNS`; both halves 0 where unknown."""
    contents = np.stack([np.asarray(columns[name], np.uint64) for name in CONTENT_COLUMNS], axis=1)
    contents[(contents == 0).any(axis=1)] = 0  # half a key is none
    return contents


def unknown(contents: np.ndarray) -> np.ndarray:
    """Which of the keys uint64 [n, 2] are not known, bool [n]."""
    return np.asarray((contents == 0).all(axis=1))


def among(contents: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Bool [n]: which of the contents uint64 [n, 2] are among the others uint64 [m, 2]."""
    return np.isin(_as_one(contents), _as_one(others))


def _as_one(contents: np.ndarray) -> np.ndarray:
    """Each content as one value, a record of two numbers: [n]."""
    record = np.dtype([("high", np.uint64), ("low", np.uint64)])
    return np.ascontiguousarray(contents, np.uint64).view(record).reshape(-1)
