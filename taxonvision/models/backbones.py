"""One door to every backbone: EfficientNet-Lite, `keras.applications`, keras-hub presets."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taxonvision.errors import UserError
from taxonvision.models.applications import (
    application_image_size,
    application_names,
    build_application,
)
from taxonvision.models.efficientnet_lite import VARIANTS, efficientnet_lite
from taxonvision.models.engine import load_keras
from taxonvision.models.hub import build_hub_backbone
from taxonvision.models.imagenet_weights import load_imagenet_weights

if TYPE_CHECKING:
    import keras

# The side of the centre square that is shown to the network, as a fraction of the photograph's
# shorter side. ImageNet's usual 0.875 cuts off an eighth; whoever photographs an organism fills
# the frame with it.
CROP_RATIO = 1.0
_HUB = "hub:"


@dataclass(frozen=True)
class Backbone:
    """A network without its head.

    `model` maps RGB 0–255 `[N, S, S, 3]` float32 to features `[N, D]` float32, S is `image_size`;
    `name` builds it again.
    """

    name: str
    model: keras.Model
    image_size: int
    crop_ratio: float
    pretrained: bool


def build_backbone(
    name: str, *, pretrained: bool = True, image_size: int | None = None
) -> Backbone:
    """Build a backbone by name.

    Fresh weights depend on `keras.utils.set_random_seed`, which is the caller's.

    Args:
        name: `efficientnet_lite0` to `4`; a network of `keras.applications`, whose capitals,
            underscores and hyphens do not matter (`mobilenet_v3_large`); or `hub:` and a preset of
            keras-hub (`hub:mobilenet_v3_small_050_imagenet`, `hub:FOLDER`).
        pretrained: load the weights trained on ImageNet, or the preset's.
        image_size: the side of the input in pixels; None for the one the weights were trained at.

    Raises:
        UserError: the name is unknown, the weights are not to be had, or the size does not fit.
        ModuleNotFoundError: an extra of this package is not installed.

    """
    if image_size is not None and image_size < 1:
        raise UserError(f"an image size of {image_size} pixels is impossible")
    load_keras()
    if name.startswith(_HUB):
        model, size = build_hub_backbone(name.removeprefix(_HUB), pretrained, image_size)
        return Backbone(name, model, size, CROP_RATIO, pretrained)
    name = _known_name(name)
    if name in VARIANTS:
        size = image_size or VARIANTS[name].image_size
        model = efficientnet_lite(name, size)
        if pretrained:
            load_imagenet_weights(model)
    else:
        size = image_size or application_image_size(name)
        model = build_application(name, pretrained, size)
    return Backbone(name, model, size, CROP_RATIO, pretrained)


def check_name(name: str) -> None:
    """Raise UserError when no backbone has this name; of presets of keras-hub nothing is known."""
    if not name.startswith(_HUB):
        _known_name(name)


def _known_name(name: str) -> str:
    """Spell a name as it is known."""
    known = {_plain(each): each for each in (*VARIANTS, *application_names())}
    if _plain(name) in known:
        return known[_plain(name)]
    nearest = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.5)
    hint = (
        f"did you mean {known[nearest[0]]}?"
        if nearest
        else f"known are {', '.join(known.values())}"
    )
    raise UserError(f"there is no backbone {name!r}; {hint} (presets of keras-hub: hub:PRESET)")


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
