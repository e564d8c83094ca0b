"""The preprocessing contract: the same pixels for training, Python, phone and browser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from taxonvision.errors import UserError
from taxonvision.parallel import map_in_order
from taxonvision.photograph import PhotographError, Source, listed_but_unusable, upright

MAX_SIZE = 8192  # far beyond any network; more would ask for gigabytes a photograph


@dataclass(frozen=True)
class Contract:
    """Upright photograph to the pixels a graph reads.

    The centre square, its side times `crop_ratio` and rounded to whole pixels, is resized to
    `size` × `size` with an antialiased bilinear filter; RGB 0–255 goes into the graph, which
    scales inside. ValueError for a size outside 1 to `MAX_SIZE` or a ratio outside 0 to 1.
    """

    size: int
    crop_ratio: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
            raise ValueError(f"size must be from 1 to {MAX_SIZE}, not {self.size}")
        if not 0 < self.crop_ratio <= 1:  # neither is NaN
            raise ValueError(f"crop_ratio must be above 0 and at most 1, not {self.crop_ratio}")

    def apply(self, image: Image.Image) -> np.ndarray:
        """An upright RGB image of any size as uint8 [size, size, 3]."""
        width, height = image.size
        side = max(1, round(min(width, height) * self.crop_ratio))
        left, top = (width - side) // 2, (height - side) // 2
        return self.resized(image, (left, top, left + side, top + side))

    def resized(self, image: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
        """What is in a box (left, top, right, bottom) of an image, as uint8 [size, size, 3]."""
        # Cropped first: with `box` the filter of `resize` would look beyond it.
        window = image.crop(box)
        # Pillow's bilinear filter widens with the scale, which is what antialiasing means here.
        return np.asarray(window.resize((self.size, self.size), Image.Resampling.BILINEAR))

    def read(self, sources: Iterable[Source]) -> Iterator[np.ndarray | PhotographError]:
        """Each photograph as uint8 [size, size, 3], or why it cannot be, in order, in threads."""
        return map_in_order(self.read_one, sources)

    def read_one(self, source: Source) -> np.ndarray | PhotographError:
        """A photograph as uint8 [size, size, 3], or why it cannot be."""
        try:
            with upright(source) as image:
                return self.apply(image)
        except PhotographError as error:
            return error

    def read_batches(self, sources: Sequence[Source], batch: int) -> Iterator[np.ndarray]:
        """All photographs, uint8 [n, size, size, 3] with n ≤ `batch`, in order.

        Raises UserError at the first that cannot be read.
        """

        def readable() -> Iterator[np.ndarray]:
            for source, pixels in zip(sources, self.read(sources), strict=True):
                if isinstance(pixels, PhotographError):
                    raise UserError(listed_but_unusable(source, pixels))
                yield pixels

        yield from stacked(readable(), batch)


def stacked(pixels: Iterable[np.ndarray], batch: int) -> Iterator[np.ndarray]:
    """Photographs [S, S, 3] put together, [n, S, S, 3] with n ≤ `batch`, in order."""
    pending: list[np.ndarray] = []
    for each in pixels:
        pending.append(each)
        if len(pending) == batch:
            yield np.stack(pending)
            pending = []
    if pending:
        yield np.stack(pending)
