"""Photographs on their way to the backbone: are they there, and are they still the same?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from taxonvision.catalog.contents import content_of, unknown
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.errors import UserError
from taxonvision.features.views import view_of
from taxonvision.parallel import map_in_order
from taxonvision.photograph import PhotographError, listed_but_unusable, read_bytes, upright
from taxonvision.progress import track
from taxonvision.runtime.contract import Contract

_FILES_AT_ONCE = 1000
_WORTH_SHOWING = 200
"""So many times that number take some seconds, on a file system that is far away."""


def check_listed(photos: StoredPhotos) -> None:
    """Raise UserError for the first photograph whose file is no longer there."""
    starts = range(0, len(photos.files), _FILES_AT_ONCE)
    looked = map_in_order(_first_gone(photos), starts)
    if len(starts) >= _WORTH_SHOWING:
        looked = track(looked, len(starts), "looking for photographs", "thousand", closing=False)
    for gone in looked:
        if gone is None:
            continue
        for number in np.flatnonzero(photos.file_numbers == gone)[:1].tolist():
            _read(photos, number)  # tells why
            raise UserError(
                listed_but_unusable(photos.source(number), "no such file", photos.name(number))
            )


def _first_gone(photos: StoredPhotos) -> Callable[[int], int | None]:
    def gone(start: int) -> int | None:
        for number in range(start, min(start + _FILES_AT_ONCE, len(photos.files))):
            try:
                photos.files[number].stat()
            except OSError:
                return number
        return None

    return gone


def with_contents(photos: StoredPhotos) -> StoredPhotos:
    """The same photographs, all of them with a key; the files of those without are read for it.

    Raises UserError for a photograph that cannot be read.
    """
    numbers = np.flatnonzero(unknown(photos.contents))
    if not len(numbers):
        return photos
    contents = photos.contents.copy()
    keys = map_in_order(lambda number: content_of(_read(photos, number)), map(int, numbers))
    shown = track(keys, len(numbers), "keys of photographs that the catalog does not know")
    for number, key in zip(numbers, shown, strict=True):
        contents[number] = key
    return replace(photos, contents=contents)


def read_views(
    photos: StoredPhotos, views: np.ndarray, contract: Contract
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The number of each photograph and of each of its views, and the pixels uint8 [S, S, 3].

    Args:
        photos: the photographs, all of which have keys.
        views: bool [K, n], which views of which photographs.
        contract: how they become S × S pixels.

    Raises:
        UserError: a photograph cannot be read or is not the one that had its key.

    """

    def read(number: int) -> list[tuple[int, int, np.ndarray]]:
        data, content = _read(photos, number), content_of_row(photos.contents, number)
        if content_of(data) != content:
            again = "prepared; prepare" if photos.lengths[number] >= 0 else "ingested; ingest"
            raise UserError(f"{photos.name(number)} has changed since it was {again} again")
        wanted = np.flatnonzero(views[:, number]).tolist()
        try:
            with upright(data) as image:
                return [(number, view, view_of(image, contract, content, view)) for view in wanted]
        except PhotographError as error:
            raise _fault(photos, number, error) from None

    for each in map_in_order(read, map(int, np.flatnonzero(views.any(axis=0)))):
        yield from each


def content_of_row(contents: np.ndarray, number: int) -> tuple[int, int]:
    """One of the keys uint64 [n, 2]."""
    high, low = contents[number].tolist()
    return high, low


def _read(photos: StoredPhotos, number: int) -> bytes:
    try:
        return read_bytes(photos.source(number))
    except PhotographError as error:
        raise _fault(photos, number, error) from None


def _fault(photos: StoredPhotos, number: int, error: PhotographError) -> UserError:
    return UserError(listed_but_unusable(photos.source(number), error, photos.name(number)))
