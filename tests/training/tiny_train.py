"""`python tiny_train.py train --flags`: the real command with one more backbone, a tiny one.

`--backbone=tiny` is two convolutions with batch normalisation, built and traced in a second. The
environment asks for more: `TINY_WEIGHTS=FOLDER` has each worker write the weights that it ends with
to FOLDER/WORKER.npz and those after the last step to FOLDER/WORKER-last.npz, `TINY_CPUS=2` divides
the processor into so many devices, and `TINY_STEPS=1` says on stdout which step is about to begin;
`TINY_HOLD=4` begins that one only after a signal.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from taxonvision.cli.main import entry_point
from taxonvision.models.engine import load_keras

keras = load_keras()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

from taxonvision.models.backbones import Backbone  # noqa: E402
from taxonvision.training import loop, network, options, warm_start  # noqa: E402

_known, _check = network.build_backbone, options.check_name


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


network.build_backbone = warm_start.build_backbone = build
options.check_name = lambda name: name == "tiny" or _check(name)


def _write_weights(folder: Path) -> None:
    """Let each worker write what its own device holds after the last step, and what is kept."""
    take_best = loop.Fit._take_best

    def write(fit: loop.Fit, suffix: str) -> None:
        values = {
            f"{number:03d}-{variable.path.rpartition('/')[2]}": np.asarray(variable)
            for number, variable in enumerate(fit._network.variables)
        }
        np.savez(folder / f"{fit._placement.worker}{suffix}.npz", **values)

    def writing(fit: loop.Fit) -> int:
        write(fit, "-last")
        kept = take_best(fit)
        write(fit, "")
        return kept

    loop.Fit._take_best = writing


def _told_to_stop() -> int:
    """What can be read as soon as the process is told to stop, which it hears all the same."""
    reader, writer = os.pipe()
    before = signal.getsignal(signal.SIGTERM)

    def hear(number: int, frame: object) -> None:
        os.write(writer, b".")
        before(number, frame)

    signal.signal(signal.SIGTERM, hear)
    return reader


def _say_steps(held: int) -> None:
    call = loop.TrainingStep.__call__

    def saying(step: loop.TrainingStep, inputs, labels, number: int, stop: bool) -> tf.Tensor:
        told = _told_to_stop() if number == held else None
        print(f"<{number}>", flush=True)
        if told is not None:
            os.read(told, 1)
        return call(step, inputs, labels, number, stop)

    loop.TrainingStep.__call__ = saying


if __name__ == "__main__":
    if folder := os.environ.get("TINY_WEIGHTS"):
        _write_weights(Path(folder))
    if cpus := int(os.environ.get("TINY_CPUS", "0")):
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0],
            [tf.config.LogicalDeviceConfiguration()] * cpus,
        )
    if os.environ.get("TINY_STEPS"):
        _say_steps(int(os.environ.get("TINY_HOLD", "-1")))
    sys.argv[0] = "taxonvision"
    entry_point()
