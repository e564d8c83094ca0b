"""The photographs of Darwin Core records: rows of tables of media, or addresses in a cell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from taxonvision.catalog.sources.dwc_tables import Loaded, reject, tell
from taxonvision.catalog.sources.listed_sql import quoted_sql
from taxonvision.catalog.sources.media_urls import (
    extension_sql,
    fault_sql,
    file_name_sql,
    media_path_sql,
    numbered_sql,
    other_media_sql,
    photo_id_sql,
    suffix_sql,
)
from taxonvision.catalog.staging import Staging

MEDIA_TERMS = (
    "type", "format", "identifier", "accessURI", "license", "UsageTerms", "WebStatement", "rights",
    "rightsHolder", "Owner", "creator",
)  # fmt: skip
PHOTOS = "dc_photos"

_URL = "coalesce(accessURI, identifier)"
_TYPE = "regexp_replace(lower(regexp_extract(\"type\", '[^/#:]*$')), '[^a-z]', '', 'g')"
# Without a type the format tells, then the suffix.
_IS_PHOTOGRAPH = (
    f"CASE WHEN \"type\" IS NOT NULL THEN {_TYPE} IN ('stillimage', 'image', 'photograph', 'photo')"
    f" WHEN format IS NOT NULL THEN lower(format) LIKE 'image/%'"
    f" ELSE NOT {other_media_sql(_URL)} END"
)


def stage_media(staging: Staging, tables: Sequence[Loaded]) -> dict[str, int]:
    """Make the table `dc_photos` of what is a still image; returns how many others there are.

    These are counted by kind, as the tables call it.
    """
    _create(staging)
    others: dict[str, int] = {}
    for table in tables:
        reject(
            staging, table,
            f"CASE WHEN NOT {_IS_PHOTOGRAPH} THEN NULL"
            f" WHEN {_URL} IS NULL THEN 'neither accessURI nor identifier'"
            f" WHEN NOT contains({_URL}, '://') THEN 'accessURI or identifier must be the address"
            f" of a photograph, not ' || {quoted_sql(_URL)} END",
            lists_photographs=True,
        )  # fmt: skip
        tell(staging, table)
        _insert(
            staging, f"{table.name} WHERE {_IS_PHOTOGRAPH}", f'"{table.key}"', _URL,
            "coalesce(license, UsageTerms, WebStatement, rights)",
            "coalesce(rightsHolder, Owner, creator)", "rowid",
        )  # fmt: skip
        counted = staging.connection.execute(
            f"SELECT coalesce(nullif({_TYPE}, ''), format, {suffix_sql(_URL)}) AS kind, count(*)"  # noqa: S608
            f" FROM {table.name} WHERE NOT {_IS_PHOTOGRAPH} GROUP BY kind ORDER BY kind"
        ).fetchall()
        for kind, count in counted:
            others[kind] = others.get(kind, 0) + count
        staging.connection.execute(f"DROP TABLE {table.name}")
    return others


def stage_associated_media(staging: Staging, observed: str) -> dict[str, int]:
    """Make `dc_photos` of the addresses, with | between, in the column `media` of a table.

    Returns how many of other media there are, by suffix.
    """
    _create(staging)
    connection = staging.connection
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE associated AS
        SELECT * REPLACE (trim(url) AS url), {other_media_sql("trim(url)")} AS other FROM (
            SELECT id, rowid AS place, license, NULL::VARCHAR AS format,
                unnest(string_split(media, '|')) AS url,
                generate_subscripts(string_split(media, '|'), 1) AS nth
            FROM {observed} WHERE media IS NOT NULL AND NOT again
        ) WHERE contains(url, '://')
        """  # noqa: S608
    )
    _insert(staging, "associated WHERE NOT other", "id", "url", "license", "NULL", "place, nth")
    counted = connection.execute(
        f"SELECT {suffix_sql('url')} AS kind, count(*) FROM associated WHERE other"  # noqa: S608
        " GROUP BY kind ORDER BY kind"
    ).fetchall()
    connection.execute("DROP TABLE associated")
    return dict(counted)


def place_photos(staging: Staging, root: Path) -> None:
    """Make the table `dc_placed` of `dc_photos`.

    It tells the path below `root`, the position in the record, and whether the photograph is listed
    before.
    """
    connection = staging.connection
    connection.execute(
        f"""
        CREATE OR REPLACE TABLE dc_placed AS SELECT
            rowid AS "row", id, url, photo_id, license, attribution, fault,
            {media_path_sql(connection, root, PHOTOS)} AS path,
            row_number() OVER (PARTITION BY id ORDER BY rowid) - 1 AS position,
            rowid IN (SELECT unnest(list_sort(list(rowid))[2:]) FROM {PHOTOS}
                GROUP BY photo_id HAVING count(*) > 1) AS again
        FROM {PHOTOS};
        DROP TABLE {PHOTOS}
        """  # noqa: S608
    )


def _create(staging: Staging) -> None:
    staging.connection.execute(
        f"CREATE OR REPLACE TABLE {PHOTOS} (id VARCHAR, url VARCHAR, photo_id VARCHAR,"
        " extension VARCHAR, file_name VARCHAR, is_numbered BOOLEAN, license VARCHAR,"
        " attribution VARCHAR, fault VARCHAR)"
    )


def _insert(
    staging: Staging, rows: str, key: str, url: str, license_: str, attribution: str, order: str
) -> None:
    staging.connection.execute(
        f"INSERT INTO {PHOTOS} SELECT {key}, {url}, {photo_id_sql(url)},"  # noqa: S608
        f" {extension_sql(url, 'format')}, {file_name_sql(url)},"
        f" {numbered_sql(url)}, {license_}, {attribution},"
        f" {fault_sql(url)} FROM {rows} ORDER BY {order}"
    )
