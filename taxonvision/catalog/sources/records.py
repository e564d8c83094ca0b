"""The rows of a delimited table one by one, with their lines: slow and exact, for what is faulty.

DuckDB reads tables fast, but numbers rows instead of lines, and where a quotation mark is never
closed it loses the rows below it. So whatever it stumbles over is read here.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import re
from array import array
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from taxonvision.errors import UserError
from taxonvision.text import reason_of

LONGEST_ROW = 2**20  # characters
STRAY_QUOTE = "a quotation mark that is stray or never closed"


@dataclass(frozen=True)
class Dialect:
    """How a table is written: what is between cells and about them, "" for nothing."""

    delimiter: str
    quote: str = ""
    header_lines: int = 1


class Record(NamedTuple):
    """One row: the line on which it begins, its text without line end, what is wrong with it."""

    line: int
    text: str
    fault: str


@dataclass(frozen=True)
class Mended:
    """What came of mending a table.

    Attributes:
        faults: the lines that are no rows, by what is wrong with them.
        lines: the line in the table for each line of the mended copy.
    """

    faults: dict[str, array[int]]
    lines: array[int]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, gzipped or not; UserError when it cannot be read, also later."""
    from isal import igzip, igzip_lib  # twice as fast as gzip

    try:
        with igzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, EOFError, igzip_lib.IsalError) as error:  # type: ignore[misc]  # its stub
        raise UserError(f"{path} cannot be read: {reason_of(error)}") from None


def records(path: Path, dialect: Dialect) -> Iterator[Record]:
    """The rows below the header; blank lines are passed over.

    A row whose quotation marks do not match is its first line only: the next line begins a row.
    """
    quote, header = dialect.quote, dialect.header_lines
    with opened(path) as file:
        numbered = enumerate(file, 1)
        ahead: deque[tuple[int, bytes]] = deque()
        while item := ahead.popleft() if ahead else next(numbered, None):
            line, raw = item
            if line <= header:
                continue
            try:
                text = _text(raw)
            except UnicodeDecodeError:
                yield Record(line, "", "not UTF-8")
                continue
            if line == 1:
                text = text.removeprefix("\ufeff")
            if "\0" in text:
                yield Record(line, text, "a NUL byte")
            elif quote and quote in text:
                yield _quoted(line, text, dialect, numbered, ahead)
            elif text:
                yield Record(line, text, "")


def mend(path: Path, dialect: Dialect, copy: Path) -> Mended:
    """Write the sound rows of a table to `copy`, one a line, without header, lines ended by LF.

    Line breaks in cells become spaces.
    """
    faults: dict[str, array[int]] = {}
    lines = array("q")
    with copy.open("w", encoding="utf-8", newline="\n") as file:
        for line, text, fault in records(path, dialect):
            if fault:
                faults.setdefault(fault, array("q")).append(line)
            else:
                lines.append(line)
                file.write(text.replace("\n", " ") + "\n")
    return Mended(faults, lines)


def lines_of(
    path: Path, dialect: Dialect, place: int, values: Collection[str], skipped: Collection[int]
) -> dict[str, list[int]]:
    """The lines on which rows with these values in the cell `place` begin, by value in lower case.

    Lines `skipped`, which are told of already, and faulty rows are left out.
    """
    found: dict[str, list[int]] = {}
    for line, text, fault in records(path, dialect):
        if fault or line in skipped:
            continue
        cells = cells_of(text, dialect, place + 1)
        value = spelt(cells[place]) if place < len(cells) else ""
        if value in values:
            found.setdefault(value, []).append(line)
    return found


def cells_of(text: str, dialect: Dialect, most: int = -1) -> list[str]:
    """The cells of a row, for `most` >= 0 at least the first `most`."""
    if not dialect.quote or dialect.quote not in text:
        return text.split(dialect.delimiter, most)
    rows = csv.reader([text], delimiter=dialect.delimiter, quotechar=dialect.quote)
    try:
        return next(rows, [])
    except csv.Error:  # a cell of more than 128 KB
        return []


def spelt(value: str | None) -> str:
    """A value as it is looked for in a file: UUIDs may be in capitals there."""
    return (value or "").strip().lower()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8").rstrip("\r\n").replace("\r", " ")


def _quoted(
    line: int,
    text: str,
    dialect: Dialect,
    numbered: Iterator[tuple[int, bytes]],
    ahead: deque[tuple[int, bytes]],
) -> Record:
    """The row that begins with `text`; the lines it goes on over are taken from what is ahead."""
    whole, unfinished = _patterns(dialect)
    taken = 0
    row = [text]
    length = len(text)
    while not whole.match(joined := "\n".join(row)):
        if not unfinished.match(joined):
            return Record(line, text, STRAY_QUOTE)
        while True:  # to the next line that may close the cell
            if taken == len(ahead):
                ahead.extend(item for item in [next(numbered, None)] if item)
            if taken == len(ahead) or length > LONGEST_ROW:
                return Record(line, text, STRAY_QUOTE)
            try:
                more = _text(ahead[taken][1])
            except UnicodeDecodeError:
                return Record(line, text, STRAY_QUOTE)
            taken += 1
            row.append(more)
            length += len(more) + 1
            if dialect.quote in more:
                break
    for _ in range(taken):
        ahead.popleft()
    return Record(line, joined, "")


@functools.cache
def _patterns(dialect: Dialect) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a whole row looks like, and one that ends within quotation marks."""
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    unclosed = f"{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+"
    cell = f"(?:{unclosed}{quote} *+|(?!{quote})[^{delimiter}\n]*+)"
    return (
        re.compile(f"{cell}(?:{delimiter}{cell})*+\\Z"),
        re.compile(f"(?:{cell}{delimiter})*+{unclosed}\\Z"),
    )
