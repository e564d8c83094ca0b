"""Features of photographs as they lie in the cache, read when they are asked for."""

from __future__ import annotations

import contextlib
import mmap
import resource
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.features.shard_files import HEADER

_FILES_MAPPED = 16_384
"""Linux lets a process map some 65,000 pieces of files."""


class CachedFeatures:
    """Features of n photographs, `features[rows]` is float32 [b, D]; they stay on disk.

    Args:
        paths: the files they lie in.
        shards: int32 [n], positions in `paths`.
        rows: uint16 [n], positions in the file.
        dimension: D.

    """

    def __init__(
        self, paths: Sequence[Path], shards: np.ndarray, rows: np.ndarray, dimension: int
    ) -> None:
        self._paths, self._shards, self._rows = list(paths), shards, rows
        self.dimension = dimension

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, chosen: slice | np.ndarray | Sequence[int]) -> np.ndarray:
        """The features float32 [b, D] at a slice or at whole numbers [b], in this order."""
        if not isinstance(chosen, slice):
            chosen = np.asarray(chosen, np.int64)
        shards, rows = self._shards[chosen], self._rows[chosen]
        order = np.argsort(shards, kind="stable")
        starts = np.flatnonzero(np.diff(shards[order], prepend=-1)).tolist()
        features = np.empty((len(shards), self.dimension), np.float32)
        for start, end in pairwise([*starts, len(order)]):
            here = order[start:end]
            features[here] = _mapping()(self._paths[shards[here[0]]], self.dimension)[rows[here]]
        return features

    def take(self, numbers: np.ndarray) -> CachedFeatures:
        """Those at whole numbers [m], in this order; they too stay on disk."""
        return CachedFeatures(
            self._paths, self._shards[numbers], self._rows[numbers], self.dimension
        )

    def joined(self, other: CachedFeatures) -> CachedFeatures:
        """These features and, after them, those of others; ValueError for another dimension."""
        if other.dimension != self.dimension:
            raise ValueError(f"features of {self.dimension} and of {other.dimension} values")
        shards = np.concatenate([self._shards, other._shards + np.int32(len(self._paths))])
        rows = np.concatenate([self._rows, other._rows])
        return CachedFeatures([*self._paths, *other._paths], shards, rows, self.dimension)


@cache
def _mapping() -> Callable[[Path, int], np.ndarray]:
    """`_mapped`, which remembers half of the files that this process may have open.

    Python's `mmap` keeps a file open for as long as it is mapped, and the usual limit of 1,024 is
    soon reached: it is raised as far as is needed and allowed.
    """
    limit, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * _FILES_MAPPED
    if limit != resource.RLIM_INFINITY and limit < needed:
        raised = needed if allowed == resource.RLIM_INFINITY else min(needed, allowed)
        with contextlib.suppress(OSError, ValueError):  # some systems allow less than they say
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, allowed))
            limit = raised
    most = _FILES_MAPPED if limit == resource.RLIM_INFINITY else min(_FILES_MAPPED, limit // 2)
    return lru_cache(most)(_mapped)


def _mapped(path: Path, dimension: int) -> np.ndarray:
    """The features float16 [m, D] in a file; it never changes."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(data, "<f2", offset=HEADER).reshape(-1, dimension)
    except (FileNotFoundError, ValueError):
        raise UserError(
            f"{path} was in the feature cache and no longer is whole; "
            "the same command extracts its features again"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path} in the feature cache cannot be read: {error.strerror}; try again, "
            "or name another folder by --cache"
        ) from None
