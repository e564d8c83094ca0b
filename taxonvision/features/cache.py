"""The feature cache: on disk for good, filled by any number of processes without agreement.

`ROOT/DIGEST/` holds the features of one feature space: `space.json`, which tells what it is, and
shards (`shard_files`). Everyone who writes makes new shards under names of their own, so that
nobody waits; a photograph that two have written is simply there twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np

from taxonvision.errors import UserError
from taxonvision.features.cached import CachedFeatures
from taxonvision.features.search import Wanted
from taxonvision.features.shard_files import KEYS, NAME, DamagedError, ShardFormat
from taxonvision.features.space import SCHEMA_VERSION, FeatureSpace
from taxonvision.progress import say, track
from taxonvision.text import several

MANIFEST = "space.json"
_WORTH_SHOWING = 200
"""Shards from which on looking takes some seconds."""
_ABANDONED = 3600.0
"""Seconds after which nobody goes on writing an unfinished file."""


def default_cache() -> Path:
    """`taxonvision/features` in the user's cache folder (the XDG Base Directory Specification).

    Raises UserError where there is no home.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        user = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise UserError(
            "there is no home folder to cache features in; name one by --cache"
        ) from None
    return user / "taxonvision" / "features"


class FeatureCache:
    """The features of one feature space.

    Raises UserError when its folder cannot be made.
    """

    def __init__(self, root: Path, space: FeatureSpace, dimension: int) -> None:
        """Open it, or begin it; `dimension` is D, the values of a photograph."""
        digest = space.digest
        folder = root.absolute() / digest
        self.format = ShardFormat(folder, dimension, crc32(digest.encode()))
        record = {
            "schema_version": SCHEMA_VERSION,
            "space": space.as_json(),
            "dimension": dimension,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _tell(folder / MANIFEST, json.dumps(record, indent=2) + "\n")
        except OSError as error:
            raise UserError(
                f"the feature cache {folder} cannot be made: {error.strerror}; "
                "name another folder by --cache"
            ) from None

    def add(self, contents: np.ndarray, values: np.ndarray) -> None:
        """Keep the features float16 [m, D] of photographs with keys uint64 [m, 2], for good."""
        if len(contents):
            self.format.write(contents, values)

    def search(self, wanted: Wanted) -> Search:
        """Look for photographs; see `Search.look`."""
        return Search(self.format, wanted)


class Search:
    """Where the photographs wanted lie in the cache, as far as it was looked through."""

    def __init__(self, files: ShardFormat, wanted: Wanted) -> None:
        self._format, self._wanted = files, wanted
        self._shard = np.full(len(wanted), -1, np.int32)
        self._row = np.zeros(len(wanted), np.uint16)
        self._names: list[str] = []
        self._seen: set[str] = set()
        self._refused: set[str] = set()

    @property
    def missing(self) -> np.ndarray:
        """Which of the photographs wanted were not found, bool [u]."""
        return self._shard < 0

    def look(self) -> None:
        """Look through the shards that were not yet there the last time, and forget those gone.

        Each row found is compared with its checksum. The good rows of a damaged shard move to a new
        one; the damaged are gone then, and missing. A shard that cannot be read stays as it is: its
        rows are missing until it can.
        """
        names, litter = _listed(self._format.folder)
        gone = [at for at, name in enumerate(self._names) if name not in names]
        if gone:  # others have found damage there, and good rows are in a new one
            self._shard[np.isin(self._shard, gone)] = -1
        fresh = deque(sorted(names - self._seen))
        damaged, lost, kept = 0, 0, 0
        refused: dict[str, OSError] = {}
        for name in self._shown(fresh):
            try:
                self._look_into(name)
            except FileNotFoundError:  # another process mended it meanwhile
                pass
            except OSError as error:
                refused[name] = error
                continue
            except DamagedError:
                try:
                    contents, values, rows = self._format.salvage(name)
                except OSError as error:
                    refused[name] = error
                    continue
                if len(contents):
                    fresh.append(self._format.write(contents, values))
                self._format.withdraw(name)
                damaged, kept = damaged + 1, kept + len(contents)
                lost += max(rows - len(contents), 0)
            self._seen.add(name)
        self._tell_refused(refused)
        for path in litter:
            with contextlib.suppress(OSError):
                path.unlink()
        if damaged or litter:
            found = [f"{several(damaged, 'damaged file')} ({kept} rows kept, {lost} lost)"]
            found = found if damaged else []
            if litter:
                found.append(f"{several(len(litter), 'unfinished file')} of ended runs")
            say(
                f"the feature cache {self._format.folder} had {' and '.join(found)}, removed; "
                "what is missing is extracted again"
            )

    def features(self, chosen: np.ndarray | slice = slice(None)) -> CachedFeatures:
        """The features of all photographs, in their order, or of those chosen, bool [n].

        Raises ValueError when some of these are missing.
        """
        number = self._wanted.number[chosen]
        if self.missing[number].any():
            raise ValueError("not all photographs are in the cache")
        paths = [self._format.values_path(name) for name in self._names]
        return CachedFeatures(paths, self._shard[number], self._row[number], self._format.dimension)

    def _look_into(self, name: str) -> None:
        contents = self._format.read_keys(name)
        rows, numbers = self._wanted.match(contents)
        new = self._shard[numbers] < 0
        rows, numbers = rows[new], numbers[new]
        if len(rows):
            self._format.check(name, len(contents), rows)
            self._shard[numbers] = len(self._names)
            self._row[numbers] = rows
            self._names.append(name)

    def _tell_refused(self, refused: dict[str, OSError]) -> None:
        """Say once which shards cannot be read."""
        new = {name: error for name, error in refused.items() if name not in self._refused}
        self._refused |= new.keys()
        for name, error in list(new.items())[:1]:
            path = error.filename or self._format.keys_path(name)
            others = f" and {several(len(new) - 1, 'other file')}" if len(new) > 1 else ""
            say(
                f"{path}{others} in the feature cache cannot be read: "
                f"{error.strerror or error}; kept as they are, what is missing is extracted again"
            )

    def _shown(self, names: deque[str]) -> Iterator[str]:
        """Take the names from the front until none is left; what is long shows how far it is."""

        def taken() -> Iterator[str]:
            while names:
                yield names.popleft()

        if len(names) < _WORTH_SHOWING:
            return taken()
        return track(
            taken(), len(names), "looking through the feature cache", "files", closing=False
        )


def _listed(folder: Path) -> tuple[set[str], list[Path]]:
    """The names of the shards in a folder, and files that killed processes left unfinished.

    Files that are called otherwise are none of ours and stay.
    """
    shards, parts = set(), []
    try:
        for entry in os.scandir(folder):
            if found := NAME.fullmatch(entry.name):
                (shards.add(found[1]) if found[2] == KEYS else parts.append((found[1], entry)))
        litter = []
        for name, entry in parts:
            if name not in shards:
                with contextlib.suppress(FileNotFoundError):  # finished or removed meanwhile
                    if time.time() - entry.stat().st_mtime > _ABANDONED:
                        litter.append(Path(entry.path))
    except OSError as error:
        raise UserError(
            f"the feature cache {folder} cannot be read: {error.strerror}; "
            "name another folder by --cache"
        ) from None
    return shards, litter


def _tell(path: Path, text: str) -> None:
    """Have `path` say so.

    One that says anything else was damaged or copied here. The rows beside it stay: their checksums
    start from the digest of the space and prove by themselves whether they belong to it.
    """
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        found = None
    if found == text.encode():
        return
    if found is not None:
        say(f"{path} is not what was written there; it is written again, its features are checked")
    partial = path.with_name(f".{uuid.uuid4().hex}.{MANIFEST}")
    try:
        partial.write_text(text)
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
