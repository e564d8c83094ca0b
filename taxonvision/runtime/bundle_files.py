"""The files of a bundle, in a folder or a zip: none is read that SHA256SUMS does not vouch for.

A bundle from elsewhere may be made to harm. Nothing is ever extracted to disk; links, names that
lead elsewhere and sizes that no bundle has are refused before anything is decompressed; and no more
bytes of a file are read than were declared.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from taxonvision.errors import UserError
from taxonvision.photograph import at_once
from taxonvision.text import one_line, reason_of

MANIFEST = "bundle.json"
CHECKSUMS = "SHA256SUMS"

_MIB = 2**20
_MAX_FILES = 2000
_MAX_BYTES = 2**31 - 1  # of all files together; a flatbuffer cannot be larger either
_MAX_BYTES_OF = {
    CHECKSUMS: _MIB,
    MANIFEST: _MIB,
    "MODEL_CARD.md": 16 * _MIB,
    "taxonomy.csv": 64 * _MIB,
    "labels.txt": 64 * _MIB,
    "thresholds.csv": 32 * _MIB,
    "names/": 32 * _MIB,
    "golden/": 64 * _MIB,
}
"""By file or folder. A million taxa stay below; what is parsed is many times larger in memory."""
_BOMB_RATIO = 250  # bytes a packed byte; tables reach 20, deflate no more than 1,032
_BOMB_BYTES = 16 * _MIB
_CHUNK = 2**18
_MAX_SIP = 2 * _MIB  # a zip's table of contents: 46 bytes and a name for each file
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others decompress without a limit
_ENCRYPTED = 0x41
_OpenFile = Callable[[str], IO[bytes]]


@dataclass(frozen=True)
class BundleFiles:
    """A bundle's files, looked at and not read yet.

    Attributes:
        place: the folder or zip.
        sizes: bytes of every file by its name, SHA256SUMS left out.
        sums: SHA-256 by name, as SHA256SUMS lists them.
        fingerprint: SHA-256 of SHA256SUMS itself, which names exactly these contents.
    """

    place: Path
    sizes: Mapping[str, int]
    sums: Mapping[str, str]
    fingerprint: str

    def damages(self) -> Iterator[str]:
        """A sentence for each file that is missing or differs from SHA256SUMS; reads them all."""
        with _in_one_sentence(str(self.place)), _opener(self.place) as open_file:
            for name in self.sums:
                if name not in self.sizes:
                    yield f"{name} is listed in {CHECKSUMS} and is not there"
                    continue
                try:
                    self._read(name, open_file, None)
                except UserError as error:
                    yield str(error).removeprefix(f"{self.place}: ")

    def unlisted(self) -> list[str]:
        """Names of the files that SHA256SUMS does not vouch for."""
        return sorted(self.sizes.keys() - self.sums.keys())

    def read(self, name: str) -> bytes:
        """The bytes of a file that SHA256SUMS lists, compared with it.

        They are hashed again, which takes no longer than reading them: what is used is what was
        verified, though the file be exchanged in the meantime, and none has to be held until then.
        """
        if name not in self.sums:
            raise UserError(f"{self.place}: {name!r} is not listed in {CHECKSUMS}")
        content = io.BytesIO()
        with _in_one_sentence(_unreadable(self.place, name)), _opener(self.place) as open_file:
            self._read(name, open_file, content)
        return content.getvalue()

    def _read(self, name: str, open_file: _OpenFile, into: io.BytesIO | None) -> None:
        digest = hashlib.sha256()
        with _in_one_sentence(_unreadable(self.place, name)), open_file(name) as file:
            for chunk in _chunks(file, self.sizes.get(name, 0)):
                digest.update(chunk)
                if into is not None:
                    into.write(chunk)
        if digest.hexdigest() != self.sums[name]:
            raise UserError(f"{self.place}: {name} is damaged: it differs from {CHECKSUMS}")


def list_files(place: Path) -> BundleFiles:
    """Look at the files of a bundle and read its SHA256SUMS.

    Raises UserError where there is no bundle, and for one that is refused as it stands: links,
    pipes, names that lead elsewhere or come twice, encrypted entries, too many or too large files.
    """
    with _in_one_sentence(str(place)):
        if not place.exists():
            raise UserError(f"there is no bundle {place}")
        if not (place.is_dir() or place.is_file()):  # a pipe, say, which would be waited for
            raise UserError(f"{place} is neither a folder nor a zip")
        sizes = _folder_sizes(place) if place.is_dir() else _zip_sizes(place)
    if MANIFEST not in sizes:
        inner = next((name for name in sizes if name.endswith(f"/{MANIFEST}")), None)
        hint = f"; {inner} is in it: zip what is in the folder, not the folder" if inner else ""
        raise UserError(f"{place} is no bundle: it has no {MANIFEST}{hint}")
    for name, size in sizes.items():
        most = _MAX_BYTES_OF.get(name) or _MAX_BYTES_OF.get(name[: name.find("/") + 1])
        if most and size > most:
            raise UserError(f"{place}: {name} is refused: it has more than {most // _MIB} MiB")
    if sum(sizes.values()) > _MAX_BYTES:
        raise UserError(f"{place} is refused: it holds more than 2 GiB")
    if CHECKSUMS not in sizes:
        raise UserError(f"{place}: {CHECKSUMS} cannot be read: there is none")
    with (
        _in_one_sentence(_unreadable(place, CHECKSUMS)),
        _opener(place) as open_file,
        open_file(CHECKSUMS) as file,
    ):
        checksums = b"".join(_chunks(file, sizes.pop(CHECKSUMS)))
    return BundleFiles(place, sizes, _sums(place, checksums), hashlib.sha256(checksums).hexdigest())


def open_files(bundle: Path, required: Iterable[str]) -> tuple[Callable[[str], bytes], str]:
    """Compare every file with SHA256SUMS.

    Returns a reader of the files that are listed there, and the fingerprint. Raises UserError, as
    the reader does, for a file that is missing, damaged or not listed, and as `list_files` does.
    """
    files = list_files(bundle)
    for sentence in files.damages():
        raise UserError(f"{bundle}: {sentence}")
    missing = set(required) - files.sums.keys()
    if missing:
        raise UserError(f"{bundle}: {CHECKSUMS} does not list {', '.join(sorted(missing))}")
    return files.read, files.fingerprint


def _folder_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file below a folder; ValueError for what is no plain file."""
    if not (folder / MANIFEST).is_file():  # whatever else it is, it need not be walked through
        return {}
    sizes: dict[str, int] = {}
    waiting = [""]
    seen = 0
    while waiting:
        within = waiting.pop()
        with os.scandir(folder / within) as entries:
            for entry in entries:
                seen += 1
                _refuse_too_many(seen)
                name = within + entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(f"{name}/")
                elif stat.S_ISREG(status.st_mode):
                    sizes[name] = status.st_size
                else:
                    kind = "a link" if stat.S_ISLNK(status.st_mode) else "no regular file"
                    raise ValueError(f"{name} cannot be read: {kind}")
    return dict(sorted(sizes.items()))


def _zip_sizes(place: Path) -> dict[str, int]:
    """Declared bytes of each file in a zip; ValueError for one that no bundle is made of."""
    sizes: dict[str, int] = {}
    seen: set[str] = set()
    with _archive(place) as archive:
        entries = archive.infolist()
    _refuse_too_many(len(entries))
    for entry in entries:
        name = entry.orig_filename  # `filename` ends at a NUL
        kind = stat.S_IFMT(entry.external_attr >> 16)
        folder = name.endswith("/")
        if not _is_plain(name.removesuffix("/")):
            raise ValueError(f"{name!r} is no name of a file in a bundle")
        if kind not in (0, stat.S_IFDIR if folder else stat.S_IFREG):
            wrong = "a link" if kind == stat.S_IFLNK else "no regular file"
            raise ValueError(f"{name} cannot be read: {wrong}")
        if entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{name} is encrypted")
        if entry.compress_type not in _PACKINGS:
            raise ValueError(f"{name} is packed in another way than deflate")
        if entry.file_size > max(_BOMB_BYTES, _BOMB_RATIO * entry.compress_size):
            raise ValueError(f"{name} unpacks to {entry.file_size} bytes: taken for a zip bomb")
        # Phones and desktops that do not tell A from a would take one file for the other.
        if name.removesuffix("/").casefold() in seen:
            raise ValueError(f"{name} comes twice in it")
        seen.add(name.removesuffix("/").casefold())
        if not folder:
            sizes[name] = entry.file_size
        elif entry.file_size:
            raise ValueError(f"{name} is a folder with bytes in it")
    return sizes


def _refuse_too_many(files: int) -> None:
    if files > _MAX_FILES:
        raise ValueError(f"it holds more than {_MAX_FILES} files")


def _is_plain(name: str) -> bool:
    """Whether a name leads to a file within the bundle, on every system that may unpack it."""
    return (
        not {"", ".", ".."}.intersection(name.split("/"))
        and not {"\\", ":", "\0"}.intersection(name)
        and one_line(name) == name
    )


def _sums(place: Path, checksums: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in checksums.decode("utf-8", "replace").splitlines():
        expected, _, name = line.partition("  ")
        if not _is_plain(name) or name in sums:
            raise UserError(f"{place}: {CHECKSUMS} has an unusable line {line[:200]!r}")
        sums[name] = expected
    return sums


def _chunks(file: IO[bytes], size: int) -> Iterator[bytes]:
    """The bytes of a file, at most `size`; ValueError for more."""
    left = size
    while chunk := file.read(_CHUNK):
        left -= len(chunk)
        if left < 0:
            raise ValueError("it grew while it was read")
        yield chunk


@contextlib.contextmanager
def _opener(place: Path) -> Iterator[_OpenFile]:
    """Opens files by their names, however many; a zip's table of contents is read once."""
    if place.is_file():
        with _archive(place) as archive:
            yield archive.open
        return
    yield lambda name: _open_regular(place / name)


def _open_regular(path: Path) -> IO[bytes]:
    file = open(path, "rb", opener=at_once)  # noqa: SIM115 - the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("no regular file")
    return file


def _unreadable(place: Path, name: str) -> str:
    return f"{place}: {name} cannot be read"


@contextlib.contextmanager
def _archive(place: Path) -> Iterator[zipfile.ZipFile]:
    with _InSips(place) as file, zipfile.ZipFile(file) as archive:
        yield archive


class _InSips(io.FileIO):
    """A file that is never read in gulps, so that zipfile cannot be made to swallow gigabytes.

    ValueError for more than `_MAX_SIP` bytes at once, which is what a table of contents with
    millions of entries takes.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > _MAX_SIP:
            raise ValueError("its table of contents is larger than any bundle's")
        return super().read(size) or b""


@contextlib.contextmanager
def _in_one_sentence(subject: str) -> Iterator[None]:
    """Turn whatever goes wrong in the block into a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds on damaged files
        reason = error.strerror if isinstance(error, OSError) else None
        raise UserError(f"{subject}: {reason or reason_of(error, 200)}") from None
