"""In which order photographs are trained on: a function of the seed, the epoch and the position.

Nothing is kept from one batch to the next, so that a run goes on at any step at once, and any
number of workers share a batch without speaking to each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Order:
    """The batches of an epoch.

    Every epoch has the same number of batches, all of the same size. The photographs left over,
    fewer than a batch, are left out; in a shuffled order they are others each epoch. Where there
    are fewer photographs than a batch should hold, they are one batch.

    Attributes:
        photographs: their number n, at least 1.
        batch_size: photographs in a batch of all workers together.
        seed: decides the order.
        shuffle: off: by number.

    Raises ValueError for a number out of range.

    """

    photographs: int
    batch_size: int
    seed: int = 0
    shuffle: bool = True

    def __post_init__(self) -> None:
        if self.photographs < 1:
            raise ValueError("there is no photograph")
        if self.batch_size < 1:
            raise ValueError(f"a batch needs at least one photograph, not {self.batch_size}")
        if not 0 <= self.seed <= _LARGEST_SEED:
            raise ValueError(f"seed must be from 0 to {_LARGEST_SEED}, not {self.seed}")

    @property
    def batch(self) -> int:
        """Photographs in each batch."""
        return min(self.batch_size, self.photographs)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in each epoch."""
        return self.photographs // self.batch

    def part(self, worker: int, workers: int) -> range:
        """Which of a batch's rows a worker reads; the parts of all follow each other.

        Raises ValueError for a worker that is none of them or gets no row.
        """
        if not 0 <= worker < workers:
            raise ValueError(f"worker must be from 0 to {workers - 1}, not {worker}")
        rows = part_of(self.batch, worker, workers)
        if not rows:
            raise ValueError(f"{workers} workers cannot share a batch of {self.batch} photographs")
        return rows

    def numbers(self, epoch: Any, positions: Any) -> Any:
        """The photographs int64 [b] at these positions int64 [b] of an epoch's order, tensors.

        The order is a permutation by a block cipher, of which any position is computed alone
        (`tf.random.experimental.index_shuffle`).
        """
        import tensorflow as tf

        if not self.shuffle or self.photographs == 1:
            return positions
        seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        last = tf.constant(self.photographs - 1, tf.int64)
        return tf.random.experimental.index_shuffle(positions, seed, last)


def part_of(rows: int, worker: int, workers: int) -> range:
    """The share of a worker, from 0 on, in so many rows; shares differ by one row at most."""
    return range(rows * worker // workers, rows * (worker + 1) // workers)
