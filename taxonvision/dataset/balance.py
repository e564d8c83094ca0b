"""How often each class is seen: long tails cut short, rare classes seen more often.

An epoch is a list of rows, each one a photograph. Which photograph a row is, is a function of the
epoch and the row, so that nothing is kept from one batch to the next (`dataset.order`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_SHUFFLE_KEY = 71  # apart from whatever else is drawn from the seed


@dataclass(frozen=True)
class Sampling:
    """How often each class is seen in an epoch; the default: as often as it has photographs.

    Attributes:
        max_photos: at most so many photographs of a class are used, 0: all. Which, the seed
            decides; they stay the same in all epochs, as if the others did not exist.
        power: a class is seen in proportion to its number of photographs, capped, to this power:
            1 as often as it has photographs, 0 as often as each other class, 0.5 between (the
            square root sampling of Mahajan et al., "Exploring the limits of weakly supervised
            pretraining", 2018).

    Raises ValueError for a number out of range.

    """

    max_photos: int = 0
    power: float = 1.0

    def __post_init__(self) -> None:
        if self.max_photos < 0:
            raise ValueError(f"max_photos must be 0 (all) or more, not {self.max_photos}")
        if not 0 <= self.power <= 1:
            raise ValueError(f"power must be from 0 to 1, not {self.power}")

    @property
    def natural(self) -> bool:
        """Whether every photograph is seen once an epoch."""
        return not self.max_photos and self.power == 1


@dataclass(frozen=True)
class Rows:
    """The rows of an epoch, those of a class side by side.

    In each epoch a class goes on in its photographs where it stopped in the last, and starts again
    from the first after the last: all are used equally often, but for one time.

    Attributes:
        starts: int64 [C + 1], the rows before those of each class.
        firsts: int64 [C + 1], the photographs before those of each class in `photographs`.
        photographs: int32 (int64 where numbers are larger) [n], their numbers, by class and within
            a class by chance.

    """

    starts: np.ndarray
    firsts: np.ndarray
    photographs: np.ndarray

    def __len__(self) -> int:
        return int(self.starts[-1])

    def numbers(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """The numbers int64 [b] of the photographs that are rows int64 [b] of an epoch."""
        classes = np.searchsorted(self.starts, rows, side="right") - 1
        start, first = self.starts[classes], self.firsts[classes]
        times = self.starts[classes + 1] - start
        used = (epoch * times + rows - start) % (self.firsts[classes + 1] - first)
        return self.photographs[first + used].astype(np.int64)


def sampled_rows(class_ids: np.ndarray, sampling: Sampling, seed: int) -> Rows:
    """The rows of an epoch of photographs with these classes, int32 [n].

    As many, but for rounding, as there are photographs after the cap. For thirty million
    photographs it takes some seconds and keeps 120 MB.
    """
    counts = np.bincount(class_ids)
    kept = _capped(counts, sampling)
    order = _by_class(class_ids, seed)
    if kept.sum() < len(order):
        within = np.arange(len(order)) - np.repeat(_before(counts)[:-1], counts)
        order = order[within < np.repeat(kept, counts)]
    return Rows(_before(_times(kept, sampling)), _before(kept), order)


def used_photographs(class_ids: np.ndarray, sampling: Sampling, seed: int) -> np.ndarray:
    """The numbers int64 [k], ascending, of the photographs that are seen in some epoch."""
    if not sampling.max_photos:
        return np.arange(len(class_ids))
    return np.sort(sampled_rows(class_ids, sampling, seed).photographs).astype(np.int64)


def seen_counts(class_ids: np.ndarray, class_count: int, sampling: Sampling) -> np.ndarray:
    """How many rows of an epoch each class has: int64 [C]; for the priors of the classes."""
    counts = np.bincount(class_ids, minlength=class_count)
    return _times(_capped(counts, sampling), sampling)


def _capped(counts: np.ndarray, sampling: Sampling) -> np.ndarray:
    return np.minimum(counts, sampling.max_photos) if sampling.max_photos else counts


def _times(counts: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Rows of each class; at least one where there is a photograph, as long as power is up to 1.

    The smallest class has n of N photographs and N n^p / sum(n_i^p) rows, which is least, n, for
    p = 1.
    """
    weights = np.where(counts > 0, counts.astype(np.float64) ** sampling.power, 0)
    rows = counts.sum() * weights / max(weights.sum(), 1)
    # Just below one half up too: processors differ in the last bit, workers must not.
    return np.floor(rows + 0.5 + 1e-6).astype(np.int64)


def _by_class(class_ids: np.ndarray, seed: int) -> np.ndarray:
    """Photographs by class, within a class by chance: int32 or int64 [n].

    Sorts whole numbers made of the class, random bits and the number of the photograph: no two are
    alike, so that any sort gives the same, and the fastest does. NumPy promises that a generator's
    raw numbers stay the same in later releases; of its permutations it does not.
    """
    count = len(class_ids)
    class_bits = max(int(class_ids.max(initial=0)).bit_length(), 1)
    number = np.uint64((1 << count.bit_length()) - 1)  # its bits
    key = np.random.SeedSequence((seed, _SHUFFLE_KEY)).generate_state(2, np.uint64)
    keys = np.random.Philox(key=key).random_raw(count)
    keys >>= np.uint64(class_bits)
    keys &= ~number
    keys |= np.arange(count, dtype=np.uint64)
    keys |= class_ids.astype(np.uint64) << np.uint64(64 - class_bits)
    keys.sort()
    keys &= number
    return keys.astype(np.int32 if count <= np.iinfo(np.int32).max else np.int64)


def _before(counts: np.ndarray) -> np.ndarray:
    """Sums of what comes before each: int64 [C + 1]."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
