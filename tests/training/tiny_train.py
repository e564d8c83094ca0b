"""`python tiny_train.py train --flags`: the real command with one more backbone, a tiny one.

`--backbone=tiny` is two convolutions with batch normalisation, built and traced in a second.
"""

from __future__ import annotations

import sys

from taxonvision.cli.main import entry_point
from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.models.backbones import Backbone  # noqa: E402
from taxonvision.training import network  # noqa: E402

_known = network.build_backbone


def tiny_backbone(image_size: int | None = None) -> Backbone:
    """32 × 32 pixels to 16 features."""
    size = image_size or 32
    inputs = keras.Input((size, size, 3), dtype="float32")
    x = keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32")(inputs)
    for channels in (8, 16):
        x = keras.layers.Conv2D(channels, 3, strides=2, use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return Backbone("tiny", keras.Model(inputs, x), size, 1.0, False)


def build(name: str, *, pretrained: bool = True, image_size: int | None = None) -> Backbone:
    """Stands in for `build_backbone`."""
    if name == "tiny":
        return tiny_backbone(image_size)
    return _known(name, pretrained=pretrained, image_size=image_size)


network.build_backbone = build

if __name__ == "__main__":
    sys.argv[0] = "taxonvision"
    entry_point()
