"""Augmented views of a photograph, the same ones whenever it is looked at."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from PIL import Image

from taxonvision.runtime.contract import Contract

LEAST_AREA = 0.5
"""Smallest part of the photograph's area that a view shows."""
WIDEST = 4 / 3
"""Largest ratio of the sides of what it shows; its inverse is the smallest."""


def view_of(
    image: Image.Image, contract: Contract, content: tuple[int, int], view: int
) -> np.ndarray:
    """An upright RGB image as uint8 [S, S, 3]: as the contract shows it, or augmented.

    View 0 is the contract's. All others are windows of chance, mirrored by chance: evenly
    distributed between `LEAST_AREA` and all of the area, the logarithm of the ratio of their sides
    between those of 1 / `WIDEST` and `WIDEST` (Szegedy et al., "Going deeper with convolutions",
    2014, section 6, with smaller areas left out). Chance is a function of the photograph's key and
    the number of the view alone.
    """
    if view == 0:
        return contract.apply(image)
    area, ratio, across, down, mirror = _chances(content, view)
    width, height = image.size
    side = math.sqrt(width * height * (LEAST_AREA + (1 - LEAST_AREA) * area))
    stretch = math.sqrt(WIDEST ** (2 * ratio - 1))
    wide = min(max(1, round(side * stretch)), width)
    high = min(max(1, round(side / stretch)), height)
    left, top = round((width - wide) * across), round((height - high) * down)
    pixels = contract.resized(image, (left, top, left + wide, top + high))
    return np.ascontiguousarray(pixels[:, ::-1]) if mirror < 1 / 2 else pixels


def _chances(content: tuple[int, int], view: int) -> list[float]:
    """Five numbers from 0 to 1, from a hash: generators may change from release to release."""
    seed = b"".join(number.to_bytes(8) for number in (*content, view))
    digest = hashlib.blake2b(seed, digest_size=40).digest()
    return [int.from_bytes(digest[at : at + 8]) / 2**64 for at in range(0, 40, 8)]
