"""Which photographs are in the cache, and where: tens of bytes each, thirty million at a time."""

from __future__ import annotations

import numpy as np


class Wanted:
    """Keys to look for, each once.

    Attributes:
        high: uint64 [u], first halves, ascending.
        low: uint64 [u], second halves.
        number: int32 [n], which of the u each photograph has.
        example: int32 [u], the first photograph that has it.

    """

    def __init__(self, contents: np.ndarray) -> None:
        """Of photographs with keys uint64 [n, 2]."""
        order = np.lexsort((contents[:, 1], contents[:, 0])).astype(np.int32)
        self.high, self.low = contents[order, 0], contents[order, 1]
        first = np.ones(len(order), bool)
        first[1:] = (self.high[1:] != self.high[:-1]) | (self.low[1:] != self.low[:-1])
        self.number = np.empty(len(order), np.int32)
        self.number[order] = np.cumsum(first, dtype=np.int32) - 1
        self.example = order[first]
        if not first.all():
            self.high, self.low = self.high[first], self.low[first]

    def __len__(self) -> int:
        return len(self.high)

    def match(self, contents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the keys uint64 [m, 2] are wanted.

        Returns their ascending positions int64 [k], and their numbers int64 [k] here.
        """
        order = np.argsort(contents[:, 0])  # neighbours are found near each other, in fast memory
        high, low = contents[order, 0], contents[order, 1]
        at = np.searchsorted(self.high, high)
        found = np.full(len(contents), -1)
        left = np.arange(len(contents))
        while len(left):  # more than once only where first halves agree
            left = left[at[left] < len(self)]
            left = left[self.high[at[left]] == high[left]]
            equal = self.low[at[left]] == low[left]
            found[order[left[equal]]] = at[left[equal]]
            left = left[~equal]
            at[left] += 1
        rows = np.flatnonzero(found >= 0)
        return rows, found[rows]
