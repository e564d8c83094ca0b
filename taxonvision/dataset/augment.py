"""What is done to one photograph on its way into training: cut, mirrored, coloured by chance.

What mixes photographs or is dear on a CPU (MixUp, CutMix, RandAugment) belongs in the training
step, on the device: `training.mixing`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

CHANCES = 4
"""Random whole numbers a photograph."""
_ATTEMPTS = 100  # as in TensorFlow's own training of Inception


@dataclass(frozen=True)
class Augmentation:
    """How far chance may go.

    Cutting is Inception's, "patches whose size is distributed evenly between 8 % and 100 % of the
    image area with aspect ratio constrained to [3/4, 4/3]" (Szegedy et al., "Going deeper with
    convolutions", 2014, section 6), here from 35 % on: small animals should stay in the picture.

    Attributes:
        least_area: smallest part of the photograph's area that is kept.
        widest: largest ratio of the sides of what is kept, and its inverse the smallest. The
            window is stretched to a square. A photograph that is too long for any such window is
            kept whole.
        mirror: mirror every second photograph left to right.
        colour: by which part brightness, contrast and saturation go up or down at most; 0: not at
            all. Never the hue, which tells species apart.

    Raises ValueError for a number out of range.

    """

    least_area: float = 0.35
    widest: float = 4 / 3
    mirror: bool = True
    colour: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.least_area <= 1:
            raise ValueError(f"least_area must be above 0 and at most 1, not {self.least_area}")
        if not 1 <= self.widest < math.inf:
            raise ValueError(f"widest must be at least 1, not {self.widest}")
        if not 0 <= self.colour < 1:
            raise ValueError(f"colour must be at least 0 and below 1, not {self.colour}")


def chances(seed: int, epoch: int, first: int, count: int) -> np.ndarray:
    """Random whole numbers int64 [count, CHANCES] for the positions of an epoch from `first` on.

    A function of seed, epoch and position: each position has a block of its own of the
    counter-based generator Philox4x64 (Salmon et al., "Parallel random numbers: as easy as 1, 2,
    3", 2011), four numbers of 64 bits.
    """
    key = np.random.SeedSequence((seed, epoch)).generate_state(2, np.uint64)
    numbers = np.random.Philox(key=key, counter=first).random_raw(count * CHANCES)
    return numbers.view(np.int64).reshape(count, CHANCES)


def augmented(jpeg: Any, chance: Any, size: int, augmentation: Augmentation) -> Any:
    """A JPEG, a string tensor, to pixels uint8 [size, size, 3] by the numbers int64 [CHANCES].

    Only the window kept is decoded. It is resized bilinearly without antialias: photographs in
    shards were shrunk with it to about the network's size, and here it would cost more than the
    decoding.
    """
    import tensorflow as tf

    window = crop_window(tf.io.extract_jpeg_shape(jpeg), chance[:2], augmentation)
    pixels = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)
    if augmentation.mirror:  # here, where there are the fewest bytes
        pixels = tf.cond(chance[2] < 0, lambda: tf.reverse(pixels, [1]), lambda: pixels)
    images = _resized(pixels, size)
    if augmentation.colour:
        images = _coloured(images, chance[2:], augmentation.colour)
    return tf.cast(images[0] + 0.5, tf.uint8)


def centred(jpeg: Any, size: int, crop_ratio: float) -> Any:
    """A JPEG, a string tensor, to pixels uint8 [size, size, 3] without any chance.

    The centre square × `crop_ratio` of `runtime.contract`, resized like `augmented` does.
    """
    import tensorflow as tf

    window = centre_window(tf.io.extract_jpeg_shape(jpeg), crop_ratio)
    pixels = tf.io.decode_and_crop_jpeg(jpeg, window, channels=3)
    return tf.cast(_resized(pixels, size)[0] + 0.5, tf.uint8)


def centre_window(shape: Any, crop_ratio: float) -> Any:
    """The contract's centre square, to the pixel: int32 [top, left, height, width].

    Args:
        shape: int32 [height, width, channels].
        crop_ratio: above 0 and at most 1.
    """
    import tensorflow as tf

    shortest = tf.cast(tf.reduce_min(shape[:2]), tf.float64)
    side = tf.maximum(1, tf.cast(tf.round(shortest * crop_ratio), tf.int32))  # half to even, both
    return tf.concat([(shape[:2] - side) // 2, [side, side]], 0)


def crop_window(shape: Any, seed: Any, augmentation: Augmentation) -> Any:
    """The window to keep of a photograph: int32 [top, left, height, width].

    Args:
        shape: int32 [height, width, channels].
        seed: int64 [2].
        augmentation: its `least_area` and `widest` count.
    """
    import tensorflow as tf

    corner, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        tf.zeros([1, 0, 4]),
        seed,
        min_object_covered=0.0,
        aspect_ratio_range=(1 / augmentation.widest, augmentation.widest),
        area_range=(augmentation.least_area, 1.0),
        max_attempts=_ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([corner[:2], extent[:2]], 0)


def _resized(pixels: Any, size: int) -> Any:
    """Pixels uint8 [H, W, 3] to float32 [1, size, size, 3], 0 to 255."""
    import tensorflow as tf

    images = tf.cast(pixels, tf.float32)[None]  # resized sooner than bytes are
    return tf.raw_ops.ResizeBilinear(images=images, size=[size, size], half_pixel_centers=True)


def _coloured(images: Any, seed: Any, colour: float) -> Any:
    """Brightness, contrast and saturation of float32 [1, S, S, 3], 0 to 255, changed by chance."""
    import tensorflow as tf

    least, most = 1 - colour, 1 + colour
    images = tf.image.stateless_random_brightness(images / 255, colour, seed)
    images = tf.image.stateless_random_contrast(images, least, most, seed + 1)
    images = tf.clip_by_value(images, 0.0, 1.0)
    images = tf.image.stateless_random_saturation(images, least, most, seed + 2)
    return 255 * tf.clip_by_value(images, 0.0, 1.0)
