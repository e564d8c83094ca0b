"""One step of training and one of validation, the same on every strategy of `tf.distribute`.

Keras's own `fit` fails on several processes and leaves each with statistics of its own; here a
step is a function that runs on every replica, whose gradients the optimiser adds up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from taxonvision.dataset.order import part_of
from taxonvision.training.strategies import Placement

Loss = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""From targets float32 [b, C], logits float32 [b, C] and the network's inputs float32 [b, ...] to a
loss a photograph, float32 [b]."""


class Targets(Protocol):
    """What a batch's labels ask of the network."""

    def __call__(self, labels: Any, classes: int) -> tf.Tensor:
        """Targets float32 [b, C], rows that sum to 1, of the labels that a feed gives."""


def own_classes(labels: Any, classes: int) -> tf.Tensor:
    """Class ids int32 [b] as targets: each photograph is of its own class and no other."""
    return tf.one_hot(labels, classes)


class Mixer(Protocol):
    """What is done to a batch on the device before the network sees it."""

    def __call__(
        self, images: tf.Tensor, targets: tf.Tensor, step: tf.Tensor, replica: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Images float32 [b, S, S, 3], 0 to 255, and targets float32 [b, C], changed."""


@dataclass(frozen=True)
class Sums:
    """What photographs add up to; sums of sums are sums.

    Attributes:
        loss: of the losses.
        correct: of the photographs whose class has the highest score.
        count: of the photographs.
        stops: of the replicas whose process was told to stop.
    """

    loss: float = 0.0
    correct: float = 0.0
    count: float = 0.0
    stops: float = 0.0

    @classmethod
    def of(cls, tensor: tf.Tensor) -> Sums:
        """The sums in a tensor float32 [4]; waits until it has been computed."""
        return cls(*tensor.numpy().tolist())

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.loss + other.loss,
            self.correct + other.correct,
            self.count + other.count,
            self.stops + other.stops,
        )

    def __str__(self) -> str:
        return f"loss {self.mean_loss:.3f}, accuracy {self.accuracy:.1%}"

    @property
    def mean_loss(self) -> float:
        """The loss of a photograph."""
        return self.loss / max(self.count, 1)

    @property
    def accuracy(self) -> float:
        """The share of photographs whose class has the highest score."""
        return self.correct / max(self.count, 1)


class TrainingStep:
    """Changes the weights of a network by one batch.

    Args:
        placement: where it runs.
        network: from float32 [b, ...] to logits [b, C]; in the training mode of its layers.
        optimizer: built for the network's trainable variables.
        loss: of a photograph.
        mix: what is done to a batch first.
        batch_size: of all replicas together.
        targets: what labels become.
    """

    def __init__(
        self,
        placement: Placement,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Loss,
        mix: Mixer | None,
        batch_size: int,
        targets: Targets = own_classes,
    ) -> None:
        self._placement = placement
        strategy = placement.strategy
        classes, targets_of = network.outputs[0].shape[-1], targets
        variables = network.trainable_variables
        float16 = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)

        def replica_step(inputs: Any, labels: Any, step: Any, stop: Any) -> Any:
            inputs = tf.cast(inputs, tf.float32)
            targets = targets_of(labels, classes)
            if mix is not None:
                replica = tf.distribute.get_replica_context().replica_id_in_sync_group
                inputs, targets = mix(inputs, targets, step, tf.cast(replica, tf.int32))
            with tf.GradientTape() as tape:
                logits = tf.cast(network(inputs, training=True), tf.float32)
                losses = loss(targets, logits, inputs)
                # The optimiser adds the gradients of the replicas up.
                whole = tf.reduce_sum(losses) / batch_size
                scaled = optimizer.scale_loss(whole) if float16 else whole
            gradients = tape.gradient(scaled, variables)
            if float16:
                gradients = _finite_on_all_or_none(gradients)
            optimizer.apply(gradients, variables)
            hits = tf.argmax(logits, -1) == tf.argmax(targets, -1)
            return tf.stack(
                [
                    tf.reduce_sum(losses),
                    tf.reduce_sum(tf.cast(hits, tf.float32)),
                    tf.cast(tf.shape(inputs)[0], tf.float32),
                    stop,
                ]
            )

        @tf.function(autograph=False)  # translating what needs none takes seconds
        def run(inputs: Any, labels: Any, step: Any, stop: Any) -> Any:
            each = strategy.run(replica_step, args=(inputs, labels, step, stop))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

        self._run = run

    def __call__(self, inputs: Any, labels: Any, step: int, stop: bool) -> tf.Tensor:
        """Run it on this worker's part of a batch; `Sums.of` reads what comes back.

        Args:
            inputs: [b, ...], pixels uint8 or features float32.
            labels: what `targets` takes, class ids int32 [b] or a tuple with them.
            step: its number.
            stop: whether this process was told to stop; all workers learn of it.
        """
        inputs, labels = on_replicas(self._placement, inputs, labels)
        return self._run(inputs, labels, tf.constant(step, tf.int64), tf.constant(float(stop)))


class ValidationStep:
    """Tells how well a network names photographs."""

    def __init__(self, placement: Placement, network: keras.Model) -> None:
        self._placement = placement
        strategy = placement.strategy

        def replica_step(inputs: Any, labels: Any, weights: Any, stop: Any) -> Any:
            logits = network(tf.cast(inputs, tf.float32), training=False)
            logits = tf.cast(logits, tf.float32)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            hits = tf.cast(tf.argmax(logits, -1, labels.dtype) == labels, tf.float32)
            return tf.stack(
                [
                    tf.reduce_sum(losses * weights),
                    tf.reduce_sum(hits * weights),
                    tf.reduce_sum(weights),
                    stop,
                ]
            )

        @tf.function(autograph=False)
        def run(inputs: Any, labels: Any, weights: Any, stop: Any) -> Any:
            each = strategy.run(replica_step, args=(inputs, labels, weights, stop))
            return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

        self._run = run

    def __call__(self, inputs: Any, labels: Any, rows: int, stop: bool) -> Sums:
        """The sums over this worker's part of a batch and those of all others.

        Args:
            inputs: [b, ...], pixels uint8 or features float32, b up to `rows`.
            labels: class ids int32 [b].
            rows: they are filled up to so many, so that all batches have the same shape.
            stop: whether this process was told to stop; all workers learn of it.
        """
        missing = rows - len(labels)
        ones = tf.ones(len(labels))
        filled_up = (_filled_up(tensor, missing) for tensor in (inputs, labels, ones))
        shares = on_replicas(self._placement, *filled_up)
        return Sums.of(self._run(*shares, tf.constant(float(stop))))


def on_replicas(placement: Placement, *tensors: Any) -> tuple[Any, ...]:
    """This worker's part of a batch, shared out to its replicas by row; tuples keep their form."""
    replicas = placement.own_replicas
    if replicas == 1:
        return tensors

    def share(tensor: Any) -> Any:
        def of_replica(context: Any) -> Any:
            rows = part_of(len(tensor), context.replica_id_in_sync_group % replicas, replicas)
            return tensor[rows.start : rows.stop]

        return placement.strategy.experimental_distribute_values_from_function(of_replica)

    return tuple(tf.nest.map_structure(share, tensor) for tensor in tensors)


def from_all(placement: Placement, number: int) -> int:
    """The sum of the numbers that all workers call this with; waits for all of them."""
    if placement.workers == 1:
        return number
    total = _summing(placement.strategy)(tf.constant(number, tf.int64))
    return int(total) // placement.own_replicas


@functools.cache
def _summing(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function of a number int64 to its sum over all replicas, traced only once."""

    @tf.function(autograph=False)
    def summed(mine: Any) -> Any:
        # Each replica has its own: one tensor for all cannot be reduced.
        each = strategy.run(lambda: tf.identity(mine))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    return summed


def of_chief(placement: Placement, number: int) -> int:
    """The number that the chief calls this with, told to all workers; all must call it."""
    return from_all(placement, number if placement.chief else 0)


def _filled_up(tensor: Any, missing: int) -> Any:
    return tf.pad(tensor, [[0, missing], *[[0, 0]] * (len(tensor.shape) - 1)])


def _finite_on_all_or_none(gradients: list[Any]) -> list[Any]:
    """Where a gradient of any replica is not finite, make those of all so.

    The optimiser leaves such a step out. Were it left out on one replica alone, the others would
    wait for it.
    """
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])
    context = tf.distribute.get_replica_context()
    faulty = context.all_reduce(tf.distribute.ReduceOp.SUM, 1.0 - tf.cast(finite, tf.float32))
    return [tf.where(faulty > 0, float("nan"), gradient) for gradient in gradients]
