"""Is a taxon included, as which class, and if not, why? Answers from a catalog's own tables.

A taxon is found by (1) its id, (2) its scientific name, (3) a common name in any language, whatever
the case, accents and hyphens; the first that finds any wins, and all taxa of the name are found.
Else by (4) the nearest name.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from taxonvision.catalog.catalog import MANIFEST, SCHEMA_VERSION
from taxonvision.catalog.near_names import SIMILAR, clearly_meant, near_names
from taxonvision.errors import UserError
from taxonvision.storage import read_manifest
from taxonvision.text import one_line, reason_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SUGGESTIONS = 5
_TABLES = {
    "taxonomy": {
        "taxon_id": "BIGINT", "parent_taxon_id": "BIGINT", "rank": "VARCHAR", "name": "VARCHAR",
    },
    "names": {"taxon_id": "BIGINT", "language": "VARCHAR", "name": "VARCHAR"},
    "classes": {
        "class_id": "BIGINT", "taxon_id": "BIGINT", "name": "VARCHAR", "status": "VARCHAR",
        "since": "VARCHAR",
    },
    "eligibility": {
        "taxon_id": "BIGINT", "name": "VARCHAR", "rank": "VARCHAR", "photographs": "BIGINT",
        "rejected": "BIGINT", "left_out": "BIGINT", "usable": "BIGINT", "from_below": "BIGINT",
        "train": "BIGINT", "val": "BIGINT", "test": "BIGINT", "included": "BOOLEAN",
        "class_taxon_id": "BIGINT", "missing": "BIGINT", "reason": "VARCHAR",
    },
}  # fmt: skip
_VIEWS = """
CREATE TABLE taxa AS
    SELECT taxon_id, rank, name FROM taxonomy UNION ALL
    SELECT taxon_id, coalesce(rank, 'unknown'), coalesce(name, 'taxon ' || taxon_id)
    FROM eligibility ANTI JOIN taxonomy USING (taxon_id);
CREATE MACRO key_of(name) AS lower(strip_accents(replace(name, '-', ' ')));
CREATE VIEW spelt AS
    SELECT taxon_id, name, key_of(name) AS key, false AS common FROM taxa UNION ALL
    SELECT taxon_id, name, key_of(name), true FROM names SEMI JOIN taxa USING (taxon_id);
"""
_LINE = """
    t.taxon_id, t.name, t.rank,
    coalesce(e.photographs, 0) AS photographs, coalesce(e.rejected, 0) AS rejected,
    coalesce(e.left_out, 0) AS left_out, coalesce(e.usable, 0) AS usable,
    coalesce(e.from_below, 0) AS from_below,
    coalesce(e.train, 0) AS train, coalesce(e.val, 0) AS val, coalesce(e.test, 0) AS test,
    coalesce(e.included, own.status = 'active', false) AS included,
    coalesce(own.status = 'active', false) AS is_class,
    c.class_id, c.taxon_id AS class_taxon_id, c.name AS class_name, c.status AS class_status,
    e.missing,
    CASE
        WHEN e.included OR e.taxon_id IS NOT NULL AND own.status IS DISTINCT FROM 'active'
            THEN coalesce(e.reason, '')
        WHEN e.taxon_id IS NOT NULL THEN concat(e.reason, '; a class since release ', own.since)
        WHEN own.status = 'active' THEN 'included: a class since release ' || own.since
            || ', without photographs in this catalog'
        WHEN own.status IS NOT NULL THEN 'not included: its class is retired'
        ELSE 'not included: no photograph was identified as this very taxon'
    END AS reason
"""
_FROM = """
FROM taxa AS t
LEFT JOIN eligibility AS e USING (taxon_id)
LEFT JOIN classes AS own USING (taxon_id)
LEFT JOIN classes AS c ON c.taxon_id = coalesce(e.class_taxon_id, own.taxon_id)
"""
_BELOW = """
WITH RECURSIVE below(taxon_id) AS (
    SELECT taxon_id FROM taxonomy WHERE parent_taxon_id = ?
    UNION SELECT t.taxon_id FROM taxonomy AS t JOIN below ON t.parent_taxon_id = below.taxon_id
)
"""
_ANCESTORS = """
WITH RECURSIVE above(parent_taxon_id, name, height) AS (
    SELECT parent_taxon_id, name, 0 FROM taxonomy WHERE taxon_id = ?
    UNION ALL
    SELECT t.parent_taxon_id, t.name, height + 1
    FROM taxonomy AS t JOIN above ON t.taxon_id = above.parent_taxon_id
    WHERE height < 1000 -- a damaged tree
)
SELECT name FROM above WHERE height > 0 ORDER BY height DESC
"""


@dataclass(frozen=True)
class TaxonLine:
    """What a catalog did with one taxon's own photographs.

    Attributes:
        taxon_id, name, rank: of the taxon; the name is the scientific one.
        photographs: listed and observed as this very taxon.
        rejected, left_out, usable: the faulty ones of them, those left out by rules, the rest.
        from_below: photographs of taxa below that count as this one's.
        train, val, test: its own photographs in these splits.
        included: whether its photographs are used.
        is_class: whether it has an active class of its own.
        class_id, class_taxon_id, class_name, class_status: the class that its photographs train,
            else its own, which may be retired.
        missing: how many photographs it lacks to become a class; None where that is not known.
        reason: in words.
    """

    taxon_id: int
    name: str
    rank: str
    photographs: int
    rejected: int
    left_out: int
    usable: int
    from_below: int
    train: int
    val: int
    test: int
    included: bool
    is_class: bool
    class_id: int | None
    class_taxon_id: int | None
    class_name: str | None
    class_status: str | None
    missing: int | None
    reason: str


@dataclass(frozen=True)
class TaxonAnswer:
    """All that a catalog knows of a taxon.

    Attributes:
        line: its own.
        common_names: by language.
        ancestors: scientific names, from the root to its parent.
        taxa_below: how many of the taxa below it were seen or are classes.
        classes_below: how many of these are classes.
        below: their lines, those with the most photographs first, as many as asked for.
    """

    line: TaxonLine
    common_names: dict[str, str]
    ancestors: list[str]
    taxa_below: int
    classes_below: int
    below: list[TaxonLine]


@dataclass(frozen=True)
class Found:
    """The taxa that a word means.

    Attributes:
        by: taxon id, scientific name, common name or nearest name.
        taxon_ids: several where a name is that of several; none where no name is near enough.
        nearest: names that come near, the nearest first, where the word itself is none.
    """

    by: str
    taxon_ids: list[int]
    nearest: list[str]


class Lookup:
    """The tables of an opened catalog."""

    def __init__(self, connection: DuckDBPyConnection) -> None:
        self._connection = connection

    def find(self, word: str) -> Found:
        """The taxa that a name or an id means."""
        word = one_line(word)
        by_id = self._ids("SELECT taxon_id FROM taxa WHERE taxon_id::VARCHAR = ?", word)
        if by_id:
            return Found("taxon id", by_id, [])
        for common, by in ((False, "scientific name"), (True, "common name")):
            ids = self._ids(
                "SELECT DISTINCT s.taxon_id FROM spelt AS s LEFT JOIN eligibility AS e"
                " USING (taxon_id) WHERE s.common = ? AND s.key = key_of(?)"
                " ORDER BY coalesce(e.photographs, 0) DESC, s.taxon_id",
                common, word,
            )  # fmt: skip
            if ids:
                return Found(by, ids, [])
        return self._nearest(word)

    def answer(self, taxon_id: int, most_below: int | None = None) -> TaxonAnswer:
        """What became of a taxon that `find` found, with at most so many lines of those below."""
        (line,) = self._lines(f"SELECT {_LINE} {_FROM} WHERE t.taxon_id = ?", taxon_id)
        below = (
            f"{_FROM} SEMI JOIN below ON below.taxon_id = t.taxon_id"
            " WHERE e.taxon_id IS NOT NULL OR own.taxon_id IS NOT NULL"
        )
        ((taxa, classes),) = self._rows(
            f"{_BELOW} SELECT count(*), count(*) FILTER (own.status = 'active') {below}", taxon_id
        )
        lines = self._lines(
            f"{_BELOW} SELECT {_LINE} {below}"
            " ORDER BY e.photographs DESC NULLS LAST, t.name, t.taxon_id LIMIT ?",
            taxon_id, taxa if most_below is None else most_below,
        )  # fmt: skip
        names = self._rows(
            "SELECT language, name FROM names WHERE taxon_id = ? ORDER BY language", taxon_id
        )
        ancestors = [name for (name,) in self._rows(_ANCESTORS, taxon_id)]
        return TaxonAnswer(line, dict(names), ancestors, taxa, classes, lines)

    def _nearest(self, word: str) -> Found:
        ((key,),) = self._rows("SELECT key_of(?)", word)
        parts = self._column(
            "SELECT DISTINCT key FROM spelt WHERE contains(' ' || key || ' ', ' ' || ? || ' ')", key
        )
        similar = self._column(
            "SELECT DISTINCT key FROM spelt WHERE length(key) BETWEEN ? AND ? ORDER BY key",
            SIMILAR * len(key), len(key) / SIMILAR,
        )  # fmt: skip
        near = near_names(key, parts, similar)
        spellings = self._rows(
            "SELECT DISTINCT s.key, t.taxon_id, t.name, CASE WHEN s.common THEN s.name END"
            " FROM spelt AS s JOIN taxa AS t USING (taxon_id)"
            " WHERE s.key IN (SELECT unnest(?::VARCHAR[])) ORDER BY ALL",
            list(near),
        )
        taxa = {key: [row[1] for row in spellings if row[0] == key] for key in near}
        shown = dict.fromkeys(
            f"{name} ({common})" if common else name
            for key in near
            for of_key, _, name, common in spellings
            if of_key == key
        )
        return Found("nearest name", list(clearly_meant(near, taxa)), list(shown)[:_SUGGESTIONS])

    def _rows(self, query: str, *values: Any) -> list[tuple]:
        return self._connection.execute(query, list(values)).fetchall()

    def _ids(self, query: str, *values: Any) -> list[int]:
        return [taxon_id for (taxon_id,) in self._rows(query, *values)]

    def _column(self, query: str, *values: Any) -> list[str]:
        columns = self._connection.execute(query, list(values)).fetchnumpy()
        return next(iter(columns.values())).tolist()

    def _lines(self, query: str, *values: Any) -> list[TaxonLine]:
        return [TaxonLine(*row) for row in self._rows(query, *values)]


@contextlib.contextmanager
def open_lookup(catalog: Path) -> Iterator[Lookup]:
    """Yield the lookup of a catalog, whose photographs need not be there.

    Raises UserError when it is no catalog, or a table is missing or damaged.
    """
    import duckdb

    read_manifest(catalog, MANIFEST, "catalog", "ingest", SCHEMA_VERSION)
    try:
        with duckdb.connect() as connection:
            for table, columns in _TABLES.items():
                _load(connection, catalog / f"{table}.csv", table, columns)
            connection.execute(_VIEWS)
            yield Lookup(connection)
    except duckdb.Error as error:
        raise UserError(
            f"{catalog} cannot be read ({reason_of(error, 200)}); ingest again"
        ) from None


def _load(
    connection: DuckDBPyConnection, path: Path, table: str, columns: Mapping[str, str]
) -> None:
    """Read a table that ingest wrote, the columns asked for."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header = next(csv.reader(file), [])
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; ingest again") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({reason_of(error, 200)}); ingest again") from None
    missing = [column for column in columns if column not in header]
    if missing:
        raise UserError(f"{path} has no column {' or '.join(missing)}; ingest again")
    selected = ", ".join(
        f"CAST({column} AS {kind}) AS {column}" for column, kind in columns.items()
    )
    connection.execute(
        f"CREATE TABLE {table} AS SELECT {selected} FROM read_csv(?, auto_detect = false,"  # noqa: S608
        f" header = true, columns = {dict.fromkeys(header, 'VARCHAR')!r}, delim = ',',"
        " quote = '\"', escape = '\"', nullstr = '')",
        [str(path)],
    )
