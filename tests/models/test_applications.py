import sys

import numpy as np
import pytest

from taxonvision.models.applications import (
    application_image_size,
    application_names,
    apply_scaling,
    measured_scaling,
)
from taxonvision.models.engine import load_keras


def module_of(name):
    return sys.modules[getattr(load_keras().applications, name).__module__]


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("MobileNetV2", 1),  # "tf": to -1…1
        ("DenseNet121", 1),  # "torch": a mean and a deviation for each channel
        ("ResNet50", 2),  # "caffe": BGR without its mean
        ("EfficientNetB0", 0),  # scales inside
    ],
)
def test_graph_scales_as_keras_does(name, layers):
    keras = load_keras()
    preprocess = module_of(name).preprocess_input
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, apply_scaling(image, measured_scaling(preprocess)))
    assert len(model.operations) == 1 + layers
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    expected = preprocess(pixels.copy())
    np.testing.assert_allclose(model(pixels).numpy(), expected, rtol=1e-5, atol=2e-5)


def test_every_network_can_be_scaled():
    names = application_names()
    assert len(names) >= 38
    for name in names:
        measured_scaling(module_of(name).preprocess_input)


def test_mixed_channels_are_refused():
    def grey(pixels):
        return np.repeat(pixels.mean(axis=-1, keepdims=True), 3, axis=-1)

    with pytest.raises(NotImplementedError, match="mixes channels"):
        measured_scaling(grey)


def test_image_sizes_are_those_of_keras(monkeypatch):
    class FoundError(Exception):
        pass

    def stop(input_shape, default_size, **_):
        raise FoundError(default_size)

    for name in application_names():
        if name.startswith("MobileNetV3"):  # 224 by its documentation; it does not ask
            continue
        monkeypatch.setattr(module_of(name).imagenet_utils, "obtain_input_shape", stop)
        with pytest.raises(FoundError) as caught:
            getattr(load_keras().applications, name)(weights=None)
        assert caught.value.args == (application_image_size(name),)
