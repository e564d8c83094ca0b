"""Photographs known by the addresses that they are published at: an id, a suffix, a local path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taxonvision.catalog.sources.photo_files import path_and_url_sql
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_INATURALIST = r"^https?://[^/]*inaturalist[^/]*/(?:.*/)?photos/(\d+)(?:[/?#].*)?$"
_NAME = r"^[^?#]*/([^/?#]+)(?:[?#].*)?$"
_SUFFIX = r"\.([A-Za-z0-9]{2,5})$"
_OTHER_MEDIA = (
    "aac", "aif", "aiff", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma", "amr",
    "avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "webm", "wmv", "pdf", "txt", "htm",
    "html", "glb", "obj", "ply", "stl",
)  # fmt: skip
_SAMPLE = 200


def photo_id_sql(url: str) -> str:
    """SQL for the id of the photograph at an address.

    iNaturalist's number where the address has one, else 16 hexadecimal digits of its MD5.
    """
    return f"coalesce(nullif(regexp_extract({url}, '{_INATURALIST}', 1), ''), md5({url})[:16])"


def numbered_sql(url: str) -> str:
    """SQL that is true for addresses with iNaturalist's number of the photograph."""
    return f"coalesce(regexp_matches({url}, '{_INATURALIST}'), false)"


def file_name_sql(url: str) -> str:
    """SQL for the last part of an address, without query; NULL where there is none."""
    return f"nullif(regexp_extract({url}, '{_NAME}', 1), '')"


def suffix_sql(url: str) -> str:
    """SQL for what follows the last dot of an address's last part, in lower case; NULL: nothing."""
    return f"nullif(lower(regexp_extract({file_name_sql(url)}, '{_SUFFIX}', 1)), '')"


def extension_sql(url: str, media_type: str) -> str:
    """SQL for the extension of a photograph's file: of its address, else by its media type.

    As it is written in the address, since files of iNaturalist are named so; jpg for all that is
    no photograph's.
    """
    written = f"regexp_extract({file_name_sql(url)}, '{_SUFFIX}', 1)"
    return (
        f"CASE WHEN lower({written}) IN ({_listed(SUFFIXES | UNREADABLE_SUFFIXES)}) THEN {written}"
        f" WHEN lower({media_type}) IN ('image/png', 'image/gif', 'image/webp', 'image/bmp')"
        f" THEN lower({media_type})[7:]"
        f" WHEN lower({media_type}) = 'image/tiff' THEN 'tif' ELSE 'jpg' END"
    )


def fault_sql(url: str) -> str:
    """SQL for why the photograph at an address cannot be read; NULL where it can."""
    suffix = suffix_sql(url)
    kinds = _listed(UNREADABLE_SUFFIXES)
    return (
        f"CASE WHEN {suffix} IN ({kinds}) THEN {suffix} || ' is not read; convert it to JPEG' END"
    )


def other_media_sql(url: str) -> str:
    """SQL that is true for addresses that end as those of sounds, movies and documents do."""
    return f"coalesce({suffix_sql(url)} IN ({_listed(_OTHER_MEDIA)}), false)"


def media_path_sql(connection: DuckDBPyConnection, root: Path, table: str) -> str:
    """An SQL expression for the path, below `root`, of the photographs in a table.

    The table has the columns `photo_id`, `extension`, `file_name` and `is_numbered`, which is true
    for ids of iNaturalist. Files lie by their id (see `photo_files.path_and_url_sql`); others than
    iNaturalist's may be called as in their address, in `root` or `photos/`, if no two are called
    alike.
    """
    by_id, _ = path_and_url_sql(connection, root, table)
    names = [
        name
        for (name,) in connection.execute(
            f"SELECT file_name FROM {table} WHERE NOT is_numbered AND file_name IS NOT NULL"  # noqa: S608
            f" USING SAMPLE reservoir({_SAMPLE} ROWS) REPEATABLE (0)"
        ).fetchall()
    ]
    found = {
        folder: sum(_is_file(root / folder / name) for name in names) for folder in ("", "photos/")
    }
    folder = max(found, key=lambda folder: found[folder])
    if not found[folder]:
        return by_id
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE called_alike AS SELECT file_name FROM {table}"  # noqa: S608
        " WHERE NOT is_numbered GROUP BY file_name HAVING count(DISTINCT photo_id) > 1"
    )
    return (
        "CASE WHEN is_numbered OR file_name IS NULL OR file_name IN (FROM called_alike)"
        f" THEN {by_id} ELSE '{folder}' || file_name END"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _listed(suffixes: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(f"'{suffix.removeprefix('.')}'" for suffix in sorted(suffixes))
