"""Photographs are opened once, before they are used: are they whole, how large, seen before?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from taxonvision.catalog.duplicates import perceptual_hash
from taxonvision.parallel import map_in_order
from taxonvision.photograph import PhotographError, decode, read_bytes
from taxonvision.progress import track
from taxonvision.tables import object_column

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLES = """
CREATE TABLE opened (
    row BIGINT, sha256 VARCHAR, width INTEGER, height INTEGER, orientation TINYINT,
    perceptual_hash UBIGINT
);
CREATE TABLE faulty_file (row BIGINT, reason VARCHAR);
"""
_CHUNK = 10_000


def open_photographs(connection: DuckDBPyConnection, root: Path) -> int:
    """Open the photographs of `chosen` that are not yet; returns how many there were.

    What they tell goes to `opened`, why they cannot be used to `faulty_file`.
    """
    connection.execute(
        """
        CREATE OR REPLACE TABLE to_open AS SELECT row, path FROM listed_files
        SEMI JOIN chosen USING (row) ANTI JOIN opened USING (row) ORDER BY row
        """
    )
    (count,) = connection.execute("SELECT count(*) FROM to_open").fetchone() or (0,)
    if not count:
        return 0
    results = map_in_order(lambda item: (item[0], _open(root, item[1])), _rows(connection, count))
    chunk: list[tuple[int, Any]] = []
    for result in track(results, count, "opening"):
        chunk.append(result)
        if len(chunk) == _CHUNK:
            _keep(connection, chunk)
            chunk = []
    _keep(connection, chunk)
    return int(count)


def _rows(connection: DuckDBPyConnection, count: int) -> Iterator[tuple[int, str]]:
    for start in range(0, count, _CHUNK):
        yield from connection.execute(
            "SELECT row, path FROM to_open WHERE rowid BETWEEN ? AND ?",
            [start, start + _CHUNK - 1],
        ).fetchall()


def _open(root: Path, path: str) -> tuple[str, int, int, int, int | None] | str:
    """SHA-256, width, height (pixels, upright), orientation and hash, or what is wrong."""
    if "\0" in path or path.startswith("/") or ".." in PurePosixPath(path).parts:
        return "the path leads out of the folder of the photographs"
    try:
        data = read_bytes(root / path)
        image, orientation = decode(data)
    except PhotographError as error:
        return str(error)
    return hashlib.sha256(data).hexdigest(), *image.size, orientation, perceptual_hash(image)


def _keep(connection: DuckDBPyConnection, results: list[tuple[int, Any]]) -> None:
    faulty = [(row, told) for row, told in results if isinstance(told, str)]
    opened = [(row, *told) for row, told in results if not isinstance(told, str)]
    for table, rows in (("opened", opened), ("faulty_file", faulty)):
        if rows:
            columns = {
                f"column{i}": object_column(values)
                for i, values in enumerate(zip(*rows, strict=True))
            }
            connection.register("chunk", columns)
            connection.execute(f"INSERT INTO {table} SELECT * FROM chunk")  # noqa: S608
            connection.unregister("chunk")
