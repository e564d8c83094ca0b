from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_fit import same, tiny_network

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.training.stages import TRAINED, Stage, parse_stages, set_trainable  # noqa: E402


@pytest.mark.parametrize(
    ("text", "epochs", "stages"),
    [
        ("head", 40, [Stage("head", 0, 40)]),
        ("all:3", 3, [Stage("all", 0, 3)]),
        ("head:1,all", 5, [Stage("head", 0, 1), Stage("all", 1, 4)]),
        (
            "head:2, top_blocks:3,all",
            6,
            [Stage("head", 0, 2), Stage("top_blocks", 2, 3), Stage("all", 5, 1)],
        ),
    ],
)
def test_stages_follow_each_other(text, epochs, stages):
    found = parse_stages(text, epochs)
    assert found == stages
    assert found[-1].end == epochs


@pytest.mark.parametrize(
    ("text", "epochs", "message"),
    [
        ("", 5, "'' is none of head, top_blocks, all"),
        ("everything", 5, "'everything' is none of head, top_blocks, all"),
        ("head:2,", 5, "'' is none of"),
        ("head:0,all", 5, "'0' is no number of epochs"),
        ("head:-1,all", 5, "'-1' is no number of epochs"),
        ("head:,all", 5, "'' is no number of epochs"),
        ("head:2.5,all", 5, "'2.5' is no number of epochs"),
        ("head:1:2,all", 5, "'1:2' is no number of epochs"),
        ("head,all", 5, "say how many epochs head lasts, as in head:2"),
        ("head:5,all", 5, "needs more epochs than --epochs=5"),
        ("head:6", 5, "needs more epochs than --epochs=5"),
        ("head:1,all:3", 5, "has 4 epochs and --epochs=5; make them equal"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, epochs, message):
    with pytest.raises(UserError) as refused:
        parse_stages(text, epochs)
    assert str(refused.value).startswith(f"--train={text}")
    assert message in str(refused.value)


@given(st.lists(st.tuples(st.sampled_from(TRAINED), st.integers(1, 50)), min_size=1, max_size=5))
def test_stages_are_read_as_written(stages):
    text = ",".join(f"{name}:{epochs}" for name, epochs in stages)
    found = parse_stages(text, sum(epochs for _, epochs in stages))
    assert [(stage.trained, stage.epochs) for stage in found] == stages
    assert [stage.first_epoch for stage in found] == [0, *(s.end for s in found[:-1])]


@given(st.text(alphabet="headtopblcks_:,0123 ٣²", max_size=20), st.integers(1, 9))
def test_any_text_is_stages_or_one_sentence(text, epochs):
    try:
        stages = parse_stages(text, epochs)
    except UserError as error:
        assert "\n" not in str(error)
    else:
        assert sum(stage.epochs for stage in stages) == epochs


def trained_layers(model):
    return [layer.name for layer in model._flatten_layers() if layer.trainable_weights]


@pytest.mark.parametrize("frozen", [False, True])
def test_more_and_more_layers_are_trained(frozen):
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(3, name="b"), keras.layers.BatchNormalization()]
    )
    inputs = keras.Input((3,))
    x = keras.layers.Dense(3, name="a")(inputs)
    x = keras.layers.BatchNormalization(name="n")(x)
    x = inner(x)
    backbone = keras.Model(inputs, keras.layers.Dense(3, name="c")(x))
    kernels = {
        "head": [],
        "top_blocks": ["b", "c"],  # 0.6 of five layers
        "all": ["a", "b", "c"],
    }
    normalisations = {"head": 0, "top_blocks": 1, "all": 2}
    for trained in ("all", "head", "top_blocks", "head", "all"):
        set_trainable(backbone, trained, 0.6, frozen_batch_norm=frozen)
        leaves = [layer for layer in (*backbone.layers, *inner.layers) if layer.trainable_weights]
        dense = {layer.name for layer in leaves if isinstance(layer, keras.layers.Dense)}
        normal = [x for x in leaves if isinstance(x, keras.layers.BatchNormalization)]
        assert sorted(dense) == kernels[trained]
        assert len(normal) == (0 if frozen else normalisations[trained])


def test_at_least_the_topmost_layer_is_trained_by_top_blocks():
    backbone, _ = tiny_network()
    set_trainable(backbone, "top_blocks", 0.0, frozen_batch_norm=False)
    assert len(backbone.trainable_weights) == 2
    set_trainable(backbone, "top_blocks", 1.0, frozen_batch_norm=False)
    assert len(backbone.trainable_weights) == 4


def test_frozen_normalisation_keeps_its_statistics_in_training():
    import numpy as np

    backbone, network = tiny_network()
    inputs = np.random.default_rng(0).normal(3, 2, (8, 4)).astype(np.float32)
    set_trainable(backbone, "all", 1.0, frozen_batch_norm=True)
    before = network.get_weights()
    network(inputs, training=True)
    assert same(before, network.get_weights())
    set_trainable(backbone, "all", 1.0, frozen_batch_norm=False)
    network(inputs, training=True)
    assert not same(before, network.get_weights())


def test_batch_normalisation_within_a_layer_of_several_parts_is_frozen_too():
    """Blocks of keras-hub are layers, not models."""

    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(4, 1)
            self.normalise = keras.layers.BatchNormalization()

        def call(self, inputs, training=False):
            return self.normalise(self.conv(inputs), training=training)

    inputs = keras.Input((8, 8, 3))
    block = Block()
    backbone = keras.Model(inputs, block(inputs))
    set_trainable(backbone, "all", 0.3, frozen_batch_norm=True)
    assert not block.normalise.trainable
    assert block.conv.trainable
    set_trainable(backbone, "all", 0.3, frozen_batch_norm=False)
    assert block.normalise.trainable
