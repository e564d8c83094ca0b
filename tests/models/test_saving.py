"""What a backbone is made of survives Keras's safe mode and TFLite's built-in operators."""

import numpy as np
import pytest

from taxonvision.models.applications import apply_scaling, measured_scaling
from taxonvision.models.backbones import build_backbone
from taxonvision.models.engine import load_keras


def only_the_scaling(module):
    """The graph's beginning of a family of `keras.applications`, with the mean as its network."""
    keras = load_keras()
    scaling = measured_scaling(getattr(keras.applications, module).preprocess_input)
    image = keras.Input((32, 32, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D()(apply_scaling(image, scaling))
    return keras.Model(image, features)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        "resnet",
        "densenet",
        "efficientnet_lite0",
    ],
)
def test_survives_saving_and_converts_without_flex(name, tmp_path):
    keras = load_keras()
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    if name == "efficientnet_lite0":
        whole = build_backbone(name, pretrained=False, image_size=32).model
        # Every kind of layer has been met by here, the residual sum included.
        features = keras.layers.GlobalAveragePooling2D()(whole.get_layer("block2b_add").output)
        model = keras.Model(whole.inputs, features)
    else:
        model = only_the_scaling(name)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype("float32")
    features = model(pixels).numpy()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(pixels).numpy(), features, rtol=1e-5, atol=1e-5)

    converter = tf.lite.TFLiteConverter.from_keras_model(loaded)  # knows built-in operators only
    interpreter = Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(found, features, rtol=1e-3, atol=1e-3)
