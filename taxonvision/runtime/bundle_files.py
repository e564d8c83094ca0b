"""The files of a bundle, in a folder or a zip: none is read that SHA256SUMS does not vouch for."""

from __future__ import annotations

import contextlib
import hashlib
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from taxonvision.errors import UserError

CHECKSUMS = "SHA256SUMS"
_MAX_FILE_BYTES = 2**31 - 1


def open_files(bundle: Path, required: Iterable[str]) -> tuple[Callable[[str], bytes], str]:
    """Compare every file with SHA256SUMS.

    Returns a reader of the files that are listed there, and the SHA-256 of SHA256SUMS itself, which
    names exactly these contents. Raises UserError, as the reader does, for a file that is missing,
    damaged or not listed.
    """
    with _opened(bundle, CHECKSUMS) as file:
        checksums = file.read()
    sums = _checked_sums(bundle, checksums, required)
    return partial(_read_verified, bundle, sums), hashlib.sha256(checksums).hexdigest()


@contextlib.contextmanager
def _opened(bundle: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file in a folder or zip; UserError for what goes wrong until the block ends."""
    try:
        if bundle.is_file():
            with zipfile.ZipFile(bundle) as archive, archive.open(name) as packed:
                _check_size(archive.getinfo(name).file_size)
                yield packed
        else:
            status = (bundle / name).stat()
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("no regular file")
            _check_size(status.st_size)
            with (bundle / name).open("rb") as file:
                yield file
    except Exception as error:  # zipfile and its decompressors raise many kinds on damaged files
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        reason = " ".join(text.split()) or type(error).__name__
        raise UserError(f"{bundle}: {name} cannot be read: {reason}") from None


def _check_size(size: int) -> None:
    if size > _MAX_FILE_BYTES:
        raise ValueError("larger than 2 GiB")


def _read_verified(bundle: Path, sums: Mapping[str, str], name: str) -> bytes:
    """The bytes of a file in `sums`, and of no other.

    They are hashed again, which takes no longer than reading them: what is used is what was
    verified, though the file be exchanged in the meantime, and none has to be held until then.
    """
    if name not in sums:
        raise UserError(f"{bundle}: {name!r} is not listed in {CHECKSUMS}")
    with _opened(bundle, name) as file:
        content = file.read()
    _compare(bundle, name, hashlib.sha256(content).hexdigest(), sums[name])
    return content


def _checked_sums(bundle: Path, content: bytes, required: Iterable[str]) -> dict[str, str]:
    """SHA-256 by file as SHA256SUMS lists them, each compared with the file."""
    sums: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        expected, _, name = line.partition("  ")
        parts = name.split("/")
        if {"", ".", ".."}.intersection(parts) or "\\" in name or "\0" in name:
            raise UserError(f"{bundle}: {CHECKSUMS} has an unusable line {line!r}")
        with _opened(bundle, name) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
        _compare(bundle, name, found, expected)
        sums[name] = expected
    missing = set(required) - sums.keys()
    if missing:
        raise UserError(f"{bundle}: {CHECKSUMS} does not list {', '.join(sorted(missing))}")
    return sums


def _compare(bundle: Path, name: str, found: str, expected: str) -> None:
    if found != expected:
        raise UserError(f"{bundle}: {name} is damaged: it differs from {CHECKSUMS}")
