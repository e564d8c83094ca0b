"""Every photograph goes through the frozen backbone once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.tflite import to_tflite
from taxonvision.progress import say
from taxonvision.runtime.tflite import TFLiteModel

if TYPE_CHECKING:
    import keras

_CPU_BATCH, _KERAS_BATCH = 8, 128
"""Photographs at a time on a CPU, and on each other device."""
_Run = Callable[[np.ndarray], np.ndarray]


class FeatureExtractor:
    """A frozen backbone, ready to run.

    On a CPU it runs as a LiteRT float32 graph in batches of 8, three to four times as fast as
    Keras; on GPUs and TPUs by Keras, on all that the strategy has in this process.

    Attributes:
        batch: photographs that are best given at a time.

    """

    def __init__(self, backbone: keras.Model, strategy: Any = None) -> None:
        """Prepare to run it; converting it for LiteRT takes seconds.

        Args:
            backbone: `for_strategy` of it.
            strategy: of `tf.distribute`; None for a single device.

        """
        self.batch, self._run = (
            _on_replicas(backbone, strategy) if _accelerated(strategy) else _on_cpu(backbone)
        )

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels uint8 [n, S, S, 3] to features float32 [n, D]; n is at most `batch`.

        No other process takes part, however many the strategy has.
        """
        return self._run(pixels)


def for_strategy(backbone: keras.Model, strategy: Any) -> keras.Model:
    """The backbone, or a copy in the scope of the strategy where it runs on several devices.

    All workers must call it at the same time.
    """
    if strategy is None or strategy.num_replicas_in_sync == 1 or not _accelerated(strategy):
        return backbone
    import keras

    with strategy.scope():
        copy = keras.models.clone_model(backbone)
        copy.set_weights(backbone.get_weights())
    return copy


def _accelerated(strategy: Any) -> bool:
    import tensorflow as tf

    on_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    return on_tpu or bool(tf.config.list_physical_devices("GPU"))


def _on_cpu(backbone: keras.Model) -> tuple[int, _Run]:
    try:
        return _CPU_BATCH, TFLiteModel(to_tflite(backbone, _CPU_BATCH), "the backbone").run
    except UserError as error:
        say(f"{error}; its features are extracted by Keras, which is slower")
    return _on_replicas(backbone, None)


def _on_replicas(backbone: keras.Model, strategy: Any) -> tuple[int, _Run]:
    """Run it by Keras on all replicas of this process, which share each batch equally."""
    import tensorflow as tf

    strategy = strategy or tf.distribute.get_strategy()
    replicas = _own_replicas(strategy)
    whole = (replicas * _KERAS_BATCH, *backbone.inputs[0].shape[1:])

    def replica(pixels: Any) -> Any:
        return tf.cast(backbone(tf.cast(pixels, tf.float32), training=False), tf.float32)

    @tf.function(autograph=False)  # translating what needs none takes seconds
    def on_all(pixels: Any) -> Any:
        return strategy.run(replica, args=(pixels,))

    def run(pixels: np.ndarray) -> np.ndarray:
        filled_up = np.zeros(whole, pixels.dtype)  # one shape: another would be compiled anew
        filled_up[: len(pixels)] = pixels

        def of_replica(context: Any) -> Any:
            start = context.replica_id_in_sync_group % replicas * _KERAS_BATCH
            return tf.constant(filled_up[start : start + _KERAS_BATCH])

        # Nothing is reduced: processes may have different numbers of batches.
        shares: Any = tf.constant(filled_up)
        if strategy.num_replicas_in_sync > 1:
            shares = strategy.experimental_distribute_values_from_function(of_replica)
        parts = strategy.experimental_local_results(on_all(shares))
        return np.concatenate([part.numpy() for part in parts])[: len(pixels)]

    return replicas * _KERAS_BATCH, run


def _own_replicas(strategy: Any) -> int:
    """Replicas of a strategy that run in this process."""
    import tensorflow as tf

    if strategy.num_replicas_in_sync == 1:
        return 1
    own: list[int] = []

    def note(context: Any) -> Any:
        own.append(context.replica_id_in_sync_group)
        return tf.constant(0)

    strategy.experimental_distribute_values_from_function(note)
    return len(own)
