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
        suffix = PurePosixPath(path).suffix.lower()
        if not _is_utf8(path):
            printable = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            files.rejects.append(Reject(printable, "the file name is not UTF-8"))
        elif isinstance(entry, str):
            files.rejects.append(Reject(path, entry))
        elif path.endswith("/"):
            files.folders.add(tuple(path[:-1].split("/")))
        elif suffix in SUFFIXES:
            files.photos.append(path)
        elif suffix in UNREADABLE_SUFFIXES:
            files.rejects.append(Reject(path, f"{suffix[1:]} is not read; convert it to JPEG"))
        else:
            files.other[suffix or "without suffix"] += 1
    return files


def entries(root: Path) -> Iterator[tuple[str, os.stat_result | str]]:
    """Files below `root`, links followed: relative path and status, or the reason it has none.

    Folders are yielded with a slash at the end. A link back to a folder above is a loop.
    """
    start = root.stat()
    pending: list[tuple[str, Path, tuple[tuple[int, int], ...]]] = [
        ("", root, ((start.st_dev, start.st_ino),))
    ]
    while pending:
        prefix, folder, above = pending.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield prefix, f"cannot be read: {error.strerror}"
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
                continue
            path = prefix + entry.name
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
                    pending.append((path + "/", Path(entry.path), (*above, identity)))
            elif stat.S_ISREG(status.st_mode):
                yield path, status
            else:
                yield path, "a pipe, socket or device, no file"


def _is_utf8(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
