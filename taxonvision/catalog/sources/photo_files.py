"""Where photographs known by an id lie in a local folder: as in the bucket, or flat."""

from __future__ import annotations

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

    The layout is the one in which most of some photographs spread over the table are found;
    `photos/<id>/medium.<extension>` where none is. `photo_id` and `extension` name its columns.
    """
    sample = connection.execute(
        f"SELECT {photo_id}, {extension} FROM {table} WHERE {photo_id} IS NOT NULL"  # noqa: S608
        f" USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (0)"
    ).fetchall()

    def found(layout: str) -> int:
        return sum((root / layout.format(id=i, extension=e)).is_file() for i, e in sample)

    layout = max(_LAYOUTS, key=found)
    in_bucket = layout if layout in _BUCKETS else _BUCKETS[0]
    return (
        _filled_sql(layout, photo_id, extension),
        _filled_sql(BUCKET + in_bucket, photo_id, extension),
    )


def _filled_sql(layout: str, photo_id: str, extension: str) -> str:
    before, _, rest = layout.partition("{id}")
    between, _, _ = rest.partition("{extension}")
    return f"'{before}' || {photo_id} || '{between}' || {extension}"
