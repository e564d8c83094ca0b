"""Draws many photographs with all processors and writes them, some of them broken on request."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.parallel import map_in_processes
from taxonvision.synthetic.render import draw_empty_scene, draw_encounter, draw_photograph
from taxonvision.synthetic.species import Species

WAYS_TO_BREAK = ("empty", "truncated", "text", "noise")
SHOTS_IN_BATCH = 16
FEWEST_FOR_WORKERS = 64  # photographs; fewer are drawn sooner than processes start
JPEG_QUALITY = (78, 95)  # from, to (exclusive)

_ENCOUNTER, _PHOTOGRAPH, _EMPTY, _DAMAGE = 41, 42, 43, 44


@dataclass(frozen=True)
class Shot:
    """One file to draw: a photograph of a species, or an empty scene where `species` is None."""

    file: str  # relative to the data set, with / between folders
    species: int | None
    number: int  # in its species, or among the empty scenes
    observation: int  # in its species
    broken: str | None

    def broken_by(self, how: str) -> Shot:
        """The same shot, its file spoilt in one of WAYS_TO_BREAK."""
        return dataclasses.replace(self, broken=how)


@dataclass(frozen=True)
class _Batch:
    folder: Path
    shots: tuple[Shot, ...]
    species: dict[int, Species]
    size: int
    seed: int


def draw_all(
    folder: Path,
    species: Sequence[Species],
    shots: Sequence[Shot],
    size: int,
    seed: int,
    workers: int | None,
) -> Iterator[list[str]]:
    """Draw and write all shots; yields the files of each batch when it is done.

    The files do not depend on the number of workers. Ctrl-C ends the workers before it is passed
    on.
    """
    batches = []
    for start in range(0, len(shots), SHOTS_IN_BATCH):
        some = tuple(shots[start : start + SHOTS_IN_BATCH])
        needed = {shot.species for shot in some if shot.species is not None}
        batches.append(
            _Batch(folder, some, {index: species[index] for index in needed}, size, seed)
        )
    if workers is None and len(shots) < FEWEST_FOR_WORKERS:
        workers = 1
    yield from map_in_processes(_draw_batch, batches, workers)


def file_bytes(shot: Shot, species: Species | None, size: int, seed: int) -> bytes:
    """The bytes of a shot's file: a JPEG, or what is left of it."""
    if shot.species is None or species is None:
        rng = np.random.default_rng([seed, _EMPTY, shot.number])
        image = draw_empty_scene(rng, size)
    else:
        rng = np.random.default_rng([seed, _ENCOUNTER, species.index, shot.observation])
        encounter = draw_encounter(rng)
        rng = np.random.default_rng([seed, _PHOTOGRAPH, species.index, shot.number])
        image = draw_photograph(species, rng, size, encounter)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
    whole = file.getvalue()
    if shot.broken is None:
        return whole
    return _broken(
        whole, shot, np.random.default_rng([seed, _DAMAGE, shot.species or 0, shot.number])
    )


def _broken(whole: bytes, shot: Shot, rng: np.random.Generator) -> bytes:
    if shot.broken == "empty":
        return b""
    if shot.broken == "truncated":
        return whole[: int(len(whole) * rng.uniform(0.2, 0.7))]
    if shot.broken == "text":
        return f"404 Not Found: {shot.file}\n".encode()
    return rng.bytes(max(64, len(whole) // 4))


def _draw_batch(batch: _Batch) -> list[str]:
    try:
        for shot in batch.shots:
            path = batch.folder / shot.file
            path.parent.mkdir(parents=True, exist_ok=True)
            species = None if shot.species is None else batch.species[shot.species]
            path.write_bytes(file_bytes(shot, species, batch.size, batch.seed))
    except OSError as error:
        raise UserError(f"{batch.folder} cannot be written: {error.strerror}") from None
    return [shot.file for shot in batch.shots]
