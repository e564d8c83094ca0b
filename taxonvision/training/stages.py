"""Which layers are trained when: the head alone, the top of the backbone, or all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import keras

from taxonvision.errors import UserError
from taxonvision.training.batch_norm import batch_normalisations

TRAINED = ("head", "top_blocks", "all")
"""What a stage can train, from the fewest layers to all."""


@dataclass(frozen=True)
class Stage:
    """A part of a training run that trains the same layers.

    Attributes:
        trained: one of `TRAINED`.
        first_epoch: from 0 on.
        epochs: at least 1.
    """

    trained: str
    first_epoch: int
    epochs: int

    @property
    def end(self) -> int:
        """The first epoch after it."""
        return self.first_epoch + self.epochs


def parse_stages(text: str, epochs: int) -> list[Stage]:
    """Read `all` or, for staged unfreezing, `head:2,top_blocks:3,all`: names with their epochs.

    The last may leave its number out: it gets what remains of `epochs`. Raises UserError for
    anything else.
    """
    stages: list[Stage] = []
    done = 0
    words = text.split(",")
    for position, word in enumerate(words):
        name, colon, number = word.strip().partition(":")
        if name not in TRAINED:
            raise UserError(f"--train={text}: {name!r} is none of {', '.join(TRAINED)}")
        if colon and not (number.isdecimal() and int(number)):
            raise UserError(f"--train={text}: {number!r} is no number of epochs")
        if not colon and position + 1 < len(words):
            raise UserError(f"--train={text}: say how many epochs {name} lasts, as in {name}:2")
        count = int(number) if colon else epochs - done
        if count < 1 or done + count > epochs:
            raise UserError(f"--train={text} needs more epochs than --epochs={epochs}")
        stages.append(Stage(name, done, count))
        done += count
    if done != epochs:
        raise UserError(f"--train={text} has {done} epochs and --epochs={epochs}; make them equal")
    return stages


def set_trainable(
    backbone: keras.Model, trained: str, top_share: float, *, frozen_batch_norm: bool
) -> None:
    """Freeze the layers of the backbone that are not trained.

    Frozen batch normalisation uses its stored statistics and leaves them as they are.

    Args:
        backbone: the network below the head.
        trained: one of `TRAINED`.
        top_share: for `top_blocks`, which share of the layers that have weights is trained,
            counted from the top.
        frozen_batch_norm: leave all batch normalisation as it is.
    """
    layers = list(_with_weights(backbone))
    kept = {"head": 0, "top_blocks": max(1, round(top_share * len(layers))), "all": len(layers)}
    backbone.trainable = True
    for number, layer in enumerate(reversed(layers)):
        layer.trainable = False  # Keras hands a value on to a layer's parts only if it is a new one
        layer.trainable = number < kept[trained]
    if frozen_batch_norm:  # also within layers of several parts
        for layer in batch_normalisations(backbone):
            layer.trainable = False


def _with_weights(layer: keras.Layer) -> Iterator[keras.Layer]:
    """The innermost layers that hold weights, in the order of the network."""
    inner = getattr(layer, "layers", None)
    if inner:
        for each in inner:
            yield from _with_weights(each)
    elif layer.weights:
        yield layer
