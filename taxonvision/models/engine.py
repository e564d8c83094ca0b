"""Keras on TensorFlow, loaded when it is first needed and without its chatter."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from taxonvision.chatter import without_chatter
from taxonvision.errors import UserError


def load_keras() -> ModuleType:
    """Import Keras on TensorFlow and return it; a few seconds the first time.

    Raises:
        UserError: Keras is set to another engine, or to images with the channels first.
        ModuleNotFoundError: TensorFlow or Keras is not installed.

    """
    engine = os.environ.get("KERAS_BACKEND", "tensorflow")
    if engine != "tensorflow":
        raise UserError(
            f"KERAS_BACKEND is {engine!r}, but taxonvision needs 'tensorflow': unset it"
        )
    if "keras" not in sys.modules or "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with without_chatter():  # notes on missing GPUs that no log level silences
            import tensorflow  # noqa: F401
    import keras

    if keras.config.backend() != "tensorflow":
        raise UserError(f"Keras runs on {keras.config.backend()}, but taxonvision needs tensorflow")
    if keras.config.image_data_format() != "channels_last":
        raise UserError(
            "~/.keras/keras.json asks for channels_first; taxonvision needs channels_last"
        )
    return keras
