"""Delimited tables of any size into the work database; every row that cannot be read is told of."""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.catalog.staging import Staging
from taxonvision.errors import UserError
from taxonvision.text import one_line, reason_of

_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
_LONGEST_HEADER = 2**20
_KINDS = {"BIGINT": "a whole number", "INTEGER": "a whole number", "UBIGINT": "a whole number",
          "DOUBLE": "a number", "DATE": "a date as 2024-05-31", "BOOLEAN": "true or false",
          "UUID": "a UUID"}  # fmt: skip
_UNCAST = re.compile(r"Could not convert string \"(.*)\" to ", re.DOTALL)


@dataclass(frozen=True)
class Dialect:
    """How a table is written: what is between cells and about them, "" for nothing."""

    delimiter: str
    quote: str = ""
    header_lines: int = 1


TAB_SEPARATED = Dialect("\t")
COMMA_SEPARATED = Dialect(",", '"')


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """The names of the columns in a table's first line; UserError when there is none."""
    open_file = gzip.open if path.suffix == ".gz" else open
    try:
        with open_file(path, "rb") as file:
            line = file.readline(_LONGEST_HEADER)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, EOFError) as error:
        raise UserError(f"{path} cannot be read: {reason_of(error)}") from None
    try:
        text = line.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}, line 1: not UTF-8; save it as UTF-8") from None
    if not text.strip() or "\0" in text:
        raise UserError(f"{path}, line 1: there are no names of columns")
    if not dialect.quote:
        return [cell.strip() for cell in text.split(dialect.delimiter)]
    reader = csv.reader([text], delimiter=dialect.delimiter, quotechar=dialect.quote)
    return [cell.strip() for cell in next(reader, [])]


def load_table(
    staging: Staging,
    path: Path,
    table: str,
    columns: Mapping[str, str],
    *,
    dialect: Dialect,
    required: Sequence[str],
    header: Sequence[str] | None = None,
    lists_photographs: bool = False,
) -> int:
    """Read a table, gzipped or not, into the new database table `table`; returns its row count.

    Args:
        staging: where the table is made and faulty rows are told of.
        path: the file.
        table: name of the database table. It has the columns asked for, empty where the file lacks
            them, with empty cells as NULL.
        columns: names and DuckDB types of the columns wanted.
        dialect: how the file is written.
        required: columns that must be there.
        header: names of the columns where the file's own are not to be used.
        lists_photographs: its faulty rows count among the photographs listed.

    The row count is that of the rows read and of the faulty ones, which go to `rejects` with their
    line. Raises UserError for a missing file or column and a file that is damaged.
    """
    import duckdb

    names = list(header if header is not None else read_header(path, dialect))
    _check_columns(path, names, required, dialect)
    kinds = {f"column{i}": columns.get(name, "VARCHAR") for i, name in enumerate(names)}
    place = {name: f"column{i}" for i, name in reversed(list(enumerate(names)))}
    selected = ", ".join(
        f'{place[name]} AS "{name}"' if name in place else f'NULL::{kind} AS "{name}"'
        for name, kind in columns.items()
    )
    connection = staging.connection
    try:
        connection.execute(
            f'CREATE TABLE "{table}" AS SELECT {selected} FROM read_csv(?, columns = {kinds!r},'  # noqa: S608
            " auto_detect = false, header = ?, skip = ?, delim = ?, quote = ?, escape = ?,"
            " nullstr = '', store_rejects = true, rejects_limit = 0, strict_mode = true)",
            [
                str(path), dialect.header_lines > 0, max(dialect.header_lines - 1, 0),
                dialect.delimiter, dialect.quote, dialect.quote,
            ],
        )  # fmt: skip
    except duckdb.Error as error:
        raise UserError(f"{path} cannot be read as a table: {reason_of(error, 200)}") from None
    faulty = _tell_rejects(staging, path.name, names, kinds, lists_photographs)
    (read,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone() or (0,)  # noqa: S608
    return int(read) + faulty


def _check_columns(
    path: Path, names: Sequence[str], required: Sequence[str], dialect: Dialect
) -> None:
    missing = [name for name in required if name not in names]
    if not missing:
        return
    if len(names) == 1:
        for separator, word in _SEPARATORS.items():
            if separator != dialect.delimiter and separator in names[0]:
                raise UserError(
                    f"{path} is separated by {word}; this format is separated by "
                    f"{_SEPARATORS.get(dialect.delimiter, repr(dialect.delimiter))}"
                )
    raise UserError(
        f"{path} has no column {' or '.join(missing)}; it has: {one_line(', '.join(names))[:500]}"
    )


def _tell_rejects(
    staging: Staging, name: str, names: Sequence[str], kinds: Mapping[str, str], photographs: bool
) -> int:
    """Move DuckDB's notes of faulty lines to `rejects`, one a line; returns how many."""
    connection = staging.connection
    connection.create_function("fault_in_words", _in_words(names, kinds))
    connection.execute(
        "INSERT INTO rejects"
        " SELECT ?, line, fault_in_words(error_type::VARCHAR, coalesce(column_name, ''),"
        " coalesce(error_message, '')), ? FROM reject_errors"
        " QUALIFY row_number() OVER (PARTITION BY line ORDER BY column_idx, error_message) = 1",
        [name, photographs],
    )
    (faulty,) = connection.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchone() or (
        0,
    )
    connection.execute("DROP TABLE reject_errors; DROP TABLE reject_scans")
    connection.remove_function("fault_in_words")
    return int(faulty)


def _in_words(names: Sequence[str], kinds: Mapping[str, str]) -> Callable[[str, str, str], str]:
    def fault_in_words(error: str, column: str, message: str) -> str:
        if error == "CAST" and column:
            found = _UNCAST.search(message)
            value = f", not {one_line(found[1])[:60]!r}" if found else ""
            kind = _KINDS.get(kinds[column], kinds[column])
            return f"{names[int(column.removeprefix('column'))]} must be {kind}{value}"
        return {
            "MISSING COLUMNS": f"fewer cells than the header has columns ({len(names)})",
            "TOO MANY COLUMNS": f"more cells than the header has columns ({len(names)})",
            "UNQUOTED VALUE": "a quotation mark that is stray or never closed",
            "LINE SIZE OVER MAXIMUM": "the line is too long",
            "INVALID ENCODING": "not UTF-8",
        }.get(error, "a row that cannot be read")

    return fault_in_words


def reject_rows(
    staging: Staging,
    path: Path,
    table: str,
    id_column: str,
    dialect: Dialect,
    *,
    lists_photographs: bool = False,
) -> None:
    """Move rows of a table that `load_table` made to `rejects`, with their lines in the file.

    The rows are told by the temporary table `faults (faulty, id, reason)`: the row's `rowid`, its
    value of `id_column` and what is wrong; it is dropped. The reader knows no lines, so that the
    file is read once more, for faulty rows only.
    """
    connection = staging.connection
    wanted = connection.execute(
        f'SELECT rowid, "{id_column}"::VARCHAR FROM "{table}"'  # noqa: S608
        f' WHERE "{id_column}" IN (SELECT id FROM faults) OR'
        f' ("{id_column}" IS NULL AND rowid IN (SELECT faulty FROM faults)) ORDER BY rowid'
    ).fetchall()
    if wanted:
        told = {
            line
            for (line,) in connection.execute(
                "SELECT line FROM rejects WHERE path = ?", [path.name]
            ).fetchall()
        }
        ids = {_spelt(value) for _, value in wanted}
        lines = {
            value: iter([line for line in found if line not in told])
            for value, found in lines_of(path, dialect, id_column, ids).items()
        }
        placed = [(row, next(lines.get(_spelt(value), iter(())), None)) for row, value in wanted]
        connection.register(
            "placed",
            {
                "row": np.array([row for row, _ in placed]),
                "line": np.array([line for _, line in placed], dtype=object),
            },
        )
        connection.execute(
            "INSERT INTO rejects SELECT ?, p.line::BIGINT, f.reason, ? FROM faults f"
            " LEFT JOIN placed p ON p.row = f.faulty"
            " QUALIFY row_number() OVER (PARTITION BY f.faulty ORDER BY f.reason) = 1",
            [path.name, lists_photographs],
        )
        connection.unregister("placed")
        connection.execute(
            f'DELETE FROM "{table}" WHERE rowid IN (SELECT faulty FROM faults)'  # noqa: S608
        )
    connection.execute("DROP TABLE faults")


def lines_of(path: Path, dialect: Dialect, column: str, ids: set[str]) -> dict[str, list[int]]:
    """The lines on which rows with these values in a column begin, by value in lower case."""
    place = read_header(path, dialect).index(column)
    open_file = gzip.open if path.suffix == ".gz" else open
    found: dict[str, list[int]] = {}
    with open_file(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        if dialect.quote:
            file = (line.replace("\0", " ") for line in file)  # `csv` refuses NUL bytes
            rows = csv.reader(file, delimiter=dialect.delimiter, quotechar=dialect.quote)
            begin = 1
            for cells in rows:
                value = _spelt(cells[place]) if place < len(cells) else ""
                if value in ids and cells:
                    found.setdefault(value, []).append(begin)
                begin = rows.line_num + 1
        else:
            for number, line in enumerate(file, 1):
                cells = line.rstrip("\r\n").split(dialect.delimiter, place + 1)
                value = _spelt(cells[place]) if place < len(cells) else ""
                if value in ids and line.strip():
                    found.setdefault(value, []).append(number)
    return found


def _spelt(value: str | None) -> str:
    """A value as it is looked for in a file: UUIDs may be in capitals there."""
    return (value or "").strip().lower()
