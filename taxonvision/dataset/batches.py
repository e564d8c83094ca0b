"""Stored photographs become batches: `tf.data` that goes on at any step at once.

Which photographs a batch holds and what chance does to each is a function of the seed, the epoch
and the position in the epoch, whatever the number of workers, threads or restarts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from taxonvision.catalog.examples import LabelledPhotos
from taxonvision.dataset.augment import CHANCES, Augmentation, augmented, centred, chances
from taxonvision.dataset.balance import Sampling, sampled_rows
from taxonvision.dataset.order import Order, part_of
from taxonvision.dataset.read_jpegs import JpegReader
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.errors import UserError
from taxonvision.runtime.contract import Contract

_BATCHES_READ_AHEAD = 4  # at a time; storage answers many requests sooner than one after another
_BATCHES_READY = 2
_SENTENCE = re.compile(r"UserError: (.+?)\nTraceback \(most recent call last\)", re.DOTALL)


@dataclass(frozen=True)
class BatchOptions:
    """What training is given.

    Attributes:
        size: side of the photographs in pixels.
        batch_size: photographs in a batch, of all workers together.
        seed: decides the order and all else that is left to chance.
        shuffle: off: always in the same order.
        sampling: how often each class is seen in an epoch.
        augmentation: what chance does to each photograph; None: nothing, each is what the contract
            makes of it.
        crop_ratio: which part of the centre square is kept where `augmentation` is None.

    """

    size: int
    batch_size: int = 128
    seed: int = 0
    shuffle: bool = True
    sampling: Sampling = field(default_factory=Sampling)
    augmentation: Augmentation | None = field(default_factory=Augmentation)
    crop_ratio: float = 1.0


class Beside(Protocol):
    """What is known of n photographs beside their pixels."""

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """That of some rows, a slice or whole numbers int64 [b]: float32 [b, D]."""


class Batches:
    """Batches to train on.

    `order` tells how many an epoch has, and what becomes of photographs that fill no batch.
    """

    def __init__(
        self, photos: StoredPhotos, options: BatchOptions, beside: Beside | None = None
    ) -> None:
        """Batches of photographs, and of what stands `beside` each of them, if anything.

        ValueError where there is no photograph or an option is out of range.
        """
        Contract(options.size, options.crop_ratio)  # checks both
        self.options, self._beside = options, beside
        self._rows = None
        if not options.sampling.natural:
            self._rows = sampled_rows(photos.class_ids, options.sampling, options.seed)
        count = len(photos if self._rows is None else self._rows)
        self.order = Order(count, options.batch_size, options.seed, options.shuffle)
        self._reader = JpegReader(photos)

    def dataset(
        self,
        *,
        epoch: int = 0,
        step: int = 0,
        epochs: int = 1,
        worker: int = 0,
        workers: int = 1,
        threads: int | None = None,
    ) -> Any:
        """The batches from `step` of `epoch` on, to the end of so many epochs.

        A `tf.data.Dataset` of (uint8 [b, size, size, 3], RGB 0–255; int32 [b], class ids), where
        b is the worker's part of a batch: the parts of all workers, one after another, are the
        batch that a single worker gets, bit for bit. It shards itself; TensorFlow is told not to.
        Where something stands beside the photographs, the class ids come in a tuple with that,
        float32 [b, D].

        Args:
            epoch: the first epoch, from 0 on.
            step: the first batch in it, from 0 on.
            epochs: how many epochs, what is left of the first counted as one.
            worker: which worker this is, from 0 on.
            workers: how many there are.
            threads: how many decode; None: as many as serve, on all cores.

        Iterate within `naming_faults`.
        """
        import tensorflow as tf

        order, options, labels = self.order, self.options, self._reader.photos.class_ids
        beside = self._beside
        rows = order.part(worker, workers)
        # Translating functions that need no translation takes a second.
        as_it_is = tf.autograph.experimental.do_not_convert

        def read(epoch: np.ndarray, first: np.ndarray, numbers: np.ndarray) -> tuple[Any, ...]:
            chance = chances(options.seed, int(epoch), int(first), len(numbers))
            if self._rows is not None:
                numbers = self._rows.numbers(int(epoch), numbers)
            others = () if beside is None else (beside[numbers],)
            return self._reader.read(numbers), labels[numbers], chance, *others

        @as_it_is
        def plan(step: Any) -> tuple[Any, ...]:
            epoch, first = step // order.steps_per_epoch, step % order.steps_per_epoch * order.batch
            positions = first + tf.range(rows.start, rows.stop, dtype=tf.int64)
            numbers = order.numbers(epoch, positions)
            kinds, shapes = [tf.string, tf.int32, tf.int64], [(), (), (CHANCES,)]
            if beside is not None:
                kinds, shapes = [*kinds, tf.float32], [*shapes, beside[:0].shape[1:]]
            planned = tf.numpy_function(read, (epoch, positions[0], numbers), kinds, stateful=False)
            for tensor, shape in zip(planned, shapes, strict=True):
                tensor.set_shape([len(rows), *shape])
            return tuple(planned)

        @as_it_is
        def decode(jpeg: Any, label: Any, chance: Any, *others: Any) -> tuple[Any, Any]:
            label = (label, *others) if others else label
            if options.augmentation is None:
                return centred(jpeg, options.size, options.crop_ratio), label
            return augmented(jpeg, chance, options.size, options.augmentation), label

        start, stop = (e * order.steps_per_epoch for e in (epoch, epoch + epochs))
        data = tf.data.Dataset.range(start + step, stop)
        data = data.map(plan, num_parallel_calls=_BATCHES_READ_AHEAD, deterministic=True).unbatch()
        data = data.map(decode, num_parallel_calls=threads or tf.data.AUTOTUNE, deterministic=True)
        data = data.batch(len(rows), drop_remainder=True).prefetch(_BATCHES_READY)
        return data.with_options(_options(threads))

    @contextmanager
    def naming_faults(self) -> Iterator[None]:
        """A photograph that cannot be read or decoded in the block raises UserError that names it.

        TensorFlow itself raises one of its own errors, of a decoder without saying where.
        """
        import tensorflow as tf

        try:
            with naming_faults():
                yield
        except tf.errors.InvalidArgumentError:
            fault = self._reader.damaged(lambda jpeg: tf.io.decode_jpeg(jpeg, channels=3).numpy())
            if fault is None:
                raise
            raise fault from None


def evaluation_batches(
    photos: LabelledPhotos,
    contract: Contract,
    batch_size: int,
    *,
    worker: int = 0,
    workers: int = 1,
) -> Any:
    """All photographs in their order, as the contract wants them, none left out.

    A `tf.data.Dataset` of (uint8 [b, S, S, 3], int32 [b]), where b is the worker's part of
    `batch_size`. The last batch holds what is left: it is smaller, and for some workers may have no
    row; every worker has as many batches. Iterate within `naming_faults`.
    """
    import tensorflow as tf

    count, labels, sources = len(photos), photos.class_ids, photos.sources
    parts = [
        [first + row for row in part_of(min(batch_size, count - first), worker, workers)]
        for first in range(0, count, batch_size)
    ]
    mine = [number for part in parts for number in part]

    def read() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        pixels = contract.read_batches(
            [sources[number] for number in mine], len(part_of(batch_size, worker, workers))
        )
        nothing = np.empty((0, contract.size, contract.size, 3), np.uint8)
        for part in parts:
            yield next(pixels) if part else nothing, labels[part]

    shape = (None, contract.size, contract.size, 3)
    signature = (tf.TensorSpec(shape, tf.uint8), tf.TensorSpec((None,), tf.int32))
    data = tf.data.Dataset.from_generator(read, output_signature=signature)
    return data.prefetch(_BATCHES_READY).with_options(_options())


@contextmanager
def naming_faults() -> Iterator[None]:
    """A UserError that was raised while batches were read comes out of the block as itself.

    TensorFlow hands on what is raised in its threads as an error of its own, with the text.
    """
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as error:
        sentence = _SENTENCE.search(str(error))
        if sentence is None:
            raise
        raise UserError(sentence[1]) from None


def _options(threads: int | None = None) -> Any:
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    if threads is not None:
        options.threading.private_threadpool_size = threads
    return options
