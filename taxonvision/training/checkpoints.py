"""What a killed run goes on from: all weights, the optimiser's state, and where it was.

A checkpoint is one NumPy archive, written beside its place and renamed into it. Its zip format
carries a checksum of every array, and nothing in it is unpickled.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from taxonvision.errors import UserError
from taxonvision.progress import say
from taxonvision.text import reason_of

_NAME = re.compile(r"step-(\d+)\.npz")
_STATE = "state"
_KEPT = 2


class Checkpoints:
    """The checkpoints in a folder, by step; the newest two are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """The steps of which there are checkpoints, the newest first."""
        if not self.folder.is_dir():
            return []
        names = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted((int(name[1]) for name in names if name), reverse=True)

    def save(
        self, step: int, variables: Sequence[keras.Variable], state: Mapping[str, Any]
    ) -> None:
        """Write the values of the variables and a JSON state; what is older than two goes.

        Raises UserError, with all earlier checkpoints as they were, when there is no room.
        """
        write_values(self._path(step), variables, state)
        for old in self.steps()[_KEPT:]:
            self._path(old).unlink(missing_ok=True)

    def newest(self) -> int | None:
        """The newest step whose checkpoint is whole; None where there is none."""
        for step in self.steps():
            try:
                with zipfile.ZipFile(self._path(step)) as archive:
                    archive.getinfo(f"{_STATE}.npy")  # the last in the list of what there is
                    damaged = archive.testzip()
            except Exception as error:  # flipped bits fail in many ways: EOFError, RuntimeError ...
                damaged = reason_of(error)
            if damaged is None:
                return step
            say(f"warning: {self._path(step)} is damaged ({damaged}); an older one is used")
        return None

    def restore(self, step: int, variables: Sequence[keras.Variable]) -> dict[str, Any]:
        """Give the variables the values of a step; returns its state."""
        return read_values(self._path(step), variables)

    def restore_first(self, step: int, variables: Sequence[keras.Variable]) -> None:
        """Give the variables, which are the first of a step's, their values."""
        read_values(self._path(step), variables, first=True)

    def state(self, step: int) -> dict[str, Any]:
        """The state of a step alone."""
        return read_values(self._path(step), [])

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:010d}.npz"


def write_values(path: Path, variables: Sequence[keras.Variable], state: Mapping[str, Any]) -> None:
    """Write variables in their order, and a JSON state, as one file that is whole or not there."""
    arrays: dict[str, Any] = {f"{number:06d}": np.asarray(v) for number, v in enumerate(variables)}
    arrays[_STATE] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())  # a node that is lost must not take it along
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UserError(
            f"the checkpoint {path} cannot be written: {error.strerror or error}; the one before "
            "it is kept: make room and run the same command again"
        ) from None


def read_values(
    path: Path, variables: Sequence[keras.Variable], *, first: bool = False
) -> dict[str, Any]:
    """Give variables the values that `write_values` wrote; returns the state.

    No variables: the state alone. `first`: more variables than these were written, after them.
    Raises UserError when the file is not of these variables.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            state = json.loads(archive[_STATE].tobytes())
            count = len(archive.files) - 1
            wanted = range(min(count, len(variables)))
            values = [archive[f"{number:06d}"] for number in wanted]
    except Exception as error:  # see `Checkpoints.newest`
        raise UserError(f"the checkpoint {path} cannot be read: {reason_of(error)}") from None
    complete = len(values) == len(variables) and (first or count == len(variables))
    fits = all(v.shape == tuple(w.shape) for v, w in zip(values, variables, strict=False))
    if variables and not (complete and fits):
        raise UserError(
            f"the checkpoint {path} is of another network; remove {path.parent} to begin anew"
        )
    for value, variable in zip(values, variables, strict=True):
        variable.assign(value)
    return dict(state)
