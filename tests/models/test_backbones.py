import subprocess
import sys
import urllib.error

import pytest

from taxonvision.errors import UserError
from taxonvision.models.backbones import build_backbone


def test_efficientnet_lite0_is_pretrained_without_a_network():
    backbone = build_backbone("efficientnet_lite0")
    assert (backbone.name, backbone.image_size) == ("efficientnet_lite0", 224)
    assert (backbone.crop_ratio, backbone.pretrained) == (1.0, True)
    assert backbone.model.output_shape == (None, 1280)
    assert backbone.model.get_layer("stem_bn").get_weights()[2].any()


def test_names_need_not_be_spelt_as_keras_does():
    for name in ("MobileNetV3Small", "mobilenet_v3_small", "MOBILENET-V3-SMALL"):
        backbone = build_backbone(name, pretrained=False, image_size=64)
        assert backbone.name == "MobileNetV3Small"
        assert backbone.image_size == 64
        assert not backbone.pretrained
        assert backbone.model.input_shape == (None, 64, 64, 3)
        assert backbone.model.output_shape == (None, 576)
        assert not isinstance(backbone.model.input, list)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("efficientnet_lite5", "efficientnet_lite"),
        ("mobilenet_v3", "MobileNetV"),
        ("resnet51", "ResNet50"),
    ],
)
def test_unknown_name_names_the_nearest(name, nearest):
    with pytest.raises(UserError, match=f"no backbone '{name}'; did you mean {nearest}"):
        build_backbone(name)


def test_unlike_any_name_lists_them():
    with pytest.raises(UserError, match=r"known are efficientnet_lite0.*MobileNetV3Large"):
        build_backbone("?")


def test_impossible_sizes_are_a_sentence():
    with pytest.raises(UserError, match="0 pixels is impossible"):
        build_backbone("efficientnet_lite0", image_size=0)
    with pytest.raises(UserError, match=r"InceptionV3 at 32 pixels: .*75"):
        build_backbone("InceptionV3", pretrained=False, image_size=32)


def test_failed_download_is_a_sentence(monkeypatch, capsys, tmp_path):
    from keras.src.utils import file_utils

    def unreachable(*_, **__):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"weights of MobileNetV2 could not .*--nopretrained"):
        build_backbone("MobileNetV2", image_size=32)
    assert capsys.readouterr().out == ""


def test_features_are_float32_under_mixed_precision():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for name in ("MobileNet", "efficientnet_lite0"):
            model = build_backbone(name, pretrained=False, image_size=32).model
            assert model.outputs[0].dtype == "float32"
            assert model.inputs[0].dtype == "float32"
            # Several layers compute in bfloat16: the policy was not just ignored.
            assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    finally:
        keras.config.set_dtype_policy("float32")


def in_a_fresh_process(code, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_importing_costs_nothing():
    done = in_a_fresh_process(
        "import sys, taxonvision.models, taxonvision.models.backbones\n"
        "print([name for name in ('keras', 'tensorflow', 'keras_hub') if name in sys.modules])"
    )
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
def test_building_is_silent():
    done = in_a_fresh_process(
        "from taxonvision.models.backbones import build_backbone\n"
        "build_backbone('efficientnet_lite0', image_size=32)"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_another_engine_is_refused(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(UserError, match="KERAS_BACKEND is 'jax'"):
        build_backbone("efficientnet_lite0")
