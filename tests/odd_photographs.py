"""Photographs that readers in other languages must read as Python does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image


def odd_photographs(folder: Path, coarse: Image.Image, rng: np.random.Generator) -> list[Path]:
    """Each EXIF orientation as PNG and JPEG; transparent, wide, small, noisy, with a palette.

    They are made of the picture `coarse`, enlarged.
    """
    picture = coarse.resize((77, 45), Image.Resampling.BICUBIC)
    paths = []
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        for suffix in ("png", "jpg"):
            paths.append(folder / f"turned{orientation}.{suffix}")
            picture.save(paths[-1], exif=exif, quality=92)
    clear = picture.copy()
    clear.putalpha(Image.fromarray(rng.integers(0, 256, (45, 77), dtype=np.uint8)))
    others = {
        "clear": clear,
        "wide": picture.resize((200, 9)),
        "small": picture.resize((7, 20)),
        "noise": Image.fromarray(rng.integers(0, 256, (301, 400, 3), dtype=np.uint8)),
        "palette": picture.convert("P"),
    }
    for name, image in others.items():
        paths.append(folder / f"{name}.png")
        image.save(paths[-1])
    return paths
