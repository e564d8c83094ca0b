from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from small_models import small_backbone

from taxonvision.errors import UserError
from taxonvision.models import resized
from taxonvision.models.backbones import build_backbone
from taxonvision.models.classifier import assemble, take_apart
from taxonvision.models.engine import load_keras
from taxonvision.models.resized import at_size, behind_a_resize
from taxonvision.models.tflite import to_tflite
from taxonvision.runtime.tflite import TFLiteModel


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def with_random_weights(model):
    """Also moving means and variances, which a fresh network has at 0 and 1."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 0.4, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.slow
def test_there_and_back_the_usual_network_computes_the_same(tmp_path):
    name = "efficientnet_lite0"
    built = with_random_weights(build_backbone(name, pretrained=False, image_size=32).model)
    head = np.ones((1280, 2), np.float32), np.zeros(2, np.float32)
    assemble(built, *head).save(tmp_path / "model.keras")  # a trained one comes from a file
    trained, _, _ = take_apart(load_keras().saving.load_model(tmp_path / "model.keras"))
    larger = at_size(name, trained, 64)
    assert larger.input_shape == (None, 64, 64, 3)
    again = at_size(name, larger, 32)
    assert again is not trained
    assert np.array_equal(again(noise(32)), built(noise(32)))


def building(network, monkeypatch):
    """Let `network`, a function of the size, be what every name builds."""

    def build(name, *, pretrained, image_size):
        assert not pretrained
        return SimpleNamespace(model=network(image_size))

    monkeypatch.setattr(resized, "build_backbone", build)


def convolution(size):
    keras = load_keras()
    image = keras.Input((size, size, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(image))
    return keras.Model(image, keras.layers.GlobalMaxPooling2D()(hidden))


def transformer(size):
    keras = load_keras()
    image = keras.Input((size, size, 3))
    tokens = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 8, strides=8)(image))
    places = keras.layers.Dense(tokens.shape[1])(keras.layers.Permute((2, 1))(tokens))
    return keras.Model(image, keras.layers.GlobalAveragePooling1D()(places))


def test_what_convolutions_found_they_find_in_a_larger_photograph(monkeypatch):
    building(convolution, monkeypatch)
    trained = with_random_weights(convolution(16))
    photograph = noise(16)
    larger = at_size("hub:convolution", trained, 32)
    assert larger.input_shape == (None, 32, 32, 3)
    repeated = np.tile(photograph, (1, 2, 2, 1))
    found, before = larger.predict_on_batch(repeated), trained.predict_on_batch(photograph)
    assert (found >= before - 1e-4).all()
    assert not np.allclose(before, trained.predict_on_batch(photograph / 2))


def test_weights_with_a_place_in_the_picture_are_refused(monkeypatch):
    building(transformer, monkeypatch)
    with pytest.raises(UserError, match="hub:vit cannot run at 32 × 32, which --profile=x needs"):
        at_size("hub:vit", transformer(16), 32, "--profile=x")


def test_a_network_of_that_size_is_returned_as_it_is():
    backbone = small_backbone()
    assert at_size("tiny", backbone, 32) is backbone


def test_a_network_that_nobody_can_build_again_is_refused_in_a_line():
    with pytest.raises(UserError) as refused:
        at_size("tiny", small_backbone(), 299)
    assert str(refused.value) == (
        "tiny cannot run at 299 × 299, which --profile=inat needs; train with --image_size=299"
    )


def test_the_reason_of_a_network_that_is_too_small_stands_in_the_message():
    with pytest.raises(UserError, match=r"^VGG16 cannot run at 16 × 16, .*\(.*at least 32.*\)$"):
        at_size("VGG16", small_backbone(), 16)


def test_behind_a_resize_the_features_stay_those_of_the_trained_size():
    backbone = with_random_weights(small_backbone())
    larger = behind_a_resize(backbone, 64)
    assert larger.input_shape == (None, 64, 64, 3)
    photograph = noise(32)
    # Each pixel four times: shrunk to half, it is the same photograph.
    repeated = photograph.repeat(2, axis=1).repeat(2, axis=2)
    found, expected = larger.predict_on_batch(repeated), backbone.predict_on_batch(photograph)
    assert np.allclose(found, expected, rtol=1e-4)
    assert behind_a_resize(backbone, 32) is backbone


@pytest.mark.slow
def test_the_resize_needs_only_what_every_phone_has():
    head = np.ones((16, 2), np.float32), np.zeros(2, np.float32)
    classifier = assemble(behind_a_resize(small_backbone(), 299), *head)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 299, 299, 3), dtype=np.uint8)
    found = TFLiteModel(to_tflite(classifier, 1), "resized").run(pixels)
    expected = classifier.predict_on_batch(pixels.astype(np.float32))
    assert np.allclose(found, expected, atol=1e-5)
