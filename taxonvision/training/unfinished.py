"""The folder of an unfinished model, `OUT.partial`, and what lies in it that a model has not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from taxonvision.models.directory import MANIFEST
from taxonvision.progress import say
from taxonvision.storage import (
    Recipe,
    check_unfinished,
    file_digest,
    partial_of,
    publish_resuming,
)

CHECKPOINTS = "checkpoints"
START = "start.json"
"""What the checkpoints are of: backbone, size of the input, taxon ids."""
ROWS = "rows.sha256"
"""What a head is fitted on, beside its checkpoints."""
_VERSION = "2"
"""Counts up when unfinished work of an earlier version cannot be gone on with."""


@contextlib.contextmanager
def unfinished_model(out: Path, recipe: Recipe, *, chief: bool, overwrite: bool) -> Iterator[Path]:
    """Yield the folder of an unfinished model; the chief's becomes the model `out` in the end.

    Raises what `publish_resuming` raises, and UserError for checkpoints of another recipe.
    """
    check_unfinished(out, recipe, CHECKPOINTS, version=_VERSION)  # all workers refuse
    if not chief:
        yield partial_of(out)
        return
    with publish_resuming(out, MANIFEST, recipe, version=_VERSION, overwrite=overwrite) as folder:
        try:
            yield folder
        except BaseException as error:
            _leave(folder, error)
            raise


def _leave(folder: Path, error: BaseException) -> None:
    """Remove what no run can go on with; tell whoever interrupts what stays."""
    if (folder / MANIFEST).exists():
        return
    if any((folder / CHECKPOINTS).glob("step-*.npz")):
        if isinstance(error, KeyboardInterrupt):
            say(f"checkpoints are kept in {folder}; the same command goes on there")
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif not path.name.startswith("."):  # what says whose the folder is
            path.unlink(missing_ok=True)


def go_on_with(folder: Path, rows: str) -> None:
    """Remove checkpoints of a fit on other rows than those with this digest.

    What is trained on may depend on more than the recipe: on features that a cache still has.
    """
    note = folder / CHECKPOINTS / ROWS
    if note.parent.exists() and not (note.is_file() and note.read_text() == rows):
        shutil.rmtree(note.parent)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(rows)


def remove_unfinished(folder: Path) -> None:
    """Remove what only an unfinished model has."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    (folder / START).unlink(missing_ok=True)


def is_unfinished(folder: Path) -> bool:
    """Whether the folder holds checkpoints of a network that can be started from."""
    return (folder / START).is_file()


def digest_of_newest(folder: Path) -> str:
    """SHA-256 of the newest checkpoint; "" where there is none."""
    checkpoints = sorted((folder / CHECKPOINTS).glob("step-*.npz"))
    return file_digest(checkpoints[-1]) if checkpoints else ""
