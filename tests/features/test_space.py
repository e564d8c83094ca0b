from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from taxonvision.features.space import FeatureSpace, weights_digest
from taxonvision.models.engine import load_keras
from taxonvision.runtime.contract import Contract

SPACE = FeatureSpace("lite0", "ab" * 32, Contract(224, 0.875), 1, 256)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "lite1"},
        {"weights": "ac" * 32},
        {"contract": Contract(224, 0.876)},
        {"contract": Contract(225, 0.875)},
        {"view": 2},
        {"shrunk_to": 0},
    ],
)
def test_whatever_differs_gives_another_digest(change):
    assert replace(SPACE, **change).digest != SPACE.digest
    assert replace(SPACE).digest == SPACE.digest
    assert len(SPACE.digest) == 64


def test_the_record_has_all_of_it():
    assert json.loads(json.dumps(SPACE.as_json())) == {
        "backbone": "lite0",
        "weights": "ab" * 32,
        "contract": {"size": 224, "crop_ratio": 0.875},
        "view": 1,
        "shrunk_to": 256,
    }


def network(*weights):
    variables = [SimpleNamespace(name=name, numpy=lambda v=v: v) for name, v in weights]
    return SimpleNamespace(weights=variables)


def test_weights_are_told_apart_by_name_shape_dtype_order_and_bytes():
    values = np.arange(6, dtype=np.float32)
    nearly = values.copy()
    nearly.view(np.uint8)[5] ^= 1
    networks = [
        network(("a", values), ("b", values[:3])),
        network(("b", values), ("a", values[:3])),
        network(("b", values[:3]), ("a", values)),
        network(("a", values.reshape(2, 3)), ("b", values[:3])),
        network(("a", values.astype(np.float64)), ("b", values[:3])),
        network(("a", nearly), ("b", values[:3])),
        network(("a", values)),
        network(("a", values[0]), ("b", values[:3])),
    ]
    assert len({weights_digest(each) for each in networks}) == len(networks)
    turned = np.asfortranarray(values.reshape(2, 3))
    assert weights_digest(network(("a", turned), ("b", values[:3]))) == weights_digest(networks[3])


def test_a_network_built_or_read_again_has_the_same_digest(tmp_path):
    keras = load_keras()

    def build():
        keras.utils.set_random_seed(1)
        inputs = keras.Input((8, 8, 3))
        left = keras.layers.Conv2D(4, 3)(inputs)
        right = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
        hidden = keras.layers.Dropout(0.2)(keras.layers.Add()([right, left]))
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))

    model = build()
    digest = weights_digest(model)
    assert weights_digest(build()) == digest
    wrapped = keras.Sequential([keras.Input((8, 8, 3)), model, keras.layers.Dense(3)])
    wrapped.save(tmp_path / "model.keras")
    read = keras.models.load_model(tmp_path / "model.keras")
    assert weights_digest(read.layers[0]) == digest
    weights = model.get_weights()
    weights[0][0, 0, 0, 0] += 1e-6
    model.set_weights(weights)
    assert weights_digest(model) != digest
