"""What people look at while a model is trained: a line an epoch, history.csv, TensorBoard."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.storage import replacing_file
from taxonvision.tables import write_csv
from taxonvision.text import reason_of
from taxonvision.training.step import Sums

_STEPS_A_RATE = 20
"""Keras takes milliseconds to compute the learning rate of one step."""


class Journal:
    """Writes `history.csv` and `logs/` into a folder; not on workers that write nothing."""

    def __init__(self, folder: Path, *, writes: bool) -> None:
        self._history = folder / "history.csv"
        self._logs = str(folder / "logs")
        try:
            self._writer = (
                tf.summary.create_file_writer(self._logs)
                if writes
                else tf.summary.create_noop_writer()
            )
        except tf.errors.OpError as error:
            raise UserError(f"{self._logs} cannot be made: {reason_of(error, 200)}") from None
        self._writes = writes

    def step(self, number: int, sums: Sums, learning_rate: Callable[[], float]) -> None:
        """Note what a step brought; the rate is asked for only where it is written."""
        if not self._writes:
            return
        with self._at(number):
            tf.summary.scalar("loss", sums.mean_loss)
            tf.summary.scalar("accuracy", sums.accuracy)
            if number % _STEPS_A_RATE == 0:
                tf.summary.scalar("learning_rate", learning_rate())

    def photographs(self, images: tf.Tensor) -> None:
        """Show photographs float32 [n, S, S, 3], 0 to 255, as the network sees them in training."""
        with self._at(0):
            tf.summary.image("augmented", tf.cast(images, tf.uint8), max_outputs=len(images))

    def epoch(self, history: Sequence[Mapping[str, Any]], epochs: int, seconds_left: float) -> None:
        """Say and note what the last epoch of the history brought."""
        if not self._writes:
            return
        row = history[-1]
        with self._at(row["step"]):
            for name in ("val_loss", "val_accuracy", "photographs_per_second"):
                if name in row:
                    tf.summary.scalar(name, row[name])
            self._writer.flush()
        with replacing_file(self._history) as path:
            write_csv(path, list(row), ([each[name] for name in row] for each in history))
        say(epoch_line(row, epochs, seconds_left))

    def close(self) -> None:
        """Write what is not written yet, as far as it can be written."""
        with contextlib.suppress(tf.errors.OpError):  # another error may be on its way
            self._writer.close()

    @contextlib.contextmanager
    def _at(self, step: int) -> Iterator[None]:
        """Summaries in the block are of this step; UserError when they cannot be written."""
        try:
            with self._writer.as_default(step):
                yield
        except tf.errors.OpError as error:
            reason = reason_of(error, 200)
            raise UserError(
                f"{self._logs} cannot be written: {reason}; the last checkpoint is kept, the same "
                "command goes on from it"
            ) from None


def epoch_line(row: Mapping[str, Any], epochs: int, seconds_left: float) -> str:
    """An epoch in a line for people."""
    words = [
        f"epoch {row['epoch']} of {epochs} ({row['trained']}): loss {row['loss']:.3f}",
        f"accuracy {row['accuracy']:.1%}",
    ]
    if "val_loss" in row:
        words += [
            f"validation loss {row['val_loss']:.3f}",
            f"validation accuracy {row['val_accuracy']:.1%}",
        ]
    words.append(f"{row['photographs_per_second']:.0f} photographs/s")
    if seconds_left:
        words.append(f"{_duration(seconds_left)} left")
    return ", ".join(words)


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
