from __future__ import annotations

import numpy as np
import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.export.recipes import RECIPES
from taxonvision.models.directory import open_model
from taxonvision.runtime.tflite import TFLiteModel


@pytest.fixture(scope="module")
def graph(small_model):
    """The small model as a float32 graph, and the Keras model."""
    from taxonvision.models.tflite import to_tflite

    keras_model = open_model(small_model).load()
    return to_tflite(keras_model, 1), keras_model


@pytest.fixture(scope="module")
def pixels(small_catalog):
    catalog = open_catalog(small_catalog)
    from taxonvision.runtime.contract import Contract

    paths = [path for split in ("train", "val", "test") for path in catalog.photos(split).paths]
    return np.concatenate(list(Contract(32).read_batches(paths, 64)))


@pytest.mark.parametrize(
    ("name", "input_type", "difference"),
    [
        ("float32", "float32", 1e-5),
        ("float16", "float32", 0.01),
        ("dynamic", "float32", 0.1),
        ("int8", "uint8", 0.2),
        ("int8", "float32", 0.2),
    ],
)
def test_each_recipe_stays_near_keras(graph, pixels, name, input_type, difference):
    content = RECIPES[name](graph[0], pixels, input_type)
    model = TFLiteModel(content, name)
    assert model.input.dtype == input_type
    assert model.input.shape == (1, 32, 32, 3)
    assert model.output.dtype == "float32"
    scores = model.run(pixels)
    expected = graph[1].predict_on_batch(pixels.astype(np.float32))
    assert np.abs(scores - expected).max() < difference
    assert (scores.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.9
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)


def test_the_softmax_of_int8_is_not_in_steps_of_a_256th(graph, pixels):
    scores = TFLiteModel(RECIPES["int8"](graph[0], pixels, "uint8"), "int8").run(pixels)
    steps = scores * 256
    assert np.abs(steps - steps.round()).max() > 0.01
    small = scores[scores < 1 / 512]
    assert len(small) == 0 or (small > 0).any()


def test_recipes_are_deterministic(graph, pixels):
    first, again = (RECIPES["int8"](graph[0], pixels[:8], "uint8") for _ in range(2))
    assert first == again
