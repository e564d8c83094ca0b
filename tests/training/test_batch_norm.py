from __future__ import annotations

from taxonvision.models.engine import load_keras

keras = load_keras()

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
