"""Tables, CSV and Parquet: read with sentences that name file and line, written one way."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.text import reason_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ROWS_AT_ONCE = 10_000
_LARGEST = 2**63 - 1  # ids and counts live in int64 columns


class Row(dict[str, str]):
    """The cells of a row by column; `line` is the line of the file on which it begins."""

    def __init__(self, cells: Iterable[tuple[str, str]], line: int) -> None:
        super().__init__(cells)
        self.line = line


def read_csv(path: Path, required: Sequence[str] = ()) -> list[Row]:
    """The rows of a comma-separated UTF-8 table with a header line; blank lines are passed over.

    Cells are stripped of outer spaces; a missing cell is "". Raises UserError with file and line
    for a missing file or column, a column named twice, a row longer than the header, a NUL byte or
    invalid UTF-8.
    """
    rows = []
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        columns = [column.strip() for column in next(reader, [])]
        missing = [column for column in required if column not in columns]
        if missing:
            raise UserError(
                f"{path} has no column {' or '.join(missing)}; it has: {', '.join(columns)}"
            )
        named = [column for column in columns if column]
        twice = [column for column in named if named.count(column) > 1]
        if twice:
            raise UserError(f"{path}, line 1: the column {twice[0]} is there twice")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(columns):
                raise UserError(
                    f"{path}, line {line}: more cells than the header has columns; "
                    "put values that hold a comma in double quotes"
                )
            if cells:
                cells += [""] * (len(columns) - len(cells))
                rows.append(Row(zip(columns, map(str.strip, cells), strict=True), line))
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}, line {max(reader.line_num, 1)}: {error}") from None
    return rows


def _text(path: Path) -> str:
    """The text of a table without its byte order mark."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    nul = content.find(b"\0")
    if nul >= 0:
        raise UserError(f"{path}, line {_line_at(content, nul)}: a NUL byte; save it as UTF-8")
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = _line_at(content, error.start)
        raise UserError(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None


def _line_at(content: bytes, position: int) -> int:
    return content.count(b"\n", 0, position) + 1


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a comma-separated UTF-8 table; None becomes an empty cell."""
    rows = itertools.chain([columns], rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        while chunk := list(itertools.islice(rows, _ROWS_AT_ONCE)):
            file.write(csv_lines(chunk))


def csv_lines(rows: Sequence[Sequence[object]]) -> str:
    """Rows as lines of a comma-separated table; None becomes an empty cell."""
    text = _lines(rows)
    if text.count("\r") == len(rows):
        return text.replace("\r\n", "\n")
    return "".join(_lines([row]).removesuffix("\r\n") + "\n" for row in rows)  # some are in cells


def _lines(rows: Iterable[Sequence[object]]) -> str:
    """Rows with the line end of `csv`, since with it a bare carriage return in a cell is quoted."""
    lines = io.StringIO(newline="")
    csv.writer(lines).writerows(rows)
    return lines.getvalue()


def object_column(values: Collection[Any]) -> np.ndarray:
    """Values of any kind as an object array [n] that DuckDB reads as a column, None as NULL."""
    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    return column


def write_parquet(
    path: Path, connection: DuckDBPyConnection, query: str, rows_in_group: int = 122_880
) -> None:
    """Write the rows of a query as Parquet, in their order, so many at a time in memory.

    UserError where the disk does not take them.
    """
    import duckdb

    target = str(path).replace("'", "''")
    options = f"FORMAT parquet, ROW_GROUP_SIZE {rows_in_group}"
    try:
        connection.execute(f"COPY ({query}) TO '{target}' ({options})")
    except duckdb.IOException as error:
        raise UserError(f"{path} cannot be written: {reason_of(error, 250)}") from None


@contextlib.contextmanager
def reading_parquet(path: Path, made_by: str) -> Iterator[DuckDBPyConnection]:
    """Yield a connection to read `path` with; UserError when it is missing or damaged."""
    import duckdb

    try:
        with duckdb.connect() as connection:
            yield connection
    except duckdb.Error as error:
        reason = reason_of(error, 200)
        raise UserError(f"{path} cannot be read ({reason}); {made_by} again") from None


def integer(row: Row, column: str, path: Path, least: int = 0) -> int:
    """The whole number in a cell; UserError with file and line when it is none or too small."""
    try:
        value = int(row[column])
    except ValueError:
        raise UserError(
            f"{path}, line {row.line}: {column} must be a whole number, not {row[column]!r}"
        ) from None
    if not least <= value <= _LARGEST:
        raise UserError(
            f"{path}, line {row.line}: {column} must lie between {least} and {_LARGEST}, "
            f"not {row[column]}"
        )
    return value


def taxon_id_in(row: Row, column: str, path: Path) -> int:
    """The taxon id in a cell, a whole number from 1 on; UserError with file and line else."""
    return integer(row, column, path, least=1)
