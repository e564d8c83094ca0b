from __future__ import annotations

import numpy as np
import pytest
from small_models import small_backbone

from taxonvision.errors import UserError
from taxonvision.models.backbones import build_backbone
from taxonvision.models.resized import at_size


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def with_random_weights(model):
    """Also moving means and variances, which a fresh network has at 0 and 1."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 0.4, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("name", ["efficientnet_lite0", "MobileNetV3Small"])
def test_there_and_back_the_network_computes_the_same(name):
    trained = with_random_weights(build_backbone(name, pretrained=False, image_size=32).model)
    larger = at_size(name, trained, 64)
    assert larger.input_shape == (None, 64, 64, 3)
    assert larger.output_shape == trained.output_shape
    again = at_size(name, larger, 32)
    pixels = noise(32)
    assert again is not trained
    assert np.array_equal(again.predict_on_batch(pixels), trained.predict_on_batch(pixels))


def test_a_network_of_that_size_is_returned_as_it_is():
    backbone = small_backbone()
    assert at_size("tiny", backbone, 32) is backbone


def test_a_network_that_nobody_can_build_again_is_refused_in_a_line():
    with pytest.raises(UserError) as refused:
        at_size("tiny", small_backbone(), 299)
    assert str(refused.value) == (
        "tiny cannot run at 299 × 299, which --profile=inat needs; train with --image_size=299"
    )


def test_weights_with_a_place_in_the_picture_are_refused(monkeypatch):
    from types import SimpleNamespace

    import keras

    from taxonvision.models import resized

    def transformer(size):
        image = keras.Input((size, size, 3))
        tokens = keras.layers.Reshape((-1, 4))(keras.layers.Conv2D(4, 8, strides=8)(image))
        places = keras.layers.Dense(tokens.shape[1])(keras.layers.Permute((2, 1))(tokens))
        return keras.Model(image, keras.layers.GlobalAveragePooling1D()(places))

    def build(name, *, pretrained, image_size):
        assert not pretrained
        return SimpleNamespace(model=transformer(image_size))

    monkeypatch.setattr(resized, "build_backbone", build)
    trained = transformer(16)
    with pytest.raises(UserError, match="hub:vit cannot run at 32 × 32, which --profile=x needs"):
        at_size("hub:vit", trained, 32, "--profile=x")


def test_the_reason_of_a_network_that_is_too_small_stands_in_the_message():
    trained = build_backbone("InceptionV3", pretrained=False, image_size=75).model
    with pytest.raises(UserError, match=r"InceptionV3 cannot run at 32 × 32.*\(.*75.*\)$"):
        at_size("InceptionV3", trained, 32)
