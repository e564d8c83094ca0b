"""Where photographs known by an id lie in a local folder: as in the bucket, or flat."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/"
"""iNaturalist's public bucket; below it lies photos/<id>/<size>.<extension>."""

_SIZES = ("medium", "large", "original", "small")
_BUCKETS = tuple(f"photos/{{id}}/{size}.{{extension}}" for size in _SIZES)
_LAYOUTS = (
    *_BUCKETS,
    *(layout.removeprefix("photos/") for layout in _BUCKETS),
    "photos/{id}.{extension}",
    "{id}.{extension}",
)
_SAMPLE = 200


def path_and_url_sql(
    connection: DuckDBPyConnection,
    root: Path,
    table: str,
    photo_id: str = "photo_id",
    extension: str = "extension",
) -> tuple[str, str]:
    """SQL expressions for the paths, below `root`, of the photographs in a table, and their URLs.

    The layout is the one in which most of some photographs spread over the table are found, or, of
    a table of many that are not there, the one of some that are; `photos/<id>/medium.<extension>`
    where none is. `photo_id` and `extension` name the table's columns.
    """
    sample = connection.execute(
        f"SELECT {photo_id}, {extension} FROM {table} WHERE {photo_id} IS NOT NULL"  # noqa: S608
        f" USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (0)"
    ).fetchall()

    layout = _layout(root, sample) or _layout(root, _files_there(root)) or _LAYOUTS[0]
    in_bucket = layout if layout in _BUCKETS else _BUCKETS[0]
    return (
        _filled_sql(layout, photo_id, extension),
        _filled_sql(BUCKET + in_bucket, photo_id, extension),
    )


def _layout(root: Path, sample: Iterable[tuple[object, str]]) -> str | None:
    """The layout in which most photographs of the sample, ids and extensions, are there."""
    sample = list(sample)

    def found(layout: str) -> int:
        return sum((root / layout.format(id=i, extension=e)).is_file() for i, e in sample)

    best = max(_LAYOUTS, key=found)
    return best if found(best) else None


def _files_there(root: Path) -> Iterator[tuple[str, str]]:
    """Ids and extensions of some photographs that lie in the folder."""
    for folder in (root / "photos", root):
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, _SAMPLE):
                photo_id = entry.name.partition(".")[0]
                if photo_id.isdecimal():
                    files = Path(entry).iterdir() if entry.is_dir() else [Path(entry)]
                    yield from ((photo_id, file.suffix.removeprefix(".")) for file in files)


def _filled_sql(layout: str, photo_id: str, extension: str) -> str:
    before, _, rest = layout.partition("{id}")
    between, _, _ = rest.partition("{extension}")
    return f"'{before}' || {photo_id} || '{between}' || {extension}"
