from __future__ import annotations

import numpy as np
import pytest
import tiny_train  # noqa: F401 - brings the backbone

from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.training.head import Head  # noqa: E402
from taxonvision.training.network import Network, NetworkOptions  # noqa: E402
from taxonvision.training.strategies import place  # noqa: E402
from taxonvision.training.warm_start import WarmStart  # noqa: E402

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)


def some_head(dimension):
    random = np.random.default_rng(1)
    return Head(random.normal(size=(dimension, 5)).astype(np.float32), np.ones(5, np.float32))


def tiny(**options):
    options = {"backbone": "tiny", "pretrained": False, **options}
    return Network(NetworkOptions(**options), place("single"), None, some_head)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_it_computes_in_the_precision_asked_for_and_ends_in_float32(precision):
    keras.utils.set_random_seed(0)
    network = tiny(precision=precision)
    assert keras.config.dtype_policy().name == "float32"  # for whoever comes next
    convolution = network.backbone.model.layers[2]
    assert convolution.dtype_policy.name == precision
    assert {variable.dtype for variable in network.logits.variables} == {"float32"}
    logits = network.logits([IMAGES])
    assert logits.dtype == "float32"
    finished = network.finished()
    assert {layer.dtype_policy.name for layer in finished._flatten_layers()} == {"float32"}
    scores = finished(IMAGES)
    tolerance = {"float32": 1e-6, "mixed_bfloat16": 0.02, "mixed_float16": 2e-3}[precision]
    np.testing.assert_allclose(scores, keras.ops.softmax(logits), atol=tolerance)
    np.testing.assert_allclose(np.sum(scores, axis=1), 1, rtol=1e-5)


def test_the_finished_network_is_a_copy():
    network = tiny()
    finished = network.finished()
    before = finished.get_weights()
    assert len(before) == len(network.logits.get_weights())
    for one, other in zip(before, network.logits.get_weights(), strict=True):
        assert (one == other).all()
    for variable in network.logits.variables:
        variable.assign(variable + 1)
    assert all((a == b).all() for a, b in zip(before, finished.get_weights(), strict=True))


def trained(network, stage):
    network.freeze(stage)
    return [variable.path.rpartition("/")[2] for variable in network.logits.trainable_variables]


def test_a_stage_trains_the_head_in_any_case():
    network = tiny(top_share=0.5, frozen_batch_norm=False)
    assert trained(network, "head") == ["kernel", "bias"]
    assert trained(network, "top_blocks") == ["kernel", "gamma", "beta", "kernel", "bias"]
    assert trained(network, "all") == ["kernel", "gamma", "beta"] * 2 + ["kernel", "bias"]


@pytest.mark.parametrize(
    ("frozen", "from_weights", "count"),
    [(None, False, 8), (None, True, 4), (True, False, 4), (False, True, 8)],
)
def test_normalisation_is_frozen_where_training_starts_from_weights(frozen, from_weights, count):
    warm = None
    if from_weights:
        weights = tiny().backbone.model.get_weights()
        warm = WarmStart("f", "tiny", False, 32, weights, {})
    options = NetworkOptions("tiny", pretrained=False, frozen_batch_norm=frozen)
    network = Network(options, place("single"), warm, some_head)
    assert len(trained(network, "all")) == count


def test_the_side_of_the_input_can_be_chosen():
    assert tiny(image_size=40).logits.input_shape == (None, 40, 40, 3)
    warm = WarmStart("f", "tiny", True, 24, tiny().backbone.model.get_weights(), {})
    options = NetworkOptions("efficientnet_lite0")
    network = Network(options, place("single"), warm, some_head)
    assert network.logits.input_shape == (None, 24, 24, 3)
    assert (network.backbone.name, network.backbone.pretrained) == ("tiny", True)
