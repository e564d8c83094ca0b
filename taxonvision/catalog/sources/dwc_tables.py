"""Tables of Darwin Core terms in the work database, whatever file they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from taxonvision.catalog.sources.delimited import load_table, reject_rows
from taxonvision.catalog.sources.records import Dialect
from taxonvision.catalog.staging import Staging


@dataclass(frozen=True)
class TermTable:
    """A file that is a table of terms.

    Attributes:
        path: the file.
        dialect: how it is written.
        columns: the term of each column, without namespace.
        key: the column that names the occurrence.
        defaults: values of terms where a row says nothing.
    """

    path: Path
    dialect: Dialect
    columns: tuple[str, ...]
    key: str
    defaults: Mapping[str, str]


@dataclass(frozen=True)
class Loaded:
    """A table of terms in the work database.

    Attributes:
        name: its name there; all columns are texts.
        key: the column that names the occurrence.
        rows: how many rows the file has.
        path: the file.
        title: what the table is called where it is told of.
        source: how the file is read; None where the table has the column `line` instead.
    """

    name: str
    key: str
    rows: int
    path: Path
    title: str
    source: TermTable | None = None


def load(
    staging: Staging,
    table: TermTable,
    name: str,
    terms: Sequence[str],
    *,
    lists_photographs: bool,
) -> Loaded:
    """Load the columns of these terms, in whatever case the file has them, and the key."""
    table = _in_our_case(table, terms)
    columns = dict.fromkeys((*terms, table.key), "VARCHAR")
    rows = load_table(
        staging, table.path, name, columns, dialect=table.dialect, required=[table.key],
        header=table.columns, lists_photographs=lists_photographs,
    )  # fmt: skip
    for term, value in table.defaults.items():
        if term in terms:
            staging.connection.execute(
                f'UPDATE {name} SET "{term}" = ? WHERE "{term}" IS NULL',  # noqa: S608
                [value],
            )
    return Loaded(name, table.key, rows, table.path, table.path.name, table)


def _in_our_case(table: TermTable, terms: Sequence[str]) -> TermTable:
    # Columns of the database whose names differ by case only are one.
    ours = {term.lower(): term for term in terms}
    return replace(
        table,
        columns=tuple(ours.get(name.lower(), name) for name in table.columns),
        key=ours.get(table.key.lower(), table.key),
        defaults={ours.get(name.lower(), name): v for name, v in table.defaults.items()},
    )


def reject(staging: Staging, table: Loaded, fault: str, *, lists_photographs: bool) -> None:
    """Move the rows to `rejects` for which the SQL expression `fault` is not NULL but a reason."""
    connection = staging.connection
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE faults AS SELECT rowid AS faulty, "{table.key}" AS id,'  # noqa: S608
        f" {fault} AS reason FROM {table.name} WHERE reason IS NOT NULL"
    )
    if table.source:
        reject_rows(
            staging, table.path, table.name, table.key, table.source.dialect,
            header=table.source.columns, lists_photographs=lists_photographs,
        )  # fmt: skip
        return
    connection.execute(
        "INSERT INTO rejects SELECT ?, line, reason, ? FROM faults f"  # noqa: S608
        f" JOIN {table.name} t ON t.rowid = f.faulty",
        [table.path.name, lists_photographs],
    )
    connection.execute(
        f"DELETE FROM {table.name} WHERE rowid IN (SELECT faulty FROM faults); DROP TABLE faults"  # noqa: S608
    )


def tell(staging: Staging, table: Loaded, *, duplicates: int = 0) -> None:
    """Say what became of the rows of a table after all faulty ones were rejected."""
    ((left,),) = staging.connection.execute(f"SELECT count(*) FROM {table.name}").fetchall()  # noqa: S608
    staging.add_table_read(
        table.title,
        table.rows,
        used=left - duplicates,
        faulty=table.rows - left,
        duplicates=duplicates,
    )
