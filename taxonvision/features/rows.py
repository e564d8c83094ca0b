"""Features by row, wherever they are, and what is told of all of them together."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

_AT_ONCE = 4096
_MOST_FOR_MOMENTS = 200_000


class Rows(Protocol):
    """Features of n photographs, in memory or on disk."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Those of some rows, a slice or whole numbers int64 [b]: float32 [b, D]."""


def moments(features: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over all photographs, float32 [D] each.

    Exact up to 200,000 photographs; of more, those of so many, evenly spaced. Zeros where there are
    none.
    """
    count = min(len(features), _MOST_FOR_MOMENTS)
    chosen = np.linspace(0, len(features) - 1, count).round().astype(np.int64)
    # Sums of differences from any one row: those of the values themselves would cancel out.
    origin = features[chosen[:1]].astype(np.float64).sum(axis=0)
    total, squares = np.zeros((2, len(origin)))
    for start in range(0, count, _AT_ONCE):
        values = features[chosen[start : start + _AT_ONCE]] - origin
        total += values.sum(axis=0)
        squares += np.square(values).sum(axis=0)
    mean = total / max(count, 1)
    deviation = np.sqrt(np.maximum(squares / max(count, 1) - mean**2, 0))
    return (mean + origin).astype(np.float32), deviation.astype(np.float32)
