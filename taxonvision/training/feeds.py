"""Where batches come from: photographs, or what a frozen backbone said of them before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from taxonvision.catalog.examples import LabelledPhotos
from taxonvision.dataset.balance import Sampling, sampled_rows
from taxonvision.dataset.batches import Batches, evaluation_batches
from taxonvision.dataset.order import Order, part_of
from taxonvision.features.rows import Rows, moments
from taxonvision.runtime.contract import Contract
from taxonvision.training.strategies import Placement

_FEATURES_VALIDATED = 1024
"""Features are validated so many at a time."""


class Feed(Protocol):
    """This worker's part of each batch."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    @property
    def batch_size(self) -> int:
        """Photographs in a batch of all workers."""

    @property
    def validation_rows(self) -> int:
        """The most photographs in this worker's part of a batch for validation."""

    @property
    def validation_batches(self) -> int:
        """Batches for validation."""

    def training(self, epoch: int, step: int, epochs: int) -> Iterable[tuple[Any, Any]]:
        """Inputs [b, ...] and labels from a step of an epoch on: what `step.Targets` takes."""

    def validation(self) -> Iterable[tuple[Any, Any]]:
        """Inputs and class ids int32 [b] to validate with; nothing where there are none."""

    def naming_faults(self) -> AbstractContextManager[None]:
        """A photograph that cannot be read in the block raises UserError that names it."""


class PhotographFeed:
    """Photographs uint8 [b, S, S, 3], RGB 0–255."""

    def __init__(
        self, batches: Batches, held_out: LabelledPhotos, contract: Contract, placement: Placement
    ) -> None:
        self._batches, self._held_out, self._contract = batches, held_out, contract
        self._share = {"worker": placement.worker, "workers": placement.workers}
        self.steps_per_epoch = batches.order.steps_per_epoch
        self.batch_size = batches.order.batch
        self.validation_rows = len(part_of(self.batch_size, **self._share))
        self.validation_batches = -(-len(held_out) // self.batch_size)

    def training(self, epoch: int, step: int, epochs: int) -> Iterable[tuple[Any, Any]]:
        """Augmented photographs and the labels that `batches` gives them."""
        return self._batches.dataset(epoch=epoch, step=step, epochs=epochs, **self._share)

    def validation(self) -> Iterable[tuple[Any, Any]]:
        """Photographs to validate with, as the contract wants them."""
        if not len(self._held_out):
            return ()
        return evaluation_batches(self._held_out, self._contract, self.batch_size, **self._share)

    def naming_faults(self) -> AbstractContextManager[None]:
        """A photograph that cannot be read in the block raises UserError that names it."""
        return self._batches.naming_faults()


@dataclass(frozen=True)
class Features:
    """What a frozen backbone says of photographs.

    Attributes:
        values: of n photographs.
        class_ids: int32 [n].
        views: of further, augmented looks at the same photographs.
        teacher: what a teacher's backbone says of the same looks, the plain one first; or nothing.
    """

    values: Rows
    class_ids: np.ndarray
    views: tuple[Rows, ...] = ()
    teacher: tuple[Rows, ...] = ()

    def __len__(self) -> int:
        return len(self.class_ids)


class FeatureFeed:
    """Features float32 [b, D] of a single worker, as they are."""

    def __init__(
        self, train: Features, held_out: Features, batch_size: int, sampling: Sampling, seed: int
    ) -> None:
        self._train, self._held_out = train, held_out
        self._rows = sampled_rows(train.class_ids, sampling, seed)
        self._order = Order(len(self._rows), batch_size, seed)
        self.steps_per_epoch = self._order.steps_per_epoch
        self.batch_size = self._order.batch
        self.validation_rows = min(_FEATURES_VALIDATED, len(held_out))
        self.validation_batches = -(-len(held_out) // _FEATURES_VALIDATED)
        self.mean, self.deviation = moments(train.values)

    def training(self, epoch: int, step: int, epochs: int) -> Iterator[tuple[Any, Any]]:
        """Features and their class ids int32 [b], the latter with the teacher's features if any."""
        size, train = self._order.batch, self._train
        for number in range(step, epochs * self.steps_per_epoch):
            later, of_step = divmod(number, self.steps_per_epoch)
            of_epoch = epoch + later
            positions = tf.range(of_step * size, (of_step + 1) * size, dtype=tf.int64)
            rows = self._order.numbers(tf.constant(of_epoch, tf.int64), positions).numpy()
            numbers = self._rows.numbers(of_epoch, rows)
            labels: Any = tf.constant(train.class_ids[numbers])
            if train.teacher:
                labels = labels, _seen(train.teacher, of_epoch, numbers)
            yield _seen((train.values, *train.views), of_epoch, numbers), labels

    def validation(self) -> Iterator[tuple[Any, Any]]:
        """The features to validate with."""
        for first in range(0, len(self._held_out), _FEATURES_VALIDATED):
            rows = slice(first, first + _FEATURES_VALIDATED)
            labels = self._held_out.class_ids[rows]
            yield tf.constant(self._held_out.values[rows]), tf.constant(labels)

    def naming_faults(self) -> AbstractContextManager[None]:
        """Features were read before."""
        return nullcontext()


def _seen(looks: tuple[Rows, ...], epoch: int, numbers: np.ndarray) -> tf.Tensor:
    """The features of photographs in an epoch: each goes through its views in turn."""
    if len(looks) == 1:
        return tf.constant(looks[0][numbers])
    turn = (epoch + numbers) % len(looks)
    seen = np.empty((len(numbers), looks[0][:0].shape[1]), np.float32)
    for view, values in enumerate(looks):
        at = np.flatnonzero(turn == view)
        seen[at] = values[numbers[at]]
    return tf.constant(seen)
