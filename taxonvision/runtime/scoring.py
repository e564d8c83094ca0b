"""Photographs of any number are read and scored, in order, on all cores, in bounded memory."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable
from queue import SimpleQueue

import numpy as np

from taxonvision.parallel import cores, map_in_order
from taxonvision.photograph import PhotographError, Source
from taxonvision.runtime.recognizer import Recognizer, Scorer

BATCH = 32
"""Photographs scored at once where one scorer has all cores to itself."""
_WEIGHTS = 2**32  # bytes of models; each scorer has its own copy


def score_photographs(
    recognizer: Recognizer, sources: Iterable[Source]
) -> Generator[np.ndarray | PhotographError, None, None]:
    """Each photograph's probabilities, float32 [C], or why it cannot be read, in order.

    A recognizer that can make `another` scorer is given one of a single thread for each core, and
    photographs are read and scored side by side: networks made for phones are too small to share
    one photograph among cores without loss. (There are fewer with more threads where so many copies
    of the weights would fill the memory.) The scores are those of `recognizer.score`, bit by bit.
    Any other scores batches of `BATCH` while the next ones are read.

    When the iterator is closed or an exception leaves it, Ctrl-C among them, no photograph is begun
    any more. Raises UserError for a model that cannot be run.
    """
    if recognizer.another is None:
        return _in_batches(recognizer, sources)
    count = max(1, min(cores(), _WEIGHTS // max(1, recognizer.bytes)))
    scorers = [recognizer.another(cores() // count) for _ in range(count)]
    return _side_by_side(recognizer, scorers, sources)


def _side_by_side(
    recognizer: Recognizer, scorers: list[Scorer], sources: Iterable[Source]
) -> Generator[np.ndarray | PhotographError, None, None]:
    free: SimpleQueue[Scorer] = SimpleQueue()
    for scorer in scorers:
        free.put(scorer)

    def score_one(source: Source) -> np.ndarray | PhotographError:
        pixels = recognizer.contract.read_one(source)
        if isinstance(pixels, PhotographError):
            return pixels
        scorer = free.get()
        try:
            return scorer(pixels[None])[0]
        finally:
            free.put(scorer)

    yield from map_in_order(score_one, sources)


def _in_batches(
    recognizer: Recognizer, sources: Iterable[Source]
) -> Generator[np.ndarray | PhotographError, None, None]:
    found = recognizer.contract.read(sources)
    while chunk := list(itertools.islice(found, BATCH)):
        pixels = [each for each in chunk if not isinstance(each, PhotographError)]
        scores = iter(recognizer.score(np.stack(pixels)) if pixels else ())
        for each in chunk:
            yield each if isinstance(each, PhotographError) else next(scores)
