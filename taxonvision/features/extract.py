"""Every photograph goes through the frozen backbone once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.tflite import to_tflite
from taxonvision.photograph import Source
from taxonvision.progress import say
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.tflite import TFLiteModel

_CPU_BATCH, _KERAS_BATCH = 8, 128


class FeatureExtractor:
    """A frozen backbone, ready to run.

    On a CPU it runs as a LiteRT float32 graph in batches of 8, three to four times as fast as
    Keras; on a GPU by Keras.
    """

    def __init__(self, backbone: keras.Model, contract: Contract) -> None:
        self._contract = contract
        self._batch, self._run = _runner(backbone)

    def in_batches(self, sources: Sequence[Source]) -> Iterator[np.ndarray]:
        """The features of the photographs in batches float32 [b, D], in order.

        Raises UserError for a photograph that can no longer be read.
        """
        return map(self._run, self._contract.read_batches(sources, self._batch))


def _runner(backbone: keras.Model) -> tuple[int, Callable[[np.ndarray], np.ndarray]]:
    """Batch size, and pixels uint8 [n, S, S, 3] to features float32 [n, D]."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        try:
            return _CPU_BATCH, TFLiteModel(to_tflite(backbone, _CPU_BATCH), "the backbone").run
        except UserError as error:
            say(f"{error}; its features are extracted by Keras, which is slower")
    return _KERAS_BATCH, lambda batch: np.asarray(backbone.predict_on_batch(batch), np.float32)
