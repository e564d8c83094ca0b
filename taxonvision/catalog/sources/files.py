"""The files below a folder, links followed, told apart by what they are."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from taxonvision.catalog.staging import Reject
from taxonvision.photograph import SUFFIXES, UNREADABLE_SUFFIXES

_IGNORED_FOLDERS = frozenset({"__MACOSX", "@eaDir", "lost+found"})
# What our commands write is no class of photographs, golden ones in a bundle included.
_OUTPUTS = ("catalog.json", "model.json", "results.json", "bundle.json", "comparison.json")
_Above = tuple[tuple[int, int], ...]  # device and inode of each folder on the way


@dataclass
class Files:
    """Files below the input, by what they are."""

    photos: list[str] = field(default_factory=list)
    folders: set[tuple[str, ...]] = field(default_factory=set)
    rejects: list[Reject] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)


def find_files(root: Path) -> Files:
    """Walk through all folders below `root`; hidden ones and outputs of ours are passed over."""
    files = Files()
    for path, entry in entries(root):
        reject = _reject(path, entry)
        if reject:
            files.rejects.append(reject)
        elif path.endswith("/"):
            files.folders.add(tuple(path[:-1].split("/")))
        elif _suffix(path) in SUFFIXES:
            files.photos.append(path)
        else:
            files.other[_suffix(path) or "without suffix"] += 1
    return files


def photographs(root: Path) -> Iterator[tuple[str, os.stat_result | str]]:
    """What `find_files` takes for photographs, with its status, or rejects, with the reason.

    One by one in the order of `entries`, for folders whose files are too many for a list.
    """
    for path, entry in entries(root):
        reject = _reject(path, entry)
        if reject:
            yield reject.path, reject.reason
        elif not path.endswith("/") and _suffix(path) in SUFFIXES:
            yield path, entry


def _reject(path: str, entry: os.stat_result | str) -> Reject | None:
    """A file or folder that cannot be used, and why."""
    if not _is_utf8(path):
        printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return Reject(printable, "the file name is not UTF-8")
    if isinstance(entry, str):
        return Reject(path, entry)
    suffix = _suffix(path)
    if suffix in UNREADABLE_SUFFIXES and not path.endswith("/"):
        return Reject(path, f"{suffix[1:]} is not read; convert it to JPEG")
    return None


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def entries(root: Path) -> Iterator[tuple[str, os.stat_result | str]]:
    """Files below `root`, links followed: relative path and status, or the reason it has none.

    Folders are yielded with a slash at the end, before what is in them. All come in the order of
    their paths as text, so that no more is held than the names beside the way to each. A link back
    to a folder above is a loop.
    """
    start = root.stat()
    pending: list[tuple[str, os.DirEntry[str], _Above]] = []

    def enter(prefix: str, folder: Path, above: _Above) -> Iterator[tuple[str, str]]:
        try:
            found = sorted(os.scandir(folder), key=_as_sorted, reverse=True)
        except OSError as error:
            yield prefix, f"cannot be read: {error.strerror}"
            return
        pending.extend((prefix + entry.name, entry, above) for entry in found)

    yield from enter("", root, ((start.st_dev, start.st_ino),))
    while pending:
        path, entry, above = pending.pop()
        if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
            continue
        try:
            status = entry.stat()
        except OSError:
            yield path, "dangling link" if entry.is_symlink() else "cannot be read"
            continue
        if entry.is_dir() and any(Path(entry.path, name).is_file() for name in _OUTPUTS):
            continue
        if entry.is_dir():
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                yield path, "link back to a folder above it"
            else:
                yield path + "/", status
                yield from enter(path + "/", Path(entry.path), (*above, identity))
        elif stat.S_ISREG(status.st_mode):
            yield path, status
        else:
            yield path, "a pipe, socket or device, no file"


def _as_sorted(entry: os.DirEntry[str]) -> str:
    """A name as it stands in longer paths: what is in `a` comes after `a.jpg`, before `a0.jpg`."""
    try:
        return entry.name + "/" if entry.is_dir() else entry.name
    except OSError:  # a link that nobody may follow
        return entry.name


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
