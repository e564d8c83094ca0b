"""The classification networks of `keras.applications`, from RGB 0–255 to pooled features.

Each family scales its input in its own way (`preprocess_input`). What it does is measured on a few
pixels and put into the graph, so that there is no table of families to keep.
"""

from __future__ import annotations

import contextlib
import http.client
import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.text import reason_of

if TYPE_CHECKING:
    import keras

# The side in pixels that the weights were trained at (`default_size` in keras/src/applications),
# where it is not 224.
_IMAGE_SIZES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2S": 384,
    "EfficientNetV2M": 480,
    "EfficientNetV2L": 480,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}
_USUAL_IMAGE_SIZE = 224


def application_names() -> list[str]:
    """Name every network, as Keras spells it: `MobileNetV3Large`."""
    networks = vars(load_keras().applications)
    return sorted(name for name, value in networks.items() if inspect.isfunction(value))


def application_image_size(name: str) -> int:
    """Return the side in pixels that the network's weights were trained at."""
    return _IMAGE_SIZES.get(name, _USUAL_IMAGE_SIZE)


def build_application(name: str, pretrained: bool, image_size: int) -> keras.Model:
    """Build one network of `application_names`.

    Returns:
        A flat functional model from RGB 0–255 `[N, S, S, 3]` float32 to the mean over the last
        feature map `[N, D]` float32.

    Raises:
        UserError: the image is too small for the network, or its ImageNet weights are not in the
            Keras cache and cannot be downloaded.

    """
    keras = load_keras()
    network = getattr(keras.applications, name)
    image = keras.Input((image_size, image_size, 3), dtype="float32", name="image")
    scaled = apply_scaling(
        image, measured_scaling(sys.modules[network.__module__].preprocess_input)
    )
    with _failures_in_a_sentence(name, image_size):
        model = network(
            include_top=False,
            weights="imagenet" if pretrained else None,
            input_tensor=scaled,
            input_shape=(image_size, image_size, 3),
            pooling="avg",
        )
    return from_image_to_features(image, model.outputs[0], model.name)


@dataclass(frozen=True)
class Scaling:
    """An affine map of the pixels: `x[..., ::-1] if reverse else x`, times `scale`, plus `offset`.

    `scale` and `offset` have one float for each channel of the result.
    """

    reverse: bool
    scale: tuple[float, ...]
    offset: tuple[float, ...]


def measured_scaling(preprocess: Callable[[np.ndarray], np.ndarray]) -> Scaling:
    """Find out what a `preprocess_input` of Keras does to RGB 0–255.

    Black gives the offset; pure red, green and blue give the channels' matrix, which is diagonal
    or, for networks that came from Caffe (BGR), diagonal after a reversal of the channels.
    """
    probes = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).reshape(1, 1, 4, 3)
    # A copy, for the versions for NumPy arrays work in place.
    black, *primaries = np.asarray(preprocess(probes.copy()), dtype=np.float64).reshape(4, 3)
    matrix = (np.stack(primaries) - black) / 255
    reverse = not matrix.diagonal().all()
    scale = (matrix[::-1] if reverse else matrix).diagonal()
    if np.count_nonzero(matrix) != 3 or not scale.all():
        raise NotImplementedError(f"{preprocess.__module__}.preprocess_input mixes channels")
    return Scaling(reverse, tuple(scale.tolist()), tuple(black.tolist()))


def apply_scaling(image: Any, scaling: Scaling) -> Any:
    """Put a scaling behind a symbolic `[N, S, S, 3]`; nothing is added where it changes nothing."""
    keras = load_keras()
    x = keras.ops.flip(image, axis=-1) if scaling.reverse else image
    scale, offset = scaling.scale, scaling.offset
    if set(scale) == {1.0} and set(offset) == {0.0}:
        return x
    # Float32 under every precision policy: in bfloat16 neighbouring levels would fall together.
    return keras.layers.Rescaling(list(scale), list(offset), dtype="float32", name="scale")(x)


def from_image_to_features(image: Any, features: Any, name: str) -> keras.Model:
    """Make the model of a symbolic image and its symbolic features, which become float32.

    Networks of `keras.applications` that were built on a tensor take a list of one image; this one
    takes the image.
    """
    keras = load_keras()
    if features.dtype != "float32":  # a mixed-precision policy
        features = keras.layers.Activation("linear", dtype="float32", name="as_float32")(features)
    return keras.Model(image, features, name=name)


@contextlib.contextmanager
def _failures_in_a_sentence(name: str, image_size: int) -> Iterator[None]:
    """Say what went wrong in a network's own construction, and keep its chatter off stdout."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            # The weights for 224 pixels are meant to be loaded at other sizes.
            warnings.simplefilter("ignore", UserWarning)
            yield
    except ValueError as error:
        raise UserError(f"{name} at {image_size} pixels: {reason_of(error)}") from error
    except Exception as error:
        # Keras raises a bare Exception when it cannot open the address.
        if not isinstance(error, (OSError, http.client.HTTPException)) and "URL fetch" not in str(
            error
        ):
            raise
        raise UserError(
            f"the ImageNet weights of {name} could not be downloaded ({error}): put the file into "
            "the Keras cache (~/.keras/models) or use --nopretrained"
        ) from error
