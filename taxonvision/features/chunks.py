"""Features of many photographs in files of some thousand each: by several workers, in any order.

What is there is not extracted again, so that an ended run goes on at the next chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from taxonvision.features.extract import FeatureExtractor
from taxonvision.photograph import Source
from taxonvision.progress import track
from taxonvision.storage import replacing_file

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

    total = sum(len(span) for _, span in missing)
    for _ in track(batches(), total, description, size=len) if missing else ():
        pass
    return all(_path(folder, number).exists() for number, _ in missing)


def read_chunks(folder: Path, count: int) -> np.ndarray:
    """The features float32 [count, D] that all workers wrote, in the order of the photographs."""
    paths = [_path(folder, number) for number in range(-(-count // _CHUNK))]
    chunks = [np.load(path, mmap_mode="r", allow_pickle=False) for path in paths]
    return np.concatenate(chunks) if chunks else np.empty((0, 1), np.float32)


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"
