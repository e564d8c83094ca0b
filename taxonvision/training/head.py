"""A head fitted on the features of a frozen backbone: softmax regression by AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from taxonvision.errors import UserError
from taxonvision.progress import track

_MIN_DEVIATION = 0.1
"""Features that hardly vary are not blown up when they are standardised: their weights would
grow so large that quantising the head to few bits loses the others."""


@dataclass(frozen=True)
class HeadOptions:
    """How the head is fitted."""

    epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 4e-3
    seed: int = 0


@dataclass(frozen=True)
class Head:
    """Weights of the last layer and how they came about.

    Attributes:
        kernel: float32 [D, C].
        bias: float32 [C].
        history: one mapping an epoch: loss, accuracy, and val_loss, val_accuracy where there are
            validation photographs.
    """

    kernel: np.ndarray
    bias: np.ndarray
    history: list[Mapping[str, float]]


def fit_head(
    features: np.ndarray,
    labels: np.ndarray,
    class_count: int,
    options: HeadOptions,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
) -> Head:
    """Fit softmax regression to features float32 [n, D] with labels int32 [n].

    The features are standardised for the optimiser and the standardisation is folded into the
    weights that come back. Deterministic by seed on a CPU.
    """
    keras.utils.set_random_seed(options.seed)
    mean = features.mean(axis=0)
    deviation = np.maximum(features.std(axis=0), _MIN_DEVIATION)
    model = keras.Sequential(
        [
            keras.Input((features.shape[1],)),
            keras.layers.Dense(class_count, kernel_initializer="zeros"),
        ]
    )
    steps = options.epochs * -(-len(labels) // options.batch_size)
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(options.learning_rate, steps),
            weight_decay=options.weight_decay,
        ),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = _batches(features, labels, mean, deviation, options.batch_size, options.seed)
    held_out = validation and _batches(*validation, mean, deviation, batch_size=1024)
    history: list[Mapping[str, float]] = []
    for epoch in track(range(options.epochs), options.epochs, "fitting the head", unit="epochs"):
        log = model.fit(
            data,
            validation_data=held_out,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,  # the data set shuffles itself, by seed
            verbose=0,
        ).history
        history.append({"epoch": epoch + 1, **{name: values[-1] for name, values in log.items()}})
    kernel, bias = model.get_weights()
    if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
        raise UserError(
            f"the head diverged to numbers that are not finite; "
            f"lower --learning_rate (now {options.learning_rate:g})"
        )
    return Head(kernel / deviation[:, None], bias - (mean / deviation) @ kernel, history)


def _batches(
    features: np.ndarray,
    labels: np.ndarray,
    mean: np.ndarray,
    deviation: np.ndarray,
    batch_size: int,
    shuffle_seed: int | None = None,
) -> Any:
    """Standardised features and labels as a `tf.data.Dataset`, shuffled anew each epoch by seed."""
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(((features - mean) / deviation, labels))
    if shuffle_seed is not None:
        data = data.shuffle(len(labels), seed=shuffle_seed)
    return data.batch(batch_size)
