"""What is done to a batch in the training step, on the device: RandAugment, MixUp, CutMix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from taxonvision.training.augmentations import MixingOptions

_LAYER = {"dtype": "float32"}  # whatever precision the network has


class Mixing:
    """Keras's augmentation layers as a function of seed, step and replica.

    It uses no variable: it runs eagerly, in a `tf.function` and in any replica, and a run that
    goes on at a step does what an undisturbed one does. Photographs are mixed within the batch of a
    replica, so what comes out depends on how many replicas share a batch. XLA has no kernels for
    the draws from Beta and for turning and shearing: on a TPU nothing of this runs, unless in
    `tf.data`, on the host.
    """

    def __init__(self, options: MixingOptions, seed: int) -> None:
        self._seed = seed
        self._operations = options.operations
        self._layers = _operations(options.magnitude)
        self._mixers: list[Any] = []
        if options.mixup_alpha:
            self._mixers.append(keras.layers.MixUp(options.mixup_alpha, **_LAYER))
        if options.cutmix_alpha:
            # One number would mean a new α for each batch, anywhere below it.
            factor = (options.cutmix_alpha, options.cutmix_alpha)
            self._mixers.append(keras.layers.CutMix(factor, **_LAYER))

    def __call__(self, images: Any, targets: Any, step: Any, replica: Any) -> tuple[Any, Any]:
        """A batch as it is trained on.

        Args:
            images: float32 [b, S, S, 3], 0 to 255, any b from 1 on.
            targets: float32 [b, C], rows that sum to 1.
            step: int64 scalar, counted through all epochs.
            replica: int scalar, the replica among those of all workers.

        Returns the same shapes and ranges.
        """
        chance = _Chance(_seed_at(self._seed, step, replica))
        for _ in range(self._operations):
            images = self._one_operation_each(images, chance)
        if not self._mixers:
            return images, targets
        which = keras.random.randint((), 0, len(self._mixers), seed=chance)
        seed = chance.next()  # one for all, as a graph traces each and an eager run only one
        mixed = [_mix(mixer, images, targets, seed) for mixer in self._mixers]
        return tf.switch_case(which, mixed)

    def _one_operation_each(self, images: Any, chance: _Chance) -> Any:
        """Each photograph changed by one of the layers, chosen for it alone.

        Only the layer chosen is computed.
        """
        shape, count = images.shape, len(self._layers)
        rows = tf.range(tf.shape(images)[0])
        which = keras.random.randint(tf.shape(rows), 0, count, seed=chance)
        changed = [
            layer.transform_images(some, _transformation(layer, some, chance))
            for layer, some in zip(
                self._layers, tf.dynamic_partition(images, which, count), strict=True
            )
        ]
        images = tf.dynamic_stitch(tf.dynamic_partition(rows, which, count), changed)
        return tf.ensure_shape(images, shape)


def _operations(magnitude: float) -> list[Any]:
    """RandAugment's operations that leave a species what it is.

    At magnitude 1, as in AutoAugment (Cubuk et al., 2019, table 6), turned by up to 30° and sheared
    by 0.3, sharpness changed by 0.9; half as far as there, contrast and saturation (only less of
    it) by 0.45; brightness by 0.3 of white. Left out: what makes negatives or few colours
    (solarise, posterise); what stretches each colour channel by itself (equalise, auto contrast);
    and shifting, which the crop does without showing half an animal twice at a border.

    `keras.layers.RandAugment` leaves nothing out, takes one choice for the whole batch, has one
    number for all ranges (0.5 turns by up to 180°, always the same way) and computes all of its
    eleven for every operation: 6 photographs of 224 pixels a second where this does 150.
    """
    colour, layers = 0.45 * magnitude, keras.layers
    return [
        layers.RandomRotation(30 / 360 * magnitude, **_LAYER),
        layers.RandomShear(0.3 * magnitude, 0.3 * magnitude, **_LAYER),
        layers.RandomBrightness(0.3 * magnitude, **_LAYER),
        layers.RandomContrast((colour, colour), **_LAYER),  # one number: upwards only
        layers.RandomColorDegeneration(colour, **_LAYER),
        layers.RandomSharpness((0.5 - colour, 0.5 + colour), **_LAYER),
    ]


def _transformation(layer: Any, images: Any, chance: _Chance) -> Any:
    return layer.get_random_transformation(images, training=True, seed=chance)


def _mix(mixer: Any, images: Any, targets: Any, seed: Any) -> Callable[[], tuple[Any, Any]]:
    def mixed() -> tuple[Any, Any]:
        transformation = _transformation(mixer, images, _Chance(seed))
        return (
            mixer.transform_images(images, transformation),
            mixer.transform_labels(targets, transformation),
        )

    return mixed


def _seed_at(seed: int, step: Any, replica: Any) -> Any:
    """A seed, int64 [2], for a step on a replica."""
    found = tf.constant([seed, 0], tf.int64)
    for number in (step, replica):
        found = tf.random.experimental.stateless_fold_in(found, tf.cast(number, tf.int64))
    return found


class _Chance(keras.random.SeedGenerator):
    """Seeds for Keras's random functions, one after another from a first, without a variable."""

    def __init__(self, seed: Any) -> None:
        # Not super's, which makes the variable.
        self._seed, self._drawn = seed, 0

    def next(self, ordered: bool = True) -> Any:
        """The next seed, int64 [2]."""
        self._drawn += 1
        number = tf.constant(self._drawn, tf.int64)
        return tf.random.experimental.stateless_fold_in(self._seed, number)
