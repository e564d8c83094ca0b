"""Where values stand in an array, for many values at once."""

from __future__ import annotations

import numpy as np


def find(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The position of each value, int64 [n], in an ascending array; -1 where it is not there."""
    if not len(among):
        return np.full(len(values), -1, np.int64)
    places = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return np.where(among[places] == values, places, -1)


def find_unsorted(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """`find` in an array of different values in any order."""
    order = np.argsort(among)
    places = find(values, among[order])
    return np.where(places < 0, -1, np.append(order, -1)[places])
