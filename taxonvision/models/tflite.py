"""A Keras model becomes a float32 TFLite graph with a fixed batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxonvision.chatter import without_chatter
from taxonvision.errors import UserError
from taxonvision.text import reason_of

if TYPE_CHECKING:
    import keras


def to_tflite(model: keras.Model, batch: int, input_type: str = "float32") -> bytes:
    """Convert a model of one image input [N, S, S, 3] to float32 TFLite with N = `batch`.

    `input_type` is float32 or uint8; the values are 0–255 either way.

    Only built-in TFLite operators come out, nothing is left to TensorFlow's (Flex) operators.

    Raises UserError for a network that they cannot express.
    """
    import tensorflow as tf

    specification = tf.TensorSpec((batch, *model.inputs[0].shape[1:]), input_type, "photograph")

    @tf.function(input_signature=[specification])
    def score(photograph: tf.Tensor) -> tf.Tensor:
        return model(tf.cast(photograph, tf.float32), training=False)

    # `from_keras_model` saves the whole Keras model on the way, which takes twice as long.
    weights = tf.Module()
    weights.variables_of_model = [variable.value for variable in model.variables]
    with without_chatter():
        function = score.get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], weights)
        try:
            return converter.convert()
        except Exception as error:  # the converter's own class has no public name
            reason = reason_of(error, 300)
    raise UserError(f"{model.name} cannot be expressed in TFLite: {reason}")
