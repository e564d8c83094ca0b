"""The bytes of stored photographs, many at a time, and which of them is at fault."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from taxonvision.dataset.encode import encode
from taxonvision.dataset.stored import StoredPhotos
from taxonvision.errors import UserError
from taxonvision.parallel import map_in_order
from taxonvision.photograph import PhotographError, listed_but_unusable, read_bytes

_OPEN_FILES = 256
_BATCHES_REMEMBERED = 64  # more than a pipeline holds between reading and decoding


class JpegReader:
    """Reads photographs by number; may be used by several threads."""

    def __init__(self, photos: StoredPhotos) -> None:
        self.photos = photos
        self._opened = lru_cache(_OPEN_FILES)(_OpenFile)
        self._recent: deque[np.ndarray] = deque(maxlen=_BATCHES_REMEMBERED)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The JPEGs of the photographs int64 [n]: object [n] of bytes.

        Raises UserError that names the first photograph that cannot be read.
        """
        self._recent.append(numbers)
        jpegs = np.empty(len(numbers), object)
        if self.photos.shrink_to is None:
            jpegs[:] = [self._read_piece(number) for number in numbers.tolist()]
        else:
            jpegs[:] = list(map_in_order(self._read_encoded, numbers.tolist()))
        return jpegs

    def damaged(self, decode: Callable[[bytes], object]) -> UserError | None:
        """The fault of the first of the photographs read lately on which `decode` raises."""
        for number in np.unique(np.concatenate([[], *self._recent])).astype(int).tolist():
            try:
                jpeg = self.read(np.array([number]))[0]
            except UserError as error:
                return error
            try:
                decode(jpeg)
            except Exception:  # of whatever kind the decoder raises
                return self._fault(number, "its JPEG cannot be decoded")
        return None

    def _read_piece(self, number: int) -> bytes:
        photos = self.photos
        length = int(photos.lengths[number])
        try:
            file = self._opened(photos.files[photos.file_numbers[number]])
            jpeg = os.pread(file.descriptor, length, int(photos.offsets[number]))
        except OSError as error:
            raise self._fault(number, f"cannot be read: {error.strerror}") from None
        if len(jpeg) != length:
            raise self._fault(number, "the file ends before it does")
        return jpeg

    def _read_encoded(self, number: int) -> bytes:
        try:
            return encode(read_bytes(self.photos.source(number)), self.photos.shrink_to or 0)
        except PhotographError as error:
            raise self._fault(number, str(error)) from None

    def _fault(self, number: int, reason: str) -> UserError:
        source, name = self.photos.source(number), self.photos.name(number)
        return UserError(listed_but_unusable(source, reason, name))


class _OpenFile:
    """A file open for `os.pread`, closed when the last who reads it lets it go."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
