"""Single files taken out of a zip that somebody else made."""

from __future__ import annotations

import contextlib
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from taxonvision.errors import UserError
from taxonvision.progress import working
from taxonvision.text import one_line, reason_of

_MOST_MEMBERS = 100_000
_HIGHEST_RATIO = 250  # unpacked by packed bytes; tables reach some 30
_SMALL = 2**20  # bytes: below, a ratio means nothing
_KEPT_FREE = 0.1  # of the free disk


def member_names(path: Path) -> list[str]:
    """The names of the files in a zip; UserError for one that is damaged or meant to do harm.

    Refused are names that lead out of the folder, links, and more files than any table has.
    """
    with _reading(path) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) > _MOST_MEMBERS:
            raise UserError(f"{path} holds more than {_MOST_MEMBERS} files")
        for member in members:
            name = PurePosixPath(member.filename)
            if name.is_absolute() or ".." in name.parts or "\\" in member.filename:
                raise UserError(
                    f"{path}: {one_line(member.filename)[:100]} leads out of the archive's folder"
                )
            if stat.S_ISLNK(member.external_attr >> 16):
                raise UserError(f"{path}: {one_line(member.filename)[:100]} is a link")
        return [member.filename for member in members]


def unpack(path: Path, name: str, folder: Path) -> Path:
    """Unpack one file of a zip into `folder`, under its name; returns its place.

    UserError when it is packed so densely that it must be a bomb, when the disk has no room for it,
    and when it is damaged.
    """
    with _reading(path) as archive:
        member = archive.getinfo(name)
        if member.flag_bits & 1:
            raise UserError(f"{path}: {name} is encrypted; unpack it and name the folder")
        if member.file_size > max(_SMALL, _HIGHEST_RATIO * member.compress_size):
            raise UserError(
                f"{path}: {name} would unpack to {member.file_size} bytes, more than "
                f"{_HIGHEST_RATIO} times its size; unpack it and name the folder if you trust it"
            )
        room = int(shutil.disk_usage(folder).free * (1 - _KEPT_FREE))
        if member.file_size > room:
            raise UserError(
                f"{path}: {name} unpacks to {member.file_size / 1e9:.1f} GB, and beside --out is "
                f"room for {room / 1e9:.1f} GB"
            )
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            working(f"unpacking {name}"),
            archive.open(member) as packed,
            target.open("xb") as file,
        ):
            shutil.copyfileobj(packed, file, 2**20)
        return target


@contextlib.contextmanager
def unpacking(path: Path, folder: Path) -> Iterator[Path]:
    """Yield a new folder in `folder` to unpack the zip `path` into.

    A UserError about a file there is told as one about the zip.
    """
    unpacked = Path(tempfile.mkdtemp(dir=folder))
    try:
        yield unpacked
    except UserError as error:
        raise UserError(str(error).replace(f"{unpacked}/", f"{path}: ")) from None


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; UserError for what goes wrong until the block ends."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except UserError:
        raise
    except Exception as error:  # zipfile and its decompressors raise many kinds on damaged files
        raise UserError(f"{path} cannot be unpacked: {reason_of(error)}") from None
