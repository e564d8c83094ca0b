"""A backbone with a head: retired classes are in it and never answered."""

from __future__ import annotations

import numpy as np
import pytest

from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.models.classifier import (  # noqa: E402
    assemble,
    logits_of,
    take_apart,
    temperature_of,
    unknown_logit_in,
)
from taxonvision.runtime.probabilities import probabilities_of  # noqa: E402

CLASSES = 5


@pytest.fixture(scope="module")
def backbone():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))


@pytest.fixture(scope="module")
def head():
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.05, (4, CLASSES)).astype(np.float32)
    return kernel, rng.normal(size=CLASSES).astype(np.float32)


@pytest.fixture(scope="module")
def photographs():
    return np.random.default_rng(1).uniform(0, 255, (6, 8, 8, 3)).astype(np.float32)


def saved(model, tmp_path):
    """As anyone with Keras opens it."""
    model.save(tmp_path / "model.keras")
    return keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)


def logits_by_hand(backbone, head, photographs):
    return np.asarray(backbone(photographs)) @ head[0] + head[1]


def test_probabilities_are_the_softmax_of_backbone_and_head(backbone, head, photographs, tmp_path):
    logits = logits_by_hand(backbone, head, photographs)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = saved(assemble(backbone, *head), tmp_path)(photographs)
    np.testing.assert_allclose(found, expected, 1e-5)


@pytest.mark.parametrize("retired", [[0], [1, 4], [0, 1, 2]])
def test_retired_classes_have_probability_0_in_plain_keras(
    backbone, head, photographs, tmp_path, retired
):
    model = saved(assemble(backbone, *head, retired), tmp_path)
    found = np.asarray(model(photographs))
    assert found.dtype == np.float32
    assert (found[:, retired] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, 1e-6)


def test_however_high_a_retired_class_scores(backbone, photographs):
    kernel, bias = np.zeros((4, 3), np.float32), np.array([1e6, 0, -1e6], np.float32)
    found = np.asarray(assemble(backbone, kernel, bias, [0])(photographs))
    assert (found == [0, 1, 0]).all()


def test_weights_of_retired_classes_stay_in_the_head(backbone, head, tmp_path):
    model = saved(assemble(backbone, *head, [2]), tmp_path)
    again, kernel, bias = take_apart(model)
    assert (kernel == head[0]).all()
    assert (bias == head[1]).all()
    for found, expected in zip(again.get_weights(), backbone.get_weights(), strict=True):
        assert (found == expected).all()


def test_logits_of_active_classes(backbone, head, photographs):
    expected = logits_by_hand(backbone, head, photographs)
    whole, masked = (
        np.asarray(logits_of(assemble(backbone, *head, retired))([photographs]))
        for retired in ((), (3,))
    )
    np.testing.assert_allclose(whole, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(np.delete(whole, 3, 1), np.delete(masked, 3, 1))
    assert (masked[:, 3] < -1e8).all()


def test_the_same_again_and_again(backbone, head, photographs, tmp_path):
    """Releases are taken apart and put together; nothing is nested deeper each time."""
    model, layers = assemble(backbone, *head, [1]), None
    for _ in range(3):
        model = saved(assemble(*take_apart(model), [1]), tmp_path)
        layers = layers or [layer.name for layer in model.layers]
        assert len(model.layers) == len(layers)
    np.testing.assert_array_equal(model(photographs), assemble(backbone, *head, [1])(photographs))


def test_a_temperature_is_what_logits_are_divided_by(backbone, head, photographs, tmp_path):
    model = saved(assemble(backbone, *head, [2], 0.4), tmp_path)
    active = [0, 1, 3, 4]
    scaled = logits_by_hand(backbone, head, photographs)[:, active] / 0.4
    expected = np.exp(scaled) / np.exp(scaled).sum(axis=1, keepdims=True)
    found = np.asarray(model(photographs))
    np.testing.assert_allclose(found[:, active], expected, 1e-4)
    assert (found[:, 2] == 0).all()
    np.testing.assert_allclose(logits_of(model)([photographs])[:, :2], scaled[:, :2], 1e-4)
    assert temperature_of(model) == pytest.approx(0.4)


def test_a_part_of_1_is_left_for_nothing_that_is_known(backbone, head, photographs, tmp_path):
    model = saved(assemble(backbone, *head, [2], 0.4, 1.5), tmp_path)
    scaled = logits_by_hand(backbone, head, photographs) / 0.4
    scaled[:, 2] = -1e9
    found = np.asarray(model(photographs))
    np.testing.assert_allclose(found, probabilities_of(scaled, 1.5), rtol=1e-4, atol=1e-7)
    assert (found.sum(axis=1) < 1).all()
    assert unknown_logit_in(model) == pytest.approx(1.5)
    assert unknown_logit_in(assemble(backbone, *head)) is None


def test_weights_are_as_trained_whatever_the_temperature(backbone, head):
    model = assemble(backbone, *head, temperature=3.0)
    _, kernel, bias = take_apart(model)
    assert (kernel == head[0]).all()
    assert (bias == head[1]).all()


def test_the_temperature_1_adds_no_layer(backbone, head):
    model = assemble(backbone, *head)
    assert temperature_of(model) == 1
    assert "temperature" not in [layer.name for layer in model.layers]


@pytest.mark.parametrize("kind", ["no head", "no backbone"])
def test_what_is_no_backbone_with_a_head(backbone, kind):
    if kind == "no head":
        model = backbone
    else:
        inputs = keras.Input((4,))
        model = keras.Model(inputs, keras.layers.Dense(3, name="logits")(inputs))
    with pytest.raises(ValueError, match=r"no backbone with a head|No such layer"):
        take_apart(model)
