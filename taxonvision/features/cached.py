"""Features of photographs as they lie in the cache, read when they are asked for."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.features.shard_files import HEADER

_FILES_MAPPED = 16_384
"""Linux lets a process map some 65,000 pieces of files."""
_ROWS_AT_ONCE = 4096
_MOST_FOR_MOMENTS = 200_000


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
            features[here] = _mapped(self._paths[shards[here[0]]], self.dimension)[rows[here]]
        return features

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each feature over all photographs, float32 [D] each.

        Exact up to 200,000 photographs; of more, those of so many, evenly spaced.
        """
        count = min(len(self), _MOST_FOR_MOMENTS)
        chosen = np.linspace(0, len(self) - 1, count).round().astype(np.int64)
        # Sums of differences from any one row: those of the values themselves would cancel out.
        origin = self[chosen[:1]].astype(np.float64).sum(axis=0)
        total, squares = np.zeros((2, self.dimension))
        for start in range(0, count, _ROWS_AT_ONCE):
            values = self[chosen[start : start + _ROWS_AT_ONCE]] - origin
            total += values.sum(axis=0)
            squares += np.square(values).sum(axis=0)
        mean = total / max(count, 1)
        deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
        return (mean + origin).astype(np.float32), deviation.astype(np.float32)

    def joined(self, other: CachedFeatures) -> CachedFeatures:
        """These features and, after them, those of others; ValueError for another dimension."""
        if other.dimension != self.dimension:
            raise ValueError(f"features of {self.dimension} and of {other.dimension} values")
        shards = np.concatenate([self._shards, other._shards + np.int32(len(self._paths))])
        rows = np.concatenate([self._rows, other._rows])
        return CachedFeatures([*self._paths, *other._paths], shards, rows, self.dimension)


@lru_cache(_FILES_MAPPED)
def _mapped(path: Path, dimension: int) -> np.ndarray:
    """The features float16 [m, D] in a file; it never changes."""
    try:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(data, "<f2", offset=HEADER).reshape(-1, dimension)
    except (OSError, ValueError):
        raise UserError(
            f"{path} was in the feature cache and no longer can be read; "
            "the same command extracts its features again"
        ) from None
