import json

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.backbones import build_backbone

pytestmark = pytest.mark.slow  # importing keras-hub alone takes seconds


@pytest.fixture(scope="module")
def keras_hub():
    from taxonvision.models.engine import load_keras

    load_keras()
    import keras_hub

    return keras_hub


@pytest.fixture(scope="module")
def resnet(keras_hub):
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )


def pixels(size):
    return np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("float32")


def test_local_preset_with_its_scaling_and_size(keras_hub, resnet, tmp_path):
    converter = keras_hub.layers.ResNetImageConverter(
        image_size=(48, 48), scale=[1 / 50, 1 / 60, 1 / 70], offset=[-1.0, -2.0, -3.0]
    )
    resnet.save_to_preset(str(tmp_path))
    converter.save_to_preset(str(tmp_path))
    backbone = build_backbone(f"hub:{tmp_path}")
    assert (backbone.name, backbone.image_size) == (f"hub:{tmp_path}", 48)
    images = pixels(48)
    scaled = images / [50, 60, 70] - [1.0, 2.0, 3.0]
    expected = resnet(scaled.astype("float32")).numpy().mean(axis=(1, 2))
    found = backbone.model(images).numpy()
    assert found.shape == (2, 16)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    fresh = build_backbone(f"hub:{tmp_path}", pretrained=False, image_size=32)
    assert fresh.image_size == 32
    assert np.abs(fresh.model(pixels(32)).numpy()).max() > 0
    first = [model.get_layer("scale").output for model in (fresh.model, backbone.model)]
    assert first[0].shape[1:3] == (32, 32)
    assert first[1].shape[1:3] == (48, 48)
    kernels = [
        next(weight for weight in model.weights if weight.name == "kernel")
        for model in (fresh.model, backbone.model)
    ]
    assert np.abs(kernels[0] - kernels[1]).max() > 0


def test_saved_model_is_read_back(resnet, tmp_path):
    import keras

    resnet.save_to_preset(str(tmp_path / "preset"))
    model = build_backbone(f"hub:{tmp_path / 'preset'}", image_size=32).model
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(loaded(pixels(32)), model(pixels(32)), rtol=1e-5, atol=1e-6)


def test_preset_without_a_converter_takes_plain_pixels(resnet, tmp_path):
    resnet.save_to_preset(str(tmp_path))
    backbone = build_backbone(f"hub:{tmp_path}")
    assert backbone.image_size == 224
    assert "scale" not in [layer.name for layer in backbone.model.layers]


def test_tokens_are_averaged(keras_hub, tmp_path):
    vit = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8
    )
    vit.save_to_preset(str(tmp_path))
    assert build_backbone(f"hub:{tmp_path}", image_size=32).model.output_shape == (None, 8)
    with pytest.raises(UserError, match="takes no 64 × 64 RGB image"):
        build_backbone(f"hub:{tmp_path}", image_size=64)


def test_unknown_presets_are_a_sentence(keras_hub, tmp_path):
    with pytest.raises(UserError, match="preset 'no_such_preset' cannot be loaded: "):
        build_backbone("hub:no_such_preset")
    (tmp_path / "config.json").write_text(json.dumps({"class_name": "os.system"}))
    with pytest.raises(UserError, match="cannot be loaded: "):
        build_backbone(f"hub:{tmp_path}")
