"""Photographs are scored part by part, so that a killed run goes on and memory is bounded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from taxonvision.evaluation.score_files import are_whole, join_scores, write_scores
from taxonvision.evaluation.scores import Keeper, Labelled, joined
from taxonvision.photograph import PhotographError, Source
from taxonvision.progress import say, track
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.scoring import BATCH, score_photographs
from taxonvision.storage import replacing_file
from taxonvision.text import several

PART = 32 * BATCH
"""Photographs a part: whole batches, so that who goes on scores the same batches. What is kept of
one has an upper bound, so a part has one too."""

Fault = Callable[[Source, PhotographError], None]
"""Is told which photograph cannot be read and why; what it does not refuse is left out."""


def write_scored(
    recognizer: Recognizer,
    photographs: Labelled,
    sources: Sequence[Source],
    path: Path,
    description: str,
    fault: Fault,
) -> None:
    """Score n photographs and write what is kept into `path`, unless that is there already.

    Parts of `PART` photographs lie in a folder beside it until all are there; those that are there
    from a run before and can be read are taken for done. The bytes do not depend on where a run
    ended.

    Args:
        recognizer: what scores them.
        photographs: the n photographs.
        sources: their n files.
        path: the file of `write_scores` to be.
        description: of the progress.
        fault: what to do about a photograph that cannot be read.
    """
    if are_whole(path):
        return
    folder = path.with_suffix(".parts")
    folder.mkdir(exist_ok=True)
    parts = [folder / f"{start:09d}.parquet" for start in range(0, len(sources), PART)]
    done = next((i for i, part in enumerate(parts) if not are_whole(part)), len(parts))
    if done:
        count = min(done * PART, len(sources))
        say(f"{count} of {several(len(sources), 'photograph')} are scored already")
    with _telling_what_is_kept(folder, parts):
        if done < len(parts):
            _write_parts(recognizer, photographs, sources, parts, done, description, fault)
        with replacing_file(path) as file:
            join_scores(file, parts)
    shutil.rmtree(folder)


@contextmanager
def _telling_what_is_kept(folder: Path, parts: Sequence[Path]) -> Iterator[None]:
    """When the block raises, say that scores are kept, or remove a folder without any."""
    try:
        yield
    except BaseException:
        if any(part.exists() for part in parts):
            say(
                f"what is scored already is kept in {folder.parent}; the same command goes on there"
            )
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_parts(
    recognizer: Recognizer,
    photographs: Labelled,
    sources: Sequence[Source],
    parts: Sequence[Path],
    done: int,
    description: str,
    fault: Fault,
) -> None:
    """Write the parts from the number `done` on."""
    keeper = Keeper(recognizer.roll_up, recognizer.class_taxon_ids)
    missing = sources[done * PART :]
    with closing(score_photographs(recognizer, missing)) as scored:
        rows = track(scored, len(missing), description)
        for number in range(done, len(parts)):
            positions = range(number * PART, min((number + 1) * PART, len(sources)))
            _write_part(parts[number], keeper, photographs, sources, positions, rows, fault)
        next(rows, None)  # past the end, where it says how long it took


def _write_part(
    path: Path,
    keeper: Keeper,
    photographs: Labelled,
    sources: Sequence[Source],
    positions: range,
    rows: Iterator[np.ndarray | PhotographError],
    fault: Fault,
) -> None:
    """Take the next rows, those of the photographs at `positions`, and write what is kept."""
    kept, readable = [], []
    for position in positions:
        row = next(rows)
        if isinstance(row, PhotographError):
            fault(sources[position], row)
        else:
            kept.append(keeper.keep(row, int(photographs.truth[position])))
            readable.append(position)
    with replacing_file(path) as file:
        write_scores(file, joined(photographs.take(np.array(readable, np.int64)), kept))
