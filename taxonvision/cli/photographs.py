"""The photographs that a command line names, one by one or by folders of any size."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from taxonvision.catalog.sources.files import photographs
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError
from taxonvision.progress import working

_IN_MEMORY = 2**24  # bytes of a list


class Listing:
    """Photographs in order, then what folders hold that cannot be one.

    The lists are in a file from some number of photographs on, so that memory does not grow.
    """

    def __init__(self, readable: _Lines, faulty: _Lines, fingerprint: str) -> None:
        self._readable, self._faulty = readable, faulty
        self.fingerprint = fingerprint
        """SHA-256 over all paths in order, and the sizes and times of the files."""

    def __len__(self) -> int:
        return len(self._readable) + len(self._faulty)

    def paths(self, start: int = 0) -> Iterator[Path]:
        """The photographs but the first `start`."""
        return (Path(path) for (path,) in self._readable.after(start))

    def faulty(self, start: int = 0) -> Iterator[tuple[Path, PhotographError]]:
        """What comes after all photographs, but the first `start` of the whole."""
        passed = max(0, start - len(self._readable))
        return ((Path(p), PhotographError(reason)) for p, reason in self._faulty.after(passed))


@contextlib.contextmanager
def listed(arguments: Sequence[str]) -> Iterator[Listing]:
    """List the photographs named, and those in folders named, sorted by their paths.

    UserError for a folder without any.
    """
    with _temporary() as first, _temporary() as second:
        readable, faulty = _Lines(first), _Lines(second)
        with working("listing the photographs"):
            fingerprint = _list(arguments, readable, faulty)
        yield Listing(readable, faulty, fingerprint)


def _list(arguments: Sequence[str], readable: _Lines, faulty: _Lines) -> str:
    """Fill both; returns the fingerprint."""
    digest = hashlib.sha256()
    for argument in map(Path, arguments):
        before = len(readable)
        for path, found in _named_by(argument):
            seen = (
                (found.st_size, found.st_mtime_ns) if isinstance(found, os.stat_result) else found
            )
            digest.update(repr((str(path), seen)).encode("utf-8", "surrogateescape"))
            if isinstance(found, str):
                faulty.add(str(path), found)
            else:
                readable.add(str(path))
        if len(readable) == before:
            raise UserError(f"there is no photograph in {argument}")
    return digest.hexdigest()


def _temporary() -> SpooledTemporaryFile[str]:
    return SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="ascii")


def _named_by(argument: Path) -> Iterator[tuple[Path, os.stat_result | str | None]]:
    """Photographs with their status, None for one that is not there; others with the reason."""
    if argument.is_dir():
        for path, found in photographs(argument):
            yield argument / path, found
        return
    try:
        yield argument, argument.stat()
    except OSError:
        yield argument, None


class _Lines:
    """Lists of texts, one a line, in memory while they are few."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *texts: str) -> None:
        self._file.write(json.dumps(texts) + "\n")
        self._count += 1

    def after(self, start: int) -> Iterator[list[str]]:
        """All but the first `start`. One list is read at a time, and none is added meanwhile."""
        self._file.seek(0)
        return map(json.loads, itertools.islice(self._file, start, None))
