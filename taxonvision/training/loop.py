"""Training from the first step to the last, whatever happens to the process in between."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from taxonvision.errors import RequeueError, UserError
from taxonvision.progress import say, track
from taxonvision.training.checkpoints import Checkpoints, read_values, write_values
from taxonvision.training.feeds import Feed
from taxonvision.training.fit_state import FitOptions, Outcome, Progress
from taxonvision.training.journal import Journal
from taxonvision.training.optimizers import make_optimizer, make_schedule
from taxonvision.training.signals import Notice
from taxonvision.training.stages import Stage
from taxonvision.training.step import (
    Loss,
    Mixer,
    Sums,
    Targets,
    TrainingStep,
    ValidationStep,
    from_all,
    of_chief,
    own_classes,
)
from taxonvision.training.strategies import Placement
from taxonvision.training.unfinished import CHECKPOINTS, is_unfinished

_LEAST_MEMORIES = 3
"""A moving average forgets its start in a stage of so many times the steps it remembers."""
_SHOWN = 16
"""Photographs shown as they are trained on."""
_UNREAD = 1
"""Steps whose results are not waited for, so that a device always has the next one at hand."""


@dataclass(frozen=True)
class _Active:
    """What the stage that is being trained has of its own.

    Attributes:
        step: changes the weights.
        batches: what is left of its batches.
        optimizer: changes the trainable weights.
        variables: all that a checkpoint within the stage holds.
        learning_rate: by step of the run.
    """

    step: TrainingStep
    batches: Iterator[tuple[Any, Any]]
    optimizer: keras.optimizers.Optimizer
    variables: Sequence[keras.Variable]
    learning_rate: Callable[[int], float]


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
        targets: what the labels of the feed become.
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
        targets: Targets = own_classes,
    ) -> None:
        self._placement, self._network, self._freeze = placement, network, freeze
        self._loss, self._mix, self._feed, self._options = loss, mix, feed, options
        self._notice, self._targets = notice, targets
        self._variables = list(network.variables)
        self._checkpoints = Checkpoints(folder / CHECKPOINTS)
        self._best = folder / CHECKPOINTS / "best.npz"
        self._journal = Journal(folder, writes=placement.chief)
        self._validate = ValidationStep(placement, network)
        self._progress = Progress()
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
                if not progress.stopped and len(progress.history) < stage.end:
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
        self._say(f"going on from step {step} of {self._total}")

    def _train(self, stage: Stage) -> None:
        """Train what a stage trains, from where the run is in it to the stage's end."""
        progress, feed = self._progress, self._feed
        self._freeze(stage.trained)
        with feed.naming_faults():
            active = self._start(stage)
            while len(progress.history) < stage.end and not progress.stopped:
                start, before = time.monotonic(), progress.step
                self._epoch(active)
                photographs = (progress.step - before) * feed.batch_size
                speed = photographs / (time.monotonic() - start)
                with self._averaged(active.optimizer):
                    validation = self._validation()
                    if validation is not None:
                        self._close_epoch(stage, validation, speed)
                if validation is None:
                    self._leave(active)
                if len(progress.history) < stage.end and not progress.stopped:
                    self._checkpoint(active.variables)
        if self._options.optimizer.ema:
            active.optimizer.finalize_variable_values(self._network.trainable_variables)
        progress.between_stages = True
        self._checkpoint(self._variables)

    def _start(self, stage: Stage) -> _Active:
        """Make a stage ready at the step where the run is."""
        feed, progress, options = self._feed, self._progress, self._options
        steps = stage.epochs * feed.steps_per_epoch
        schedule = make_schedule(options.optimizer, feed.batch_size, steps)
        with self._placement.strategy.scope():
            optimizer = make_optimizer(options.optimizer, schedule, float16=options.float16)
            optimizer.build(self._network.trainable_variables)
        if options.optimizer.ema and steps * (1 - options.optimizer.ema) < _LEAST_MEMORIES:
            self._say(
                f"warning: an average with --ema={options.optimizer.ema} over {steps} steps has "
                "mostly the first weights; take a smaller one"
            )
        variables = [*self._variables, *optimizer.variables]
        if progress.step and not progress.between_stages:
            self._checkpoints.restore(progress.step, variables)
        progress.between_stages = False
        step = TrainingStep(
            self._placement,
            self._network,
            optimizer,
            self._loss,
            self._mix,
            feed.batch_size,
            self._targets,
        )
        epoch = len(progress.history)
        in_epoch = progress.step - epoch * feed.steps_per_epoch
        batches = iter(feed.training(epoch, in_epoch, stage.end - epoch))
        first = stage.first_epoch * feed.steps_per_epoch
        return _Active(step, batches, optimizer, variables, lambda n: float(schedule(n - first)))

    def _epoch(self, active: _Active) -> None:
        """Train what is left of an epoch."""
        progress, unread = self._progress, deque[tf.Tensor]()
        for inputs, labels in self._rest_of_epoch(active):
            if not progress.step and self._placement.chief:
                self._show(inputs, labels)
            unread.append(active.step(inputs, labels, progress.step, self._notice.given))
            progress.step += 1
            due = progress.step % self._options.checkpoint_steps == 0
            stop = self._read(active, unread, _UNREAD)
            if stop or due:
                stop = self._read(active, unread, 0) or stop
            if stop:
                self._leave(active)
            if due:
                self._checkpoint(active.variables)
        if self._read(active, unread, 0):
            self._leave(active)

    def _rest_of_epoch(self, active: _Active) -> Iterator[tuple[Any, Any]]:
        """The batches that are left of an epoch; the chief shows how far it is."""
        progress, batch = self._progress, self._feed.batch_size
        epoch = len(progress.history) + 1
        count = epoch * self._feed.steps_per_epoch - progress.step
        batches = itertools.islice(active.batches, count)
        if not self._placement.chief:
            return batches
        return track(
            batches,
            count * batch,
            f"epoch {epoch} of {self._options.epochs}",
            size=lambda _: batch,
            note=lambda: str(progress.epoch) if progress.epoch.count else "",
            closing=False,
        )

    def _read(self, active: _Active, unread: deque[tf.Tensor], kept: int) -> bool:
        """Read what steps brought, of all but the last `kept`; whether a process is to stop."""
        stop = False
        while len(unread) > kept:
            number = self._progress.step - len(unread)
            sums = Sums.of(unread.popleft())
            if not math.isfinite(sums.loss):
                self._diverged(f"the loss is {sums.loss} at step {number}")
            self._progress.epoch += sums
            self._journal.step(number, sums, partial(active.learning_rate, number))
            stop = stop or sums.stops > 0
        return stop

    def _show(self, inputs: tf.Tensor, labels: Any) -> None:
        """Note some photographs as they are trained on; features cannot be looked at."""
        if len(inputs.shape) != 4:
            return
        images = tf.cast(inputs[:_SHOWN], tf.float32)
        if self._mix is not None:
            some = tf.nest.map_structure(lambda each: each[:_SHOWN], labels)
            targets = self._targets(some, self._network.outputs[0].shape[-1])
            images, _ = self._mix(images, targets, tf.constant(0, tf.int64), tf.constant(0))
        self._journal.photographs(images)

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
        feed, sums = self._feed, Sums()
        batches: Iterable[tuple[Any, Any]] = feed.validation()
        if self._placement.chief:
            count = feed.validation_batches
            batches = track(batches, count, "validation", unit="batches", closing=False)
        for inputs, labels in batches:
            rows = self._feed.validation_rows
            sums += self._validate(inputs, labels, rows, self._notice.given)
            if sums.stops:
                return None
        return sums

    def _close_epoch(self, stage: Stage, sums: Sums, speed: float) -> None:
        """Note what an epoch brought, and whether it is the best or one too many."""
        progress, options = self._progress, self._options
        epoch = len(progress.history)
        if not math.isfinite(sums.loss):
            self._diverged(f"the validation loss is {sums.loss} after step {progress.step}")
        row: dict[str, Any] = {
            "epoch": epoch + 1,
            "trained": stage.trained,
            "step": progress.step,
            "loss": progress.epoch.mean_loss,
            "accuracy": progress.epoch.accuracy,
        }
        if sums.count:
            row |= {"val_loss": sums.mean_loss, "val_accuracy": sums.accuracy}
        row["photographs_per_second"] = float(f"{speed:.4g}")
        progress.history.append(row)
        progress.epoch = Sums()
        photographs_left = (self._total - progress.step) * self._feed.batch_size
        seconds_left = photographs_left / speed if speed else 0
        self._journal.epoch(progress.history, options.epochs, seconds_left)
        if options.early_stopping and sums.mean_loss < progress.best_loss:
            progress.best_loss, progress.best_epoch = sums.mean_loss, epoch
            self._chief_writes(lambda: write_values(self._best, self._variables, {}))
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
        read_values(self._best, self._variables)
        self._say(f"the weights of epoch {progress.best_epoch + 1}, the best, are kept")
        return progress.best_epoch

    def _say(self, sentence: str) -> None:
        if self._placement.chief:
            say(sentence)

    def _leave(self, active: _Active) -> NoReturn:
        """Checkpoint and end, since a process was told to stop."""
        self._checkpoint(active.variables)
        raise RequeueError(
            f"step {self._progress.step} of {self._total}: checkpointed, exiting with 85 "
            "to be requeued"
        )

    def _diverged(self, what: str) -> NoReturn:
        folder = self._checkpoints.folder.parent
        if self._checkpoints.steps() and is_unfinished(folder):
            raise UserError(
                f"{what}; the last checkpoint is kept: go on from it with a lower --learning_rate, "
                f"--init_from={folder} and another --out"
            )
        raise UserError(f"{what}; begin again with a lower --learning_rate")

    def _checkpoint(self, variables: Sequence[keras.Variable]) -> None:
        step, state = self._progress.step, self._progress.as_json()
        # The step that spoils the weights may have had a loss that was finite still.
        if not all(np.isfinite(np.asarray(variable)).all() for variable in self._variables):
            self._diverged(f"weights are not finite after step {step}")
        self._chief_writes(lambda: self._checkpoints.save(step, variables, state))

    def _chief_writes(self, write: Callable[[], None]) -> None:
        """Let the chief write something; where it cannot, all workers raise UserError."""
        fault = None
        if self._placement.chief:
            try:
                write()
            except UserError as error:
                fault = error
        if from_all(self._placement, int(fault is not None)):
            raise fault or UserError("the first worker cannot write; its output says why")
