"""Photographs known by the addresses that they are published at: an id, a suffix, a local path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from taxonvision.catalog.sources.photo_files import path_and_url_sql
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OTHER_MEDIA = (
    "aac", "aif", "aiff", "flac", "m4a", "mp3", "oga", "ogg", "opus", "wav", "wma", "amr",
    "avi", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "ogv", "webm", "wmv", "pdf", "txt", "htm",
    "html", "glb", "obj", "ply", "stl",
)  # fmt: skip
_PICTURES = ("image/png", "image/gif", "image/webp", "image/bmp")
_SAMPLE = 200


def parsed_urls_sql(rows: str, url: str, media_type: str = "NULL") -> str:
    """A query of some rows with what the address `url` of a photograph tells, by more columns.

    - `address`: the address; what follows is NULL or false where it is NULL.
    - `file_name`: its last part, without query; `suffix` what follows the last dot there, in lower
      case. NULL where there is none.
    - `is_numbered`: it is one of iNaturalist's, with the number of the photograph.
    - `photo_id`: that number, else 16 hexadecimal digits of the address's MD5.
    - `extension`: of the photograph's file: as the address has it, since iNaturalist's files are
      called so, else by the media type, else jpg.
    - `unread`: why photographs of its suffix are not read.
    - `is_other`: it ends as addresses of sounds, movies and documents do.

    Args:
        rows: a table or query in parentheses.
        url: SQL expression of its columns.
        media_type: the same.
    """
    suffixes = SUFFIXES | UNREADABLE_SUFFIXES
    written = "string_split(file_name, '.')[-1]"
    return f"""
        SELECT * EXCLUDE (parts, numbered, media_type),
            numbered IS NOT NULL AS is_numbered,
            coalesce(numbered, md5(address)[:16]) AS photo_id,
            CASE WHEN {_is_one_of("suffix", suffixes)} THEN {written}
                WHEN {_is_one_of("media_type", _PICTURES)}
                    THEN media_type[7:]
                WHEN media_type = 'image/tiff' THEN 'tif' ELSE 'jpg' END AS extension,
            CASE WHEN {_is_one_of("suffix", UNREADABLE_SUFFIXES)}
                THEN suffix || ' is not read; convert it to JPEG' END AS unread,
            coalesce({_is_one_of("suffix", _OTHER_MEDIA)}, false) AS is_other
        FROM (
            SELECT *,
                CASE WHEN contains(file_name, '.') THEN lower({written}) END AS suffix,
                CASE WHEN contains(parts[3], 'inaturalist') THEN
                    CASE WHEN parts[-3] = 'photos' AND {_is_number("parts[-2]")} THEN parts[-2]
                        WHEN parts[-2] = 'photos' AND {_is_number("parts[-1]")} THEN parts[-1] END
                    END AS numbered
            FROM (
                SELECT *, CASE WHEN len(parts) > 3 THEN nullif(parts[-1], '') END AS file_name
                FROM (
                    SELECT *, {url} AS address, lower({media_type}) AS media_type,
                        string_split(split_part(split_part({url}, '?', 1), '#', 1), '/') AS parts
                    FROM {rows}
                )
            )
        )"""  # noqa: S608


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


def _is_number(text: str) -> str:
    return f"regexp_full_match({text}, '[0-9]{{1,18}}')"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_one_of(value: str, words: frozenset[str] | tuple[str, ...]) -> str:
    """SQL for `value IN (...)`, of which DuckDB makes a join that loses the order of the rows."""
    return f"regexp_full_match({value}, '{'|'.join(sorted(w.removeprefix('.') for w in words))}')"
