"""A photograph file becomes an upright RGB image, or a reason why it cannot.

The first frame of an animation is taken, EXIF orientation applied, 16 bits a channel brought to 8,
CMYK, grey and palette images converted to RGB, transparency laid over white. Files are taken as
hostile: the size in the header is checked before a pixel is decoded.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # MPO comes with JPEG
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
UNREADABLE_SUFFIXES = frozenset(
    {".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf"}
)
MAX_PIXELS = 200_000_000  # the largest sensors of phones; more is taken for a decompression bomb

_ORIENTATION_TAG = 0x0112
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


def read_upright(source: Path | bytes) -> Image.Image:
    """Decode a photograph to an upright 8-bit RGB image of height × width pixels.

    Raises PhotographError with the reason.
    """
    return decode(source if isinstance(source, bytes) else read_bytes(source))[0]


def decode(data: bytes) -> tuple[Image.Image, int]:
    """The upright RGB image in a file's bytes, and its EXIF orientation (1 to 8, 1 is upright)."""
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
            orientation = _orientation(image)
            image.load()
            # Pillow turns a TIFF upright while it loads, so that what is left to do is asked again.
            # (ImageOps.exif_transpose also writes EXIF anew and fails where the block is damaged.)
            turn = _TURNS.get(_orientation(image))
            upright = image if turn is None else image.transpose(turn)
            return _to_rgb(upright), orientation
    except UnidentifiedImageError:
        raise PhotographError("not an image of a known format") from None
    except Image.DecompressionBombError:
        raise PhotographError("taken for a decompression bomb") from None
    except PhotographError:
        raise
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        raise PhotographError(f"damaged: {_one_line(error)}") from None


def read_bytes(path: Path) -> bytes:
    """The bytes of a photograph's file; PhotographError with the reason when there are none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        reason = "dangling link" if path.is_symlink() else "no such file"
        raise PhotographError(reason) from None
    except OSError as error:
        raise PhotographError(f"cannot be read: {error.strerror}") from None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where there is none or it is nonsense."""
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # a damaged EXIF block does not make the pixels bad
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):  # 16 bits a channel; Pillow's own conversion would clip at 255
        grey = np.asarray(image).astype(np.int64)
        return Image.fromarray((grey >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise PhotographError("floating-point pixels have no agreed brightness")
    if image.mode in _PIL_READS_ALPHA or "transparency" in image.info:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
