"""Small CSV tables: read with sentences that name file and line, written the same everywhere."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from taxonvision.errors import UserError


def read_csv(path: Path, required: Sequence[str] = ()) -> list[dict[str, str]]:
    """The rows of a comma-separated UTF-8 table with a header line.

    Cells are stripped of outer spaces; a missing cell is "". Raises UserError with file and line
    for a missing file or column, a row longer than the header, a NUL byte or invalid UTF-8.
    """
    rows = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey="", restval="", strict=True)
            columns = [column.strip() for column in reader.fieldnames or ()]
            reader.fieldnames = columns
            missing = [column for column in required if column not in columns]
            if missing:
                raise UserError(
                    f"{path} has no column {' or '.join(missing)}; it has: {', '.join(columns)}"
                )
            for row in reader:
                if "" in row and "" not in columns:
                    raise UserError(
                        f"{path}, line {reader.line_num}: more cells than the header has columns; "
                        "put values that hold a comma in double quotes"
                    )
                rows.append({key: value.strip() for key, value in row.items()})
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num + 1}: {error}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    return rows


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a comma-separated UTF-8 table; None becomes an empty cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def integer(row: dict[str, str], column: str, path: Path, line: int) -> int:
    """The whole number in a cell; UserError with file and line when it is none."""
    try:
        return int(row[column])
    except ValueError:
        raise UserError(
            f"{path}, line {line}: {column} must be a whole number, not {row[column]!r}"
        ) from None
