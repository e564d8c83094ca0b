from __future__ import annotations

import numpy as np
import pytest
from small_models import small_backbone

from taxonvision.models.classifier import assemble
from taxonvision.models.resized import behind_a_resize
from taxonvision.models.tflite import to_tflite
from taxonvision.runtime.tflite import TFLiteModel


def noise(size: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, size, size, 3)).astype(np.float32)


def with_random_weights(model):
    """Also moving means and variances, which a fresh network has at 0 and 1."""
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.2, 0.4, w.shape) for w in model.get_weights()])
    return model


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
