"""Delimited tables of any size into the work database; every row that cannot be read is told of."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from taxonvision.catalog.sources.gzip_pipe import plain
from taxonvision.catalog.sources.records import (
    STRAY_QUOTE,
    Dialect,
    cells_of,
    lines_of,
    mend,
    opened,
    spelt,
)
from taxonvision.catalog.staging import Staging
from taxonvision.errors import UserError
from taxonvision.progress import working
from taxonvision.text import one_line, reason_of

_SEPARATORS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}
_LONGEST_HEADER = 2**20
_MOST_PLACED = 200_000  # rows looked for; further faulty ones are told of without their line
_KINDS = {"BIGINT": "a whole number", "INTEGER": "a whole number", "UBIGINT": "a whole number",
          "DOUBLE": "a number", "DATE": "a date as 2024-05-31", "BOOLEAN": "true or false",
          "UUID": "a UUID"}  # fmt: skip
_UNCAST = re.compile(r"Could not convert string \"(.*)\" to ", re.DOTALL)

_UNEVEN = re.compile(rb"\r(?!\n)|\n\r?\n")

TAB_SEPARATED = Dialect("\t")
COMMA_SEPARATED = Dialect(",", '"')


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """The names of the columns in the last line of a table's header; UserError for none."""
    with opened(path) as file:
        for _ in range(dialect.header_lines - 1):
            file.readline()
        line = file.readline(_LONGEST_HEADER)
    where = f"{path}, line {max(dialect.header_lines, 1)}"
    try:
        text = line.decode("utf-8").removeprefix("\ufeff").rstrip("\r\n")
    except UnicodeDecodeError:
        raise UserError(f"{where}: not UTF-8; save it as UTF-8") from None
    if not text.strip() or "\0" in text:
        raise UserError(f"{where}: there are no names of columns")
    return [cell.strip() for cell in cells_of(text, dialect)]


def load_table(
    staging: Staging,
    path: Path,
    table: str,
    columns: Mapping[str, str],
    *,
    dialect: Dialect,
    required: Sequence[str],
    header: Sequence[str] | None = None,
    computed: Mapping[str, str] = MappingProxyType({}),
    dropped: Sequence[str] = (),
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
        computed: more columns by name, as SQL expressions of the others.
        dropped: columns that only serve to compute others and are not kept.
        lists_photographs: its faulty rows count among the photographs listed.

    The row count is that of the rows read and of the faulty ones, which go to `rejects` with their
    line. Raises UserError for a missing file or column and a file that is damaged.
    """
    import duckdb

    names = list(header if header is not None else read_header(path, dialect))
    _check_columns(path, names, required, dialect)
    read = _Reading(staging, table, names, columns, computed, dropped)
    try:
        with working(f"reading {path.name}"), plain(path, staging) as readable:
            faulty = read(readable, dialect)
        doubtful = faulty and (dialect.quote or _is_uneven(path))
        sound = not doubtful and not read.any_nul()
    except duckdb.InterruptException:
        raise
    except duckdb.Error:  # different line ends in one file, among others
        sound = False
    if sound:
        read.tell(path.name, lists_photographs)
    else:
        faulty = _read_mended(staging, path, dialect, read, lists_photographs)
    ((rows,),) = staging.connection.execute(f'SELECT count(*) FROM "{table}"').fetchall()  # noqa: S608
    return int(rows) + faulty


def _is_uneven(path: Path) -> bool:
    """Whether there are blank lines, or carriage returns within lines.

    DuckDB takes the latter for the ends of lines, and counts wrong below both.
    """
    with opened(path) as file:
        end = b""
        while chunk := file.read(2**20):
            if chunk.endswith(b"\r"):
                chunk += file.read(1)
            if _UNEVEN.search(end + chunk):
                return True
            end = chunk[-2:]
    return False


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


class _Reading:
    """How DuckDB reads one table, and what it says of the rows that it could not read."""

    def __init__(
        self,
        staging: Staging,
        table: str,
        names: Sequence[str],
        columns: Mapping[str, str],
        computed: Mapping[str, str],
        dropped: Sequence[str],
    ) -> None:
        self._connection = staging.connection
        self._table = table
        self._names = names
        self._columns = {name: kind for name, kind in columns.items() if name not in dropped}
        self._kept = f"* EXCLUDE ({', '.join(dropped)})" if dropped else "*"
        self._kinds = {f"column{i}": columns.get(name, "VARCHAR") for i, name in enumerate(names)}
        place = {name: f"column{i}" for i, name in reversed(list(enumerate(names)))}
        self._selected = ", ".join(
            f'{place[name]} AS "{name}"' if name in place else f'NULL::{kind} AS "{name}"'
            for name, kind in columns.items()
        ) + "".join(f', {sql} AS "{name}"' for name, sql in computed.items())

    def __call__(self, path: Path, dialect: Dialect) -> int:
        """Make the table anew from a file; returns how many rows could not be read."""
        execute = self._connection.execute
        for table in (self._table, "reject_errors", "reject_scans"):
            execute(f'DROP TABLE IF EXISTS "{table}"')
        execute(
            f'CREATE TABLE "{self._table}" AS SELECT {self._kept} FROM ('  # noqa: S608
            f"SELECT {self._selected} FROM read_csv(?,"
            f" columns = {self._kinds!r}, auto_detect = false, header = ?, skip = ?, delim = ?,"
            " quote = ?, escape = ?, nullstr = '', store_rejects = true, rejects_limit = 0,"
            " strict_mode = true))",
            [
                str(path), dialect.header_lines > 0, max(dialect.header_lines - 1, 0),
                dialect.delimiter, dialect.quote, dialect.quote,
            ],
        )  # fmt: skip
        ((faulty,),) = execute("SELECT count(DISTINCT line) FROM reject_errors").fetchall()
        return int(faulty)

    def any_nul(self) -> bool:
        """Whether a text that was read holds a NUL byte."""
        texts = [
            f'contains("{n}", chr(0))' for n, kind in self._columns.items() if kind == "VARCHAR"
        ]
        query = f'SELECT count(*) FROM "{self._table}" WHERE {" OR ".join(texts)}'  # noqa: S608
        return bool(texts) and self._connection.execute(query).fetchall() != [(0,)]

    def tell(self, name: str, photographs: bool, lines: np.ndarray | None = None) -> int:
        """Move DuckDB's notes of faulty rows to `rejects`, one a row; returns how many.

        The number that it gives to a row is a line, or an index into `lines`, from 1.
        """
        connection = self._connection
        fault_in_words = f"fault_in_words_{self._table}"  # connections share their functions
        connection.create_function(fault_in_words, self._in_words)
        connection.execute(
            f"CREATE TEMP TABLE unread AS SELECT line AS number, {fault_in_words}("  # noqa: S608
            "error_type::VARCHAR, coalesce(column_name, ''), coalesce(error_message, '')) AS reason"
            " FROM reject_errors"
            " QUALIFY row_number() OVER (PARTITION BY line ORDER BY column_idx, error_message) = 1"
        )
        connection.remove_function(fault_in_words)
        numbers = connection.execute("SELECT number FROM unread").fetchnumpy()["number"]
        numbers = np.asarray(numbers, np.int64)
        connection.register(
            "placed",
            {"number": numbers, "line": numbers if lines is None else lines[numbers - 1]},
        )
        connection.execute(
            "INSERT INTO rejects SELECT ?, line, reason, ? FROM unread JOIN placed USING (number)",
            [name, photographs],
        )
        connection.unregister("placed")
        for table in ("unread", "reject_errors", "reject_scans"):
            connection.execute(f"DROP TABLE {table}")
        return len(numbers)

    def _in_words(self, error: str, column: str, message: str) -> str:
        if error == "CAST" and column:
            found = _UNCAST.search(message)
            value = f", not {one_line(found[1])[:60]!r}" if found else ""
            kind = _KINDS.get(self._kinds[column], self._kinds[column])
            return f"{self._names[int(column.removeprefix('column'))]} must be {kind}{value}"
        return {
            "MISSING COLUMNS": f"fewer cells than the header has columns ({len(self._names)})",
            "TOO MANY COLUMNS": f"more cells than the header has columns ({len(self._names)})",
            "UNQUOTED VALUE": STRAY_QUOTE,
            "LINE SIZE OVER MAXIMUM": "the line is too long",
            "INVALID ENCODING": "not UTF-8",
        }.get(error, "a row that cannot be read")


def _read_mended(
    staging: Staging, path: Path, dialect: Dialect, read: _Reading, photographs: bool
) -> int:
    """Read a table that DuckDB stumbles over from a mended copy; returns how many rows are faulty.

    It loses rows below a quotation mark that is never closed, and its numbers of rows are not
    lines where cells hold line breaks.
    """
    import duckdb

    with tempfile.NamedTemporaryFile(dir=staging.folder, suffix=".csv") as file:
        mended = mend(path, dialect, Path(file.name))
        try:
            read(Path(file.name), replace(dialect, header_lines=0))
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise UserError(f"{path} cannot be read as a table: {reason_of(error, 200)}") from None
    faulty = read.tell(path.name, photographs, np.frombuffer(mended.lines, np.int64))
    for reason, lines in mended.faults.items():
        staging.connection.register("placed", {"line": np.frombuffer(lines, np.int64)})
        staging.connection.execute(
            "INSERT INTO rejects SELECT ?, line, ?, ? FROM placed",
            [path.name, reason, photographs],
        )
        staging.connection.unregister("placed")
        faulty += len(lines)
    return faulty


def reject_rows(
    staging: Staging,
    path: Path,
    table: str,
    id_column: str,
    dialect: Dialect,
    *,
    header: Sequence[str] | None = None,
    lists_photographs: bool = False,
) -> None:
    """Move rows of a table that `load_table` made to `rejects`, with their lines in the file.

    The rows are told by the temporary table `faults (faulty, id, reason)`: the row's `rowid`, its
    value of `id_column` and what is wrong; it is dropped. The reader knows no lines, so that the
    file is read once more, for faulty rows only. `header` is that of `load_table`.
    """
    connection = staging.connection
    wanted = connection.execute(
        f'SELECT rowid, "{id_column}"::VARCHAR FROM "{table}"'  # noqa: S608
        f' WHERE "{id_column}" IN (SELECT id FROM faults) OR'
        f' ("{id_column}" IS NULL AND EXISTS (FROM faults WHERE id IS NULL)) ORDER BY rowid'
        f" LIMIT {_MOST_PLACED}"
    ).fetchall()
    if wanted:
        told = connection.execute("SELECT line FROM rejects WHERE path = ?", [path.name]).fetchall()
        names = header if header is not None else read_header(path, dialect)
        found = lines_of(
            path, dialect, list(names).index(id_column),
            {spelt(value) for _, value in wanted}, {line for (line,) in told},
        )  # fmt: skip
        # The n-th row with a value is on the n-th line with it.
        lines = {value: iter(on) for value, on in found.items()}
        placed = [next(lines.get(spelt(value), iter(())), None) for _, value in wanted]
        connection.register(
            "placed",
            {
                "faulty": np.array([row for row, _ in wanted]),
                "line": np.array(placed, dtype=object),
            },
        )
        connection.execute(
            "INSERT INTO rejects SELECT ?, line::BIGINT, reason, ? FROM faults"
            " LEFT JOIN placed USING (faulty)"
            " QUALIFY row_number() OVER (PARTITION BY faulty ORDER BY reason) = 1",
            [path.name, lists_photographs],
        )
        connection.unregister("placed")
        connection.execute(
            f'DELETE FROM "{table}" WHERE rowid IN (SELECT faulty FROM faults)'  # noqa: S608
        )
    connection.execute("DROP TABLE faults")
