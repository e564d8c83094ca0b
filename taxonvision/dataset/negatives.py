"""Photographs without an organism: a folder of them, or scenes that are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from taxonvision.catalog.sources.files import find_files
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError
from taxonvision.progress import say_left_out, track
from taxonvision.runtime.contract import Contract, stacked
from taxonvision.storage import digest_of
from taxonvision.text import of_path

_WHOSE = "--negatives"


def scenes_in(folder: Path) -> list[Path]:
    """The photographs below a folder, in any depth, sorted; what cannot be one is said.

    UserError when there is no such folder or none is in it.
    """
    if not folder.is_dir():
        reason = "is no folder" if folder.exists() else "does not exist"
        raise UserError(f"{folder} {reason}; --negatives names one of photographs without organism")
    files = find_files(folder)
    if not files.photos:
        raise UserError(f"there is no photograph in {folder}, which --negatives names")
    rejects = [f"{of_path(folder / each.path)}: {each.reason}" for each in files.rejects]
    say_left_out(rejects, _WHOSE)
    return [folder / path for path in sorted(files.photos)]


def digest_of_scenes(folder: Path, scenes: Sequence[Path]) -> str:
    """SHA-256 over the names below `folder` and the sizes of its photographs.

    The same wherever the folder lies. UserError when one is gone.
    """
    try:
        seen = [[path.relative_to(folder).as_posix(), path.stat().st_size] for path in scenes]
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from None
    return digest_of(seen)


def read_scenes(scenes: Sequence[Path], contract: Contract, batch: int) -> Iterator[np.ndarray]:
    """Their pixels, uint8 [b, S, S, 3] with b ≤ `batch`, in order.

    Those that cannot be read are said and left out; UserError when none can.
    """
    faults: list[str] = []

    def readable() -> Iterator[np.ndarray]:
        for path, pixels in zip(scenes, contract.read(scenes), strict=True):
            if isinstance(pixels, PhotographError):
                faults.append(f"{of_path(path)}: {pixels}")
            else:
                yield pixels

    yield from stacked(readable(), batch)
    if len(faults) == len(scenes):
        raise UserError(f"no photograph that --negatives names can be read; {faults[0]}")
    say_left_out(faults, _WHOSE)


def drawn_scenes(contract: Contract, count: int, seed: int) -> np.ndarray:
    """Synthetic places without an animal, uint8 [count, S, S, 3].

    Each depends on the seed and its number alone.
    """
    from taxonvision.synthetic.render import draw_empty_scene

    side = math.ceil(contract.size / contract.crop_ratio)
    pixels = np.empty((count, contract.size, contract.size, 3), np.uint8)
    for number in track(range(count), count, "drawing scenes", "scenes", closing=False):
        pixels[number] = contract.apply(
            draw_empty_scene(np.random.default_rng([seed, number]), side)
        )
    return pixels
