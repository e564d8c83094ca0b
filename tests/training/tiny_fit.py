"""A fit of a small network on twelve rows of features: seconds where photographs take minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.dataset.balance import Sampling  # noqa: E402
from taxonvision.training.feeds import FeatureFeed, Features  # noqa: E402
from taxonvision.training.fit_state import FitOptions, Outcome  # noqa: E402
from taxonvision.training.loop import Fit  # noqa: E402
from taxonvision.training.losses import Loss  # noqa: E402
from taxonvision.training.optimizers import OptimizerOptions  # noqa: E402
from taxonvision.training.signals import Notice  # noqa: E402
from taxonvision.training.stages import parse_stages, set_trainable  # noqa: E402
from taxonvision.training.strategies import place  # noqa: E402

STEPS = 3
"""In an epoch."""
CLASSES = 3


class Killed(BaseException):
    """The process ends here."""


class TinyFeed(FeatureFeed):
    """Features of three classes; `before` is called with the number of each step of the run."""

    def __init__(self, held_out: int = 5, seed: int = 0, power: float = 1.0) -> None:
        random = np.random.default_rng(0)
        labels = np.tile(np.arange(CLASSES, dtype=np.int32), 6)
        values = (np.eye(CLASSES, 4)[labels] + random.normal(0, 0.8, (18, 4))).astype(np.float32)
        train, others = Features(values[:12], labels[:12]), Features(values[12:], labels[12:])
        some = Features(others.values[:held_out], others.class_ids[:held_out])
        super().__init__(train, some, 4, Sampling(power=power), seed)
        self.before: Callable[[int], None] = lambda _: None

    def training(self, epoch: int, step: int, epochs: int) -> Iterator[tuple[Any, Any]]:
        batches = super().training(epoch, step, epochs)
        for number, batch in enumerate(batches, epoch * self.steps_per_epoch + step):
            self.before(number)
            yield batch


def tiny_network(seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """A backbone with normalisation and dropout, and the network of it and a head."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="relu")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    backbone = keras.Model(inputs, keras.layers.Dropout(0.2)(x))
    outer = keras.Input((4,))
    return backbone, keras.Model(outer, keras.layers.Dense(CLASSES)(backbone(outer)))


class TinyRun:
    """A run in a folder, as a process that starts there would make it.

    Args:
        folder: where checkpoints lie.
        train: the stages.
        epochs: of all.
        options: of `FitOptions`, and `optimizer`'s by `rate`, `name` and so on.
    """

    def __init__(
        self,
        folder: Path,
        train: str = "all",
        epochs: int = 4,
        feed: TinyFeed | None = None,
        optimizer: OptimizerOptions | None = None,
        network_seed: int = 0,
        **options: Any,
    ) -> None:
        self.feed = feed or TinyFeed()
        self.notice = Notice()
        self.notice.only_note()
        self.backbone, self.network = tiny_network(network_seed)
        self.fit = Fit(
            place("single"),
            self.network,
            lambda trained: set_trainable(self.backbone, trained, 0.5, frozen_batch_norm=False),
            Loss(),
            None,
            self.feed,
            FitOptions(
                stages=parse_stages(train, epochs),
                optimizer=optimizer or OptimizerOptions("sgd", 3.2),
                **{"checkpoint_steps": 2, **options},
            ),
            self.notice,
            folder,
        )

    def run(self) -> Outcome:
        return self.fit.run()

    @property
    def weights(self) -> list[np.ndarray]:
        return self.network.get_weights()


def same(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    """Whether all weights are equal to the last bit."""
    return all((a == b).all() for a, b in zip(first, second, strict=True))


def without_speed(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A history without what differs from run to run."""
    return [
        {name: value for name, value in row.items() if name != "photographs_per_second"}
        for row in history
    ]
