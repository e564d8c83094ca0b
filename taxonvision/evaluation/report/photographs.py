"""Photographs for a page: small, inlined, each once however often it is shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PIL import Image

from taxonvision.photograph import PhotographError, Source
from taxonvision.progress import track
from taxonvision.runtime.contract import Contract

_SIDE = 200  # pixels
_QUALITY = 80
_NOT_AT_HAND = "not at hand"


@dataclass(frozen=True)
class Thumbnail:
    """A photograph as a page shows it, with the macro `photograph` of `macros.html`.

    Attributes:
        number: its number in the page, which names its style.
        address: its pixels as a `data:` address; "" where it cannot be shown.
        reason: why it cannot, "" where it can.
    """

    number: int
    address: str
    reason: str = ""


def thumbnails(photo_ids: Iterable[str], photographs: Mapping[str, Source]) -> dict[str, Thumbnail]:
    """The centre squares of photographs, 200 × 200 pixels, by id; each is read once.

    One that is unknown, missing or damaged has the reason in place of pixels.

    Args:
        photo_ids: whichever are shown, repeated or not.
        photographs: where the bytes of each are.
    """
    wanted = list(dict.fromkeys(photo_ids))
    at_hand = [photo_id for photo_id in wanted if photo_id in photographs]
    pixels = Contract(_SIDE).read([photographs[photo_id] for photo_id in at_hand])
    tracked = track(pixels, len(at_hand), "making thumbnails") if at_hand else ()
    read = dict(zip(at_hand, tracked, strict=True))
    shown = {}
    for number, photo_id in enumerate(wanted):
        image = read.get(photo_id, PhotographError(_NOT_AT_HAND))
        if isinstance(image, PhotographError):
            shown[photo_id] = Thumbnail(number, "", str(image))
        else:
            shown[photo_id] = Thumbnail(number, _address(Image.fromarray(image)))
    return shown


def _address(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
