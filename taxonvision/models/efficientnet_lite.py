"""EfficientNet-Lite 0 to 4: EfficientNet without squeeze-excite and with ReLU6, made for phones.

Source: tensorflow/tpu, models/official/efficientnet/lite (efficientnet_lite_builder.py), after
Tan and Le, "EfficientNet", ICML 2019. The published weights want "same" padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

FEATURES = 1280
_STEM_CHANNELS = 32
_BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Variant:
    """How one member of the family is scaled, and the side in pixels it was trained at."""

    width: float
    depth: float
    image_size: int


VARIANTS = {
    "efficientnet_lite0": Variant(1.0, 1.0, 224),
    "efficientnet_lite1": Variant(1.0, 1.1, 240),
    "efficientnet_lite2": Variant(1.1, 1.2, 260),
    "efficientnet_lite3": Variant(1.2, 1.4, 280),
    "efficientnet_lite4": Variant(1.4, 1.8, 300),
}


@dataclass(frozen=True)
class _Stage:
    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Block:
    """One inverted residual block: its name (`block3b`), kernel side, stride, expansion, output."""

    name: str
    kernel: int
    stride: int
    expansion: int
    channels: int


def blocks(variant: str) -> list[Block]:
    """List the blocks of a variant from the input to the output.

    Lite rule: the first and the last stage keep their number of blocks at every depth.
    """
    scale = VARIANTS[variant]
    found = []
    for number, stage in enumerate(_STAGES, start=1):
        outermost = number in (1, len(_STAGES))
        repeats = stage.repeats if outermost else math.ceil(scale.depth * stage.repeats)
        for repeat in range(repeats):
            found.append(
                Block(
                    name=f"block{number}{chr(ord('a') + repeat)}",
                    kernel=stage.kernel,
                    stride=stage.stride if repeat == 0 else 1,
                    expansion=stage.expansion,
                    channels=_scaled_channels(stage.channels, scale.width),
                )
            )
    return found


def efficientnet_lite(variant: str, image_size: int) -> keras.Model:
    """Build a network with fresh weights.

    Args:
        variant: a key of `VARIANTS`.
        image_size: S, the side of the input in pixels.

    Returns:
        A model from RGB 0–255 `[N, S, S, 3]` float32 to pooled features `[N, 1280]` float32.
        Scaling to (x - 127) / 128 is its first layer. Stem and head are as wide in every variant.

    """
    import keras
    from keras import layers

    image = keras.Input((image_size, image_size, 3), dtype="float32", name="image")
    # Float32 at both ends, whatever the precision policy: bytes come in, features are compared.
    x = layers.Rescaling(1 / 128, -127 / 128, dtype="float32", name="scale")(image)
    x = _conv(x, "stem", _STEM_CHANNELS, kernel=3, stride=2)
    for block in blocks(variant):
        x = _inverted_residual(x, block)
    x = _conv(x, "head", FEATURES, kernel=1)
    x = layers.GlobalAveragePooling2D(dtype="float32", name="features")(x)
    return keras.Model(image, x, name=variant)


def _inverted_residual(inputs: Any, block: Block) -> Any:
    from keras import layers

    channels = inputs.shape[-1]
    x = inputs
    if block.expansion != 1:
        x = _conv(x, f"{block.name}_expand", channels * block.expansion, kernel=1)
    x = layers.DepthwiseConv2D(
        block.kernel,
        strides=block.stride,
        padding="same",
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{block.name}_depthwise_conv",
    )(x)
    x = _normalise(x, f"{block.name}_depthwise")
    x = _conv(x, f"{block.name}_project", block.channels, kernel=1, activate=False)
    if block.stride == 1 and channels == block.channels:
        x = layers.Add(name=f"{block.name}_add")([inputs, x])
    return x


def _conv(
    x: Any, name: str, channels: int, kernel: int, stride: int = 1, activate: bool = True
) -> Any:
    from keras import layers

    x = layers.Conv2D(
        channels,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=_initializer(),
        name=f"{name}_conv",
    )(x)
    return _normalise(x, name, activate)


def _normalise(x: Any, name: str, activate: bool = True) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=_BATCH_NORM_EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{name}_relu6")(x) if activate else x


def _initializer() -> Any:
    """He's normal distribution over the fan out, as the source has it; a fresh one a layer."""
    import keras

    return keras.initializers.VarianceScaling(
        2.0, mode="fan_out", distribution="untruncated_normal"
    )


def _scaled_channels(channels: int, width: float) -> int:
    """Scale and round to a multiple of 8, never more than 10 % below."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
