"""A photograph file becomes an upright RGB image, or a reason why it cannot.

The first frame of an animation is taken, EXIF orientation applied, 16 bits a channel brought to 8,
CMYK, grey and palette images converted to RGB, transparency laid over white. Files are taken as
hostile: sizes are checked before a file is read and before a pixel is decoded, and huge photographs
are decoded one at a time.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from taxonvision.text import reason_of

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO comes with JPEG
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
UNREADABLE_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf"}
)
MAX_PIXELS = 200_000_000  # the largest sensors of phones; more is taken for a decompression bomb
MAX_BYTES = 2**30

_HUGE_PIXELS = 50_000_000
_one_huge = threading.RLock()  # 200 million pixels are gigabytes while they are converted
_BAND_PIXELS = 2**20
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PIL_READS_ALPHA = frozenset({"RGBA", "LA", "PA", "RGBa", "La"})


# Process-wide, since photographs are read in many threads and `warnings.catch_warnings` is not made
# for threads. Pillow refuses above twice its own limit, which is below the sensors meant here.
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.filterwarnings("ignore", module=r"PIL\.")  # of odd EXIF blocks and the like


class PhotographError(Exception):
    """The file is no usable photograph; the message is the reason, without the path."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A photograph's file that lies within a larger one: `length` bytes from `offset` on."""

    path: Path
    offset: int
    length: int

    def __str__(self) -> str:
        return f"{self.path}, bytes {self.offset} to {self.offset + self.length}"


Source = Path | Piece
"""Where the bytes of a photograph are."""


def read_upright(source: Path | bytes) -> Image.Image:
    """Decode a photograph to an upright 8-bit RGB image of height × width pixels.

    Raises PhotographError with the reason.
    """
    return decode(source if isinstance(source, bytes) else read_bytes(source))[0]


@contextlib.contextmanager
def upright(source: Source | bytes) -> Iterator[Image.Image]:
    """`read_upright` for threads: no other decodes a huge photograph until the block ends."""
    data = source if isinstance(source, bytes) else read_bytes(source)
    with contextlib.ExitStack() as held:
        image, _ = _decode(data, held)
        try:
            yield image
        except MemoryError:
            raise PhotographError("too large for the memory of this computer") from None


def decode(data: bytes) -> tuple[Image.Image, int]:
    """The upright RGB image in a file's bytes, and its EXIF orientation (1 to 8, 1 is upright)."""
    with contextlib.ExitStack() as held:
        return _decode(data, held)


def _decode(data: bytes, held: contextlib.ExitStack) -> tuple[Image.Image, int]:
    """What `decode` gives; a huge photograph's lock is put on `held`."""
    if not data:
        raise PhotographError("empty file")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise PhotographError(
                    f"{width} x {height} pixels, more than {MAX_PIXELS // 1_000_000} million: "
                    "taken for a decompression bomb"
                )
            if width * height > _HUGE_PIXELS:
                held.enter_context(_one_huge)
            orientation = _orientation(image)
            image.load()
            # Pillow turns a TIFF upright while it loads, so that what is left to do is asked again.
            # (ImageOps.exif_transpose also writes EXIF anew and fails where the block is damaged.)
            turn = _TURNS.get(_orientation(image))
            turned = image if turn is None else image.transpose(turn)
            return _to_rgb(turned), orientation
    except UnidentifiedImageError:
        raise PhotographError("not an image of a known format") from None
    except Image.DecompressionBombError:
        raise PhotographError("taken for a decompression bomb") from None
    except PhotographError:
        raise
    except MemoryError:
        raise PhotographError("too large for the memory of this computer") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise PhotographError(f"damaged: {reason_of(error)}") from None


def listed_but_unusable(source: Source, reason: PhotographError | str, name: object = None) -> str:
    """The sentence for a photograph that a catalog or shards list and that cannot be used."""
    remedy = "prepare again" if isinstance(source, Piece) else "put it there or ingest again"
    place = source if name is None else name
    return f"{place} is listed and cannot be used ({reason}); {remedy}"


def read_bytes(source: Source) -> bytes:
    """The bytes of a photograph's file; PhotographError with the reason when there are none."""
    path = source.path if isinstance(source, Piece) else source
    try:
        with open(path, "rb", opener=at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PhotographError("a pipe, socket or device, no file")
            if isinstance(source, Piece):
                return _piece_of(file.fileno(), source)
            if status.st_size > MAX_BYTES:
                raise PhotographError("larger than 1 GiB")
            return file.read()
    except FileNotFoundError:
        reason = "dangling link" if path.is_symlink() else "no such file"
        raise PhotographError(reason) from None
    except OSError as error:
        raise PhotographError(f"cannot be read: {error.strerror}") from None
    except MemoryError:
        raise PhotographError("too large for the memory of this computer") from None


def _piece_of(descriptor: int, piece: Piece) -> bytes:
    if not (piece.offset >= 0 and 0 <= piece.length <= MAX_BYTES):
        raise PhotographError("no place in a file")
    data = os.pread(descriptor, piece.length, piece.offset)
    if len(data) < piece.length:
        raise PhotographError("the file ends before it")
    return data


def at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody to write, should it be a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it is nonsense."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged EXIF block does not make the pixels bad
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        return _high_bytes(image).convert("RGB")
    if image.mode == "F":
        raise PhotographError("floating-point pixels have no agreed brightness")
    if image.mode in _PIL_READS_ALPHA or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


def _high_bytes(image: Image.Image) -> Image.Image:
    """16 bits a channel, also in 32, brought to 8; Pillow's own conversion would clip at 255."""
    width, height = image.size
    grey = np.empty((height, width), np.uint8)
    rows = max(1, _BAND_PIXELS // width)  # in bands: an array of all 16 or 32 bits is large
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = np.asarray(image.crop((0, top, width, bottom)))
        grey[top:bottom] = (band >> 8).clip(0, 255)
    return Image.fromarray(grey)
