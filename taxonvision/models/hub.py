"""Backbones from presets of keras-hub: its own names, Kaggle, Hugging Face, or a folder."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from taxonvision.errors import UserError
from taxonvision.models.applications import Scaling, apply_scaling, from_image_to_features
from taxonvision.models.engine import load_keras
from taxonvision.text import reason_of

if TYPE_CHECKING:
    import keras

_USUAL_IMAGE_SIZE = 224


def build_hub_backbone(
    preset: str, pretrained: bool, image_size: int | None
) -> tuple[keras.Model, int]:
    """Build the image backbone of a preset.

    The scaling is the one of the preset's image converter. A feature map or a row of tokens is
    averaged; features that are pooled already are passed on.

    Args:
        preset: what `keras_hub.models.Backbone.from_preset` takes.
        pretrained: whether to load the preset's weights.
        image_size: S in pixels; None for the size in the preset's image converter, else 224.

    Returns:
        A model from RGB 0–255 `[N, S, S, 3]` float32 to features `[N, D]` float32, and S.

    Raises:
        UserError: the preset is unknown, cannot be downloaded, or is no image network for S.
        ModuleNotFoundError: keras-hub is not installed.

    """
    keras = load_keras()
    import keras_hub

    try:
        with redirect_stdout(sys.stderr):
            backbone = keras_hub.models.Backbone.from_preset(preset, load_weights=pretrained)
            converter = _image_converter(keras_hub, preset)
    except ModuleNotFoundError:
        raise
    except Exception as error:  # each of its four sources fails in its own classes
        reason = reason_of(error, 300)
        raise UserError(f"the keras-hub preset {preset!r} cannot be loaded: {reason}") from error
    size = image_size or _image_size(converter)
    image = keras.Input((size, size, 3), dtype="float32", name="image")
    scaled = apply_scaling(image, _scaling(converter))
    try:
        features = backbone(scaled)
    except (TypeError, ValueError) as error:
        reason = reason_of(error, 300)
        raise UserError(
            f"the keras-hub preset {preset!r} takes no {size} × {size} RGB image: {reason}"
        ) from error
    return from_image_to_features(image, _pooled(features, preset), backbone.name), size


def _image_converter(keras_hub: Any, preset: str) -> Any:
    """Load the preset's image converter; None where the preset has none."""
    try:
        return keras_hub.layers.ImageConverter.from_preset(preset)
    except (FileNotFoundError, ValueError):
        return None


def _image_size(converter: Any) -> int:
    size = getattr(converter, "image_size", None)
    return int(size[0]) if size and size[0] else _USUAL_IMAGE_SIZE


def _scaling(converter: Any) -> Scaling:
    scale = getattr(converter, "scale", None)
    offset = getattr(converter, "offset", None)
    return Scaling(
        reverse=False,
        scale=_per_channel(1.0 if scale is None else scale),
        offset=_per_channel(0.0 if offset is None else offset),
    )


def _per_channel(value: Any) -> tuple[float, ...]:
    import numpy as np

    return tuple(np.broadcast_to(np.asarray(value, dtype=np.float64), (3,)).tolist())


def _pooled(features: Any, preset: str) -> Any:
    layers = load_keras().layers
    rank = len(getattr(features, "shape", ()))
    if rank == 4:
        return layers.GlobalAveragePooling2D(name="features")(features)
    if rank == 3:
        return layers.GlobalAveragePooling1D(name="features")(features)
    if rank == 2:
        return features
    raise UserError(f"the keras-hub preset {preset!r} gives no image features, but {features}")
