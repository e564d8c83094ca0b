"""A photograph's file becomes the JPEG that shards hold: upright, RGB, shrunk once, antialiased."""

from __future__ import annotations

import io
import re

from PIL import Image

from taxonvision.photograph import decode

# The contract finds pixels that differ by 1.4 levels in the mean, for 224 pixels out of 256; with a
# bilinear filter by 1.8, with a quality of 90 by 1.8, with colours at half the resolution by 1.9.
QUALITY = 95
_FILTER = Image.Resampling.BICUBIC
_WITHOUT_SUBSAMPLING = 0
_UPRIGHT = 1

# Markers of ITU-T T.81, table B.1. JFIF and Adobe segments tell how the colours are coded.
_BASELINE, _SCAN, _END = 0xC0, 0xDA, 0xD9
_TABLES = frozenset({0xC4, 0xDB, 0xDD})
_JFIF, _ADOBE = 0xE0, 0xEE
_METADATA = frozenset({*range(0xE0, 0xF0), 0xFE}) - {_JFIF, _ADOBE}
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")


def encode(data: bytes, size: int) -> bytes:
    """The JPEG to keep of a photograph's file.

    It is shrunk to a short side of `size` pixels, unless that is 0 or it is smaller already. The
    compressed pixels of a baseline RGB JPEG that is neither to be turned nor shrunk are kept, its
    metadata are not.

    Raises PhotographError with the reason when the file is no usable photograph.
    """
    image, orientation = decode(data)
    short = min(image.size)
    if 0 < size < short:
        width, height = (max(1, round(side * size / short)) for side in image.size)
        image = image.resize((width, height), _FILTER)
    elif orientation == _UPRIGHT and _is_rgb_jpeg(data) and (bare := _without_metadata(data)):
        return bare
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling=_WITHOUT_SUBSAMPLING)
    return file.getvalue()


def _is_rgb_jpeg(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as image:
        return image.format == "JPEG" and image.mode == "RGB"


def _without_metadata(data: bytes) -> bytes | None:
    """A baseline JPEG of one scan without comments, EXIF, profiles and what is appended to it.

    None for all others, also damaged ones that some decoders take and others refuse.
    """
    kept, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        after = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if marker == _SCAN:
            found = _MARKER_IN_SCAN.search(data, after)
            if found is None or found[0][1] != _END:
                return None
            return b"".join([*kept, data[at : found.end()]])
        if marker in {_BASELINE, _JFIF, _ADOBE} or marker in _TABLES:
            kept.append(data[at:after])
        elif marker not in _METADATA:
            return None
        at = after
    return None
