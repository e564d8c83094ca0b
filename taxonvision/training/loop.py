"""Training from the first step to the last, whatever happens to the process in between."""

from __future__ import annotations

import dataclasses
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from taxonvision.errors import RequeueError, UserError
from taxonvision.progress import say, track
from taxonvision.training.checkpoints import Checkpoints, read_values, write_values
from taxonvision.training.feeds import Feed
from taxonvision.training.journal import Journal
from taxonvision.training.optimizers import OptimizerOptions, make_optimizer
from taxonvision.training.signals import Notice
from taxonvision.training.stages import Stage
from taxonvision.training.step import Loss, Mixer, Sums, TrainingStep, ValidationStep, of_chief
from taxonvision.training.strategies import Placement

_UNREAD = 1
"""Steps whose results are not waited for, so that a device always has the next one at hand."""


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
class _Progress:
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
        return dataclasses.asdict(self)

    def take(self, state: Mapping[str, Any]) -> None:
        """Become what `as_json` was."""
        vars(self).update({**state, "epoch": Sums(**state["epoch"])})


class Fit:
    """One training run; `run` goes on from its newest checkpoint.

    Args:
        placement: where it runs; the network's variables were made in its scope.
        network: from inputs to logits [b, C].
        freeze: makes the layers of the network trainable that a stage trains.
        loss: of a photograph.
        mix: what is done to a batch on the device.
        feed: where batches come from.
        options: how it is fitted.
        notice: tells that the process must end soon.
        folder: for checkpoints, the history and logs; all workers see it, the chief writes.
    """

    def __init__(
        self,
        placement: Placement,
        network: keras.Model,
        freeze: Callable[[str], None],
        loss: Loss,
        mix: Mixer | None,
        feed: Feed,
        options: FitOptions,
        notice: Notice,
        folder: Path,
    ) -> None:
        self._placement, self._network, self._freeze = placement, network, freeze
        self._loss, self._mix, self._feed, self._options = loss, mix, feed, options
        self._notice = notice
        self._variables = list(network.variables)
        self._checkpoints = Checkpoints(folder / "checkpoints")
        self._best = folder / "checkpoints" / "best.npz"
        self._journal = Journal(folder, writes=placement.chief)
        self._validate = ValidationStep(placement, network)
        self._progress = _Progress()
        self._total = options.epochs * feed.steps_per_epoch

    def run(self) -> Outcome:
        """Train to the end; the network then has the weights to keep.

        Raises:
            RequeueError: told to stop; the same command goes on.
            UserError: the loss is no longer finite, a photograph cannot be read, or a checkpoint
                cannot be written. The last checkpoint is kept in either case.
        """
        progress = self._progress
        try:
            self._find_place()
            for stage in self._options.stages:
                if not progress.stopped and progress.step < self._end(stage):
                    self._train(stage)
            kept = self._take_best()
        finally:
            self._journal.close()
        return Outcome(progress.history, progress.history[kept])

    def _find_place(self) -> None:
        """Go to the newest checkpoint; a stage that it lies in fetches its weights from there."""
        newest = self._checkpoints.newest() if self._placement.chief else None
        step = of_chief(self._placement, -1 if newest is None else newest)
        if step < 0:
            return
        self._progress.take(self._checkpoints.state(step))
        if self._progress.between_stages:
            self._checkpoints.restore(step, self._variables)
        if self._placement.chief:
            say(f"going on from step {step} of {self._total}")

    def _train(self, stage: Stage) -> None:
        """Train what a stage trains, from where the run is in it to the stage's end."""
        feed, progress = self._feed, self._progress
        self._freeze(stage.trained)
        with self._placement.strategy.scope():
            optimizer = make_optimizer(
                self._options.optimizer,
                feed.batch_size,
                stage.epochs * feed.steps_per_epoch,
                float16=self._options.float16,
            )
            optimizer.build(self._network.trainable_variables)
        variables = [*self._variables, *optimizer.variables]
        if progress.step and not progress.between_stages:
            self._checkpoints.restore(progress.step, variables)
        progress.between_stages = False
        step = TrainingStep(
            self._placement, self._network, optimizer, self._loss, self._mix, feed.batch_size
        )
        epoch = len(progress.history)
        first = progress.step - epoch * feed.steps_per_epoch
        last = stage.first_epoch + stage.epochs
        with feed.naming_faults():
            batches = iter(feed.training(epoch, first, last - epoch))
            while epoch < last and not progress.stopped:
                start, before = time.monotonic(), progress.step
                self._epoch(step, optimizer, variables, batches, epoch)
                photographs = (progress.step - before) * feed.batch_size
                speed = photographs / (time.monotonic() - start)
                with self._averaged(optimizer):
                    validation = self._validation()
                    if validation is not None:
                        self._close_epoch(stage, epoch, validation, speed)
                if validation is None:
                    self._leave(variables)
                epoch += 1
                if epoch < last and not progress.stopped:
                    self._checkpoint(variables)
        if self._options.optimizer.ema:
            optimizer.finalize_variable_values(self._network.trainable_variables)
        progress.between_stages = True
        self._checkpoint(self._variables)

    def _epoch(
        self,
        step: TrainingStep,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
        batches: Iterator[tuple[Any, Any]],
        epoch: int,
    ) -> None:
        """Train what is left of an epoch."""
        progress, batch = self._progress, self._feed.batch_size
        steps = (epoch + 1) * self._feed.steps_per_epoch - progress.step
        unread: deque[tf.Tensor] = deque()
        stop = False

        def read_all_but(kept: int) -> None:
            nonlocal stop
            while len(unread) > kept:
                number = progress.step - len(unread)
                sums = Sums.of(unread.popleft())
                if not math.isfinite(sums.loss):
                    raise UserError(
                        f"the loss is {sums.loss} at step {number}; the last checkpoint is kept "
                        f"in {self._checkpoints.folder}: try a lower --learning_rate"
                    )
                progress.epoch += sums
                stop = stop or sums.stops > 0
                self._journal.step(number, sums, optimizer)

        numbers: Iterable[int] = range(steps)
        if self._placement.chief:
            numbers = track(
                numbers,
                steps * batch,
                f"epoch {epoch + 1} of {self._options.epochs}",
                size=lambda _: batch,
                note=lambda: f"loss {progress.epoch.mean_loss:.3f}" if progress.epoch.count else "",
                closing=False,
            )
        for _ in numbers:
            unread.append(step(*next(batches), progress.step, self._notice.given))
            progress.step += 1
            read_all_but(_UNREAD)
            due = progress.step % self._options.checkpoint_steps == 0
            if stop or due:
                read_all_but(0)
            if stop:
                self._leave(variables)
            if due:
                self._checkpoint(variables)
        read_all_but(0)

    @contextmanager
    def _averaged(self, optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
        """Within the block the network has the averaged weights, if they are averaged."""
        trained = self._network.trainable_variables if self._options.optimizer.ema else []
        kept = [np.asarray(variable) for variable in trained]
        if trained:
            optimizer.finalize_variable_values(trained)
        yield
        for variable, value in zip(trained, kept, strict=True):
            variable.assign(value)

    def _validation(self) -> Sums | None:
        """How the validation photographs are named; None when a process was told to stop."""
        sums = Sums()
        for inputs, labels in self._feed.validation():
            rows = self._feed.validation_rows
            sums += self._validate(inputs, labels, rows, self._notice.given)
            if sums.stops:
                return None
        return sums

    def _close_epoch(self, stage: Stage, epoch: int, sums: Sums, speed: float) -> None:
        """Note what an epoch brought, and whether it is the best or one too many."""
        progress, options = self._progress, self._options
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "trained": stage.trained,
            "step": progress.step,
            "loss": progress.epoch.mean_loss,
            "accuracy": progress.epoch.accuracy,
        }
        if sums.count:
            row |= {"val_loss": sums.mean_loss, "val_accuracy": sums.accuracy}
        row["photographs_per_second"] = round(speed, 1)
        progress.history.append(row)
        progress.epoch = Sums()
        photographs_left = (self._total - progress.step) * self._feed.batch_size
        seconds_left = photographs_left / speed if speed else 0
        self._journal.epoch(progress.history, options.epochs, seconds_left)
        if options.early_stopping and sums.mean_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = sums.mean_loss, epoch
            if self._placement.chief:
                write_values(self._best, self._variables, {})
        if options.early_stopping and stage is options.stages[-1]:
            since = epoch - max(progress.best_epoch, stage.first_epoch)
            progress.stopped = since >= options.early_stopping

    def _take_best(self) -> int:
        """Take the weights of the epoch with the lowest validation loss, if that is watched.

        Returns the epoch whose weights the network has, from 0 on.
        """
        progress = self._progress
        last = len(progress.history) - 1
        if not self._options.early_stopping or progress.best_epoch == last:
            return last
        of_chief(self._placement, 0)  # it has written them
        read_values(self._best, self._variables)
        if self._placement.chief:
            say(f"the weights of epoch {progress.best_epoch + 1}, the best, are kept")
        return progress.best_epoch

    def _leave(self, variables: Sequence[keras.Variable]) -> NoReturn:
        """Checkpoint and end, since a process was told to stop."""
        self._checkpoint(variables)
        raise RequeueError(
            f"step {self._progress.step} of {self._total}: checkpointed, exiting with 85 "
            "to be requeued"
        )

    def _checkpoint(self, variables: Sequence[keras.Variable]) -> None:
        if self._placement.chief:
            self._checkpoints.save(self._progress.step, variables, self._progress.as_json())

    def _end(self, stage: Stage) -> int:
        return (stage.first_epoch + stage.epochs) * self._feed.steps_per_epoch
