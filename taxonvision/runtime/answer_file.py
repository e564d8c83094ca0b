"""Answers to any number of photographs in one file, written by parts: a killed run goes on."""

from __future__ import annotations

import contextlib
import itertools
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import PIL

import taxonvision
from taxonvision.interrupts import interruptible, undisturbed
from taxonvision.photograph import PhotographError
from taxonvision.progress import say
from taxonvision.runtime.answer_formats import COLUMNS, TEXT_FORMATS, Named, TextFormat, rows_of
from taxonvision.runtime.scoring import BATCH
from taxonvision.storage import (
    WHOLE,
    Recipe,
    read_json,
    replacing_file,
    replacing_file_resuming,
    write_json,
)
from taxonvision.tables import object_column, write_parquet
from taxonvision.text import of_path, several

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE_FORMATS = (*TEXT_FORMATS, "parquet")
PART = 16 * BATCH
"""Photographs in a part: whole batches, so that who goes on scores the same batches."""
_COPIED_AT_ONCE = 2**20


def write_answers(
    out: Path,
    kind: str,
    photographs: int,
    answers_from: Callable[[int], Iterator[Named]],
    recipe: Recipe,
    tell_broken: Callable[[str, str], None],
) -> None:
    """Write the file `out`; what stood there stays until the new one is whole.

    However a run ends, the next one of the same recipe goes on after the last part that is whole.
    Memory holds one part, however many photographs there are.

    Args:
        out: the file.
        kind: one of `FILE_FORMATS`.
        photographs: how many there are.
        answers_from: gives the answers from a photograph on, in order, to the last.
        recipe: how the file is made: what the answers depend on.
        tell_broken: called with each photograph that a run before could not read, and the reason.
    """
    with replacing_file_resuming(out, recipe, version=_version()) as folder:
        parts = [folder / f"part-{number:06}" for number in range(math.ceil(photographs / PART))]
        finished = sum(1 for _ in itertools.takewhile(Path.exists, parts))
        if finished:
            say(f"going on after {several(min(finished * PART, photographs), 'photograph')}")
        for part in parts[:finished]:
            for photo, reason in _broken_in(part):
                tell_broken(photo, reason)
        with _telling_what_is_kept(folder):
            answers = answers_from(finished * PART)
            for part in parts[finished:]:
                _write_part(part, kind, list(itertools.islice(answers, PART)))
            if next(answers, None):  # asked to its end, where it says how long it took
                raise AssertionError("more answers than photographs")
        if kind == "parquet":
            _join_rows(folder / WHOLE, parts)
        else:
            _join_texts(folder / WHOLE, parts, TEXT_FORMATS[kind])


def _version() -> str:
    """What the answers depend on besides the recipe."""
    return f"taxonvision {taxonvision.__version__}, Pillow {PIL.__version__}"


@contextlib.contextmanager
def _telling_what_is_kept(folder: Path) -> Iterator[None]:
    """When the block raises, say that finished parts are kept."""
    try:
        yield
    except BaseException:
        if next(folder.glob("part-*"), None):
            say(f"what is named already is kept in {folder}; the same command goes on there")
        raise


def _write_part(part: Path, kind: str, answers: Sequence[Named]) -> None:
    """Write a part, and before it the list of its broken photographs: where it is, that is too."""
    broken = [(of_path(p), str(a)) for p, a in answers if isinstance(a, PhotographError)]
    if broken:
        write_json(_list_beside(part), broken)
    with replacing_file(part) as path:
        if kind == "parquet":
            _write_rows(path, answers)
        else:
            text = TEXT_FORMATS[kind]
            path.write_text(text.between.join(map(text.entry, answers)), encoding="utf-8")


def _broken_in(part: Path) -> list[tuple[str, str]]:
    path = _list_beside(part)
    return read_json(path) if path.exists() else []


def _list_beside(part: Path) -> Path:
    return part.with_suffix(".broken.json")


@contextlib.contextmanager
def _database() -> Iterator[DuckDBPyConnection]:
    with undisturbed():
        import duckdb
    with duckdb.connect() as connection, interruptible(connection) as guarded:
        yield guarded


def _write_rows(path: Path, answers: Sequence[Named]) -> None:
    columns = zip(*itertools.chain.from_iterable(map(rows_of, answers)), strict=True)
    rows = {name: object_column(values) for name, values in zip(COLUMNS, columns, strict=True)}
    typed = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in COLUMNS.items())
    with _database() as connection:
        connection.register("answers", rows)
        write_parquet(path, connection, f"SELECT {typed} FROM answers")  # noqa: S608 - our names


def _join_rows(whole: Path, parts: Sequence[Path]) -> None:
    """One table of all parts, of which memory holds no more than a group of rows."""
    with _database() as connection:
        connection.execute("SET threads = 1")  # so that rows are written as they are read
        connection.read_parquet([str(part) for part in parts]).create_view("parts")
        write_parquet(whole, connection, "FROM parts")


def _join_texts(whole: Path, parts: Sequence[Path], text: TextFormat) -> None:
    with whole.open("w", encoding="utf-8", newline="") as file:
        before = text.head
        for part in parts:
            file.write(before)
            _copy(part, file)
            before = text.between
        file.write(text.tail)


def _copy(part: Path, file: TextIO) -> None:
    with part.open(encoding="utf-8", newline="") as source:
        shutil.copyfileobj(source, file, _COPIED_AT_ONCE)
