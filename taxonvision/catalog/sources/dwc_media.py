"""The photographs of Darwin Core records: rows of tables of media, or addresses in a cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taxonvision.catalog.sources.dwc_tables import Loaded, reject, tell
from taxonvision.catalog.sources.listed_sql import quoted_sql
from taxonvision.catalog.sources.media_urls import media_path_sql, parsed_urls_sql
from taxonvision.catalog.staging import Staging

MEDIA_TERMS = (
    "type", "format", "identifier", "accessURI", "license", "UsageTerms", "WebStatement", "rights",
    "rightsHolder", "Owner", "creator",
)  # fmt: skip
PHOTOS = "dc_photos"

_MOST_KINDS = 20  # of media that are no photographs
_URL = "coalesce(accessURI, identifier)"
# The last part of a type, as StillImage or http://purl.org/dc/dcmitype/StillImage, in bare letters.
_KIND = """translate(lower(split_part(split_part("type", '/', -1), '#', -1)), ' _-', '')"""
# Without a type the format tells, then the suffix.
_IS_PHOTOGRAPH = f"""CASE
    WHEN "type" IS NOT NULL THEN regexp_full_match({_KIND}, 'stillimage|image|photo(graph)?')
    WHEN format IS NOT NULL THEN lower(format) LIKE 'image/%'
    ELSE NOT is_other END"""


def stage_media(staging: Staging, tables: Sequence[Loaded]) -> dict[str, int]:
    """Make the table `dc_photos` of what is a still image; returns how many others there are.

    These are counted by kind, as the tables call it.
    """
    connection = staging.connection
    _create(staging)
    others: Counter[str] = Counter()
    for table in tables:
        parsed = f"{table.name}_parsed"
        connection.execute(
            f"CREATE OR REPLACE TABLE {parsed} AS SELECT *, {_IS_PHOTOGRAPH} AS is_photograph"  # noqa: S608
            f" FROM ({parsed_urls_sql(table.name, _URL, 'format')})"
        )
        connection.execute(f"DROP TABLE {table.name}")
        table = replace(table, name=parsed)
        reject(
            staging, table,
            "CASE WHEN NOT is_photograph THEN NULL"
            " WHEN address IS NULL THEN 'neither accessURI nor identifier'"
            " WHEN NOT contains(address, '://') THEN 'accessURI or identifier must be the address"
            f" of a photograph, not ' || {quoted_sql('address')} END",
            lists_photographs=True,
        )  # fmt: skip
        tell(staging, table)
        connection.execute(
            f"INSERT INTO {PHOTOS} BY NAME SELECT address AS url, photo_id, extension, file_name,"  # noqa: S608
            f' is_numbered, unread AS fault, "{table.key}" AS id,'
            " coalesce(license, UsageTerms, WebStatement, rights) AS license,"
            " coalesce(rightsHolder, Owner, creator) AS attribution"
            f" FROM {parsed} WHERE is_photograph ORDER BY rowid"
        )
        others += Counter(
            dict(
                connection.execute(
                    f"SELECT coalesce(nullif({_KIND}, ''), format, suffix, '')[:40] AS kind,"  # noqa: S608
                    f" count(*) FROM {parsed} WHERE NOT is_photograph GROUP BY kind ORDER BY kind"
                ).fetchall()
            )
        )
        connection.execute(f"DROP TABLE {parsed}")
    every = others.total()
    del others[""]
    told = dict(others.most_common(_MOST_KINDS))
    unnamed = every - sum(told.values())
    return told | ({"of another kind": unnamed} if unnamed else {})


def stage_associated_media(staging: Staging, observed: str) -> dict[str, int]:
    """Make `dc_photos` of the addresses, with | between, in the column `media` of a table.

    Returns how many of other media there are, by suffix.
    """
    _create(staging)
    connection = staging.connection
    addresses = f"""(
        SELECT id, place, nth, license, trim(url) AS url FROM (
            SELECT id, place, license, unnest(string_split(media, '|')) AS url,
                generate_subscripts(string_split(media, '|'), 1) AS nth
            FROM {observed} WHERE media IS NOT NULL AND NOT again
        ) WHERE contains(url, '://'))"""  # noqa: S608
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE associated AS"  # noqa: S608
        f" {parsed_urls_sql(addresses, 'url')};"
        f" INSERT INTO {PHOTOS} BY NAME SELECT url, photo_id, extension, file_name, is_numbered,"
        " unread AS fault, id, license FROM associated WHERE NOT is_other ORDER BY place, nth"
    )
    counted = connection.execute(
        "SELECT suffix, count(*) FROM associated WHERE is_other GROUP BY suffix ORDER BY suffix"
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
