"""Optimisers by name, with warm-up and a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import keras

OPTIMIZERS = ("adamw", "sgd")
_BATCH_OF_RATE = 256
"""The learning rate is given for so many photographs a step."""
_LARGEST_WARMUP = 0.1


@dataclass(frozen=True)
class OptimizerOptions:
    """How weights are changed.

    Attributes:
        name: one of `OPTIMIZERS`; sgd has Nesterov's momentum of 0.9.
        learning_rate: the highest, for 256 photographs a step.
        weight_decay: decoupled from the gradient (Loshchilov and Hutter, 2019); not applied to
            biases and to the scales of normalisation.
        warmup: part of the steps in which the rate rises, at most 0.1.
        ema: momentum of the moving average of the weights that the model ends with; 0: the
            weights themselves.

    Raises ValueError for a number out of range.
    """

    name: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.05
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in OPTIMIZERS:
            raise ValueError(f"the optimizer is none of {', '.join(OPTIMIZERS)}: {self.name!r}")
        for name in ("learning_rate", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a number from 0 on, not {getattr(self, name)}")
        if not 0 <= self.warmup <= _LARGEST_WARMUP:
            raise ValueError(f"warmup must be from 0 to {_LARGEST_WARMUP}, not {self.warmup}")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema must be at least 0 and below 1, not {self.ema}")


def scaled_rate(options: OptimizerOptions, batch_size: int) -> float:
    """The highest learning rate for a global batch.

    In proportion to the batch for sgd (Goyal et al., "Accurate, large minibatch SGD", 2017), to
    its square root for adamw (Malladi et al., "On the SDEs and scaling rules for adaptive gradient
    algorithms", 2022).
    """
    ratio = batch_size / _BATCH_OF_RATE
    return options.learning_rate * (ratio if options.name == "sgd" else math.sqrt(ratio))


def make_schedule(
    options: OptimizerOptions, batch_size: int, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by step: it rises, then falls along a cosine to zero within `steps`."""
    warmup_steps = int(options.warmup * steps)
    rate = scaled_rate(options, batch_size)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else rate,
        decay_steps=max(1, steps - warmup_steps),
        warmup_target=rate if warmup_steps else None,
        warmup_steps=warmup_steps,
    )


def make_optimizer(
    options: OptimizerOptions,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    *,
    float16: bool = False,
) -> keras.optimizers.Optimizer:
    """An optimiser with a learning rate by step.

    With `float16` it scales the loss so that small gradients do not vanish.
    """
    average = {"use_ema": True, "ema_momentum": options.ema} if options.ema else {}
    optimizer: keras.optimizers.Optimizer
    if options.name == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule,
            momentum=0.9,
            nesterov=True,
            weight_decay=options.weight_decay,
            **average,
        )
    else:
        optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay, **average)
    optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
    return keras.optimizers.LossScaleOptimizer(optimizer) if float16 else optimizer
