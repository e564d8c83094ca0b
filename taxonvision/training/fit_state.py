"""How a network is fitted, where the fitting is, and what came of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taxonvision.training.optimizers import OptimizerOptions
from taxonvision.training.stages import Stage
from taxonvision.training.step import Sums


@dataclass(frozen=True)
class FitOptions:
    """How a network is fitted.

    Attributes:
        stages: which layers are trained when.
        optimizer: begins anew in every stage.
        float16: scale the loss, for layers that compute in float16.
        checkpoint_steps: steps between two checkpoints; there is one at the end of each epoch too.
        early_stopping: stop when the validation loss has not fallen for so many epochs, and end
            with the weights of the best; 0: never.
    """

    stages: Sequence[Stage]
    optimizer: OptimizerOptions = field(default_factory=OptimizerOptions)
    float16: bool = False
    checkpoint_steps: int = 500
    early_stopping: int = 0

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)


@dataclass(frozen=True)
class Outcome:
    """What a run brought.

    Attributes:
        history: one mapping an epoch: epoch, trained, step, loss, accuracy, where there are
            validation photographs val_loss and val_accuracy, photographs_per_second.
        kept: that of the epoch whose weights were kept.
    """

    history: list[dict[str, Any]]
    kept: dict[str, Any]


@dataclass
class Progress:
    """Where training is: what a checkpoint holds beside the weights.

    Attributes:
        step: steps done.
        epoch: what the steps of the present epoch add up to.
        history: the epochs done.
        best_loss: the lowest validation loss.
        best_epoch: when it was, from 0 on; -1: not yet.
        between_stages: no stage's optimiser is in use.
        stopped: the validation loss has not fallen for long enough.
    """

    step: int = 0
    epoch: Sums = field(default_factory=Sums)
    history: list[dict[str, Any]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = -1
    between_stages: bool = False
    stopped: bool = False

    def as_json(self) -> dict[str, Any]:
        """The same as a JSON value."""
        return dataclasses.asdict(self)

    def take(self, state: Mapping[str, Any]) -> None:
        """Become what `as_json` was."""
        vars(self).update({**state, "epoch": Sums(**state["epoch"])})
