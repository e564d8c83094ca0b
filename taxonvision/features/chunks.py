"""Features of many photographs in files of some thousand each: by several workers, in any order.

What is there is not extracted again, so that an ended run goes on at the next chunk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from taxonvision.errors import UserError
from taxonvision.features.extract import FeatureExtractor
from taxonvision.photograph import Source
from taxonvision.progress import track
from taxonvision.storage import replacing_file
from taxonvision.text import reason_of

_CHUNK = 2048
"""Photographs in a file: some seconds of a GPU, some ten of two cores."""


def extract_chunks(
    extractor: FeatureExtractor,
    sources: Sequence[Source],
    folder: Path,
    description: str,
    *,
    worker: int = 0,
    workers: int = 1,
    stop: Callable[[], bool] = bool,
) -> bool:
    """Write this worker's chunks of the features of the photographs into `folder`.

    Returns False when `stop` said so before all were there. Raises UserError for a photograph that
    can no longer be read.
    """
    spans = [range(at, min(at + _CHUNK, len(sources))) for at in range(0, len(sources), _CHUNK)]
    missing = [
        (number, span)
        for number, span in enumerate(spans)
        if number % workers == worker and not _path(folder, number).exists()
    ]

    def batches() -> Iterator[np.ndarray]:
        for number, span in missing:
            chunk = []
            for batch in extractor.in_batches(sources[span.start : span.stop]):
                if stop():
                    return
                chunk.append(batch)
                yield batch
            with replacing_file(_path(folder, number)) as path, path.open("wb") as file:
                np.save(file, np.concatenate(chunk))
                file.flush()
                os.fsync(file.fileno())  # a node that is lost must not leave a hollow one

    total = sum(len(span) for _, span in missing)
    shown = track(batches(), total, description, size=len) if missing and not worker else batches()
    for _ in shown:
        pass
    return all(_path(folder, number).exists() for number, _ in missing)


def read_chunks(folder: Path, count: int) -> np.ndarray:
    """The features float32 [count, D] that all workers wrote, in the order of the photographs.

    Raises UserError for a file that is damaged.
    """
    paths = [_path(folder, number) for number in range(-(-count // _CHUNK))]
    chunks = [_read(path) for path in paths]
    return np.concatenate(chunks) if chunks else np.empty((0, 1), np.float32)


def _read(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} cannot be read: {reason_of(error)}; remove it and run the same command again"
        ) from None


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"
