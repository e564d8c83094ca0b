from __future__ import annotations

import numpy as np
import pytest

from taxonvision.models.engine import load_keras

keras = load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.training.batch_norm import synchronise_batch_norm  # noqa: E402


class Block(keras.layers.Layer):
    """A layer with a normalisation of its own."""

    def __init__(self):
        super().__init__()
        self.normalise = keras.layers.BatchNormalization()

    def call(self, inputs, training=False):
        return self.normalise(inputs, training=training)


def test_all_normalisations_at_any_depth_are_switched_and_switched_back():
    inner = keras.Sequential([keras.Input((4,)), Block(), keras.layers.BatchNormalization()])
    inputs = keras.Input((4,))
    outputs = keras.layers.BatchNormalization()(inner(inputs))
    model = keras.Model(inputs, keras.layers.LayerNormalization()(outputs))
    found = [inner.layers[0].normalise, inner.layers[1], model.layers[2]]
    assert synchronise_batch_norm(model, True) == 3
    assert [layer.synchronized for layer in found] == [True] * 3
    assert found[0].get_config()["synchronized"]
    assert synchronise_batch_norm(model, False) == 3
    assert [layer.synchronized for layer in found] == [False] * 3


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (keras.layers.BatchNormalization(), (8, 5, 5, 3)),
        (keras.layers.BatchNormalization(axis=1), (8, 3, 6)),
        (keras.layers.BatchNormalization(), (16, 4)),
    ],
)
def test_moments_and_their_gradients_are_those_of_keras(layer, shape):
    random = np.random.default_rng(0)
    inputs = tf.constant(random.normal(100, 3, shape), tf.float32)
    weights = tf.constant(random.normal(size=shape), tf.float32)
    layer.build(shape)
    layer.moving_mean.assign(layer.moving_mean + 99)
    model = keras.Sequential([keras.Input(shape[1:]), layer])
    results = []
    for on in (False, True):
        synchronise_batch_norm(model, on)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            mean, variance = layer._moments(inputs, None)
            loss = tf.reduce_sum(model(inputs, training=True) * weights)
        results.append([mean, variance, tape.gradient(loss, inputs)])
        layer.moving_mean.assign(layer.moving_mean * 0 + 99)
    for own, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=2e-5, atol=1e-5)


def test_a_variance_far_from_zero_does_not_cancel():
    layer = keras.layers.BatchNormalization()
    inputs = np.random.default_rng(0).normal(10_000, 1, (4096, 2)).astype(np.float32)
    model = keras.Sequential([keras.Input((2,)), layer])
    layer.moving_mean.assign([9_999.0, 10_001.0])
    synchronise_batch_norm(model, True)
    _, variance = layer._moments(tf.constant(inputs), None)
    np.testing.assert_allclose(variance, inputs.astype(np.float64).var(axis=0), rtol=1e-3)


def test_a_switched_back_model_is_saved_as_it_was(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization()])
    before = model.get_config()
    synchronise_batch_norm(model, True)
    synchronise_batch_norm(model, False)
    assert model.get_config() == before
    model.save(tmp_path / "model.keras")
    inputs = np.ones((2, 4), np.float32)
    again = keras.models.load_model(tmp_path / "model.keras")
    assert (again.predict(inputs, verbose=0) == model.predict(inputs, verbose=0)).all()


def test_another_method_of_keras_is_left_alone():
    class Other(keras.layers.BatchNormalization):
        def _moments(self, inputs):
            return None

    model = keras.Sequential([keras.Input((4,)), Other()])
    assert synchronise_batch_norm(model, True) == 1
    assert "_moments" not in vars(model.layers[0])
