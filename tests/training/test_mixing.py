from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from two_workers import run_workers

from taxonvision.training.augmentations import AUGMENTATIONS, MixingOptions
from taxonvision.training.mixing import Mixing

SIZE, CLASSES = 16, 5
ALL = AUGMENTATIONS["strong"].mixing
KINDS = {
    "mixup": MixingOptions(mixup_alpha=0.2),
    "cutmix": MixingOptions(cutmix_alpha=1.0),
    "randaugment": MixingOptions(operations=2, magnitude=1.0),
    "strong": ALL,
}


def batch(count, seed=0):
    """Photographs of noise and their classes."""
    images = np.random.default_rng(seed).uniform(0, 255, (count, SIZE, SIZE, 3))
    return images.astype(np.float32), np.eye(CLASSES, dtype=np.float32)[np.arange(count) % CLASSES]


def flat(count):
    """Photograph i has the value 10 * i everywhere, and is of class i."""
    images = np.repeat(10.0 * np.arange(count), SIZE * SIZE * 3).reshape(count, SIZE, SIZE, 3)
    return images.astype(np.float32), np.eye(count, dtype=np.float32)


def run(mixing, images, targets, step=0, replica=0):
    found = mixing(tf.constant(images), tf.constant(targets), step, replica)
    return [tensor.numpy() for tensor in found]


def compiled(mixing):
    signature = (
        tf.TensorSpec((None, SIZE, SIZE, 3)),
        tf.TensorSpec((None, CLASSES)),
        tf.TensorSpec((), tf.int64),
        tf.TensorSpec((), tf.int32),
    )
    return tf.function(lambda *arguments: mixing(*arguments), input_signature=signature)


@pytest.fixture(scope="module", params=list(KINDS))
def kind(request):
    """A mixing, and the same compiled."""
    mixing = Mixing(KINDS[request.param], seed=3)
    return mixing, compiled(mixing)


# A function of seed, step and replica.


def test_the_same_place_gives_the_same_and_any_other_another(kind):
    mixing, function = kind
    images, targets = batch(6)
    places = [(step, replica) for step in (0, 1, 10**6, 2**33) for replica in (0, 1)]
    found = [function(images, targets, *place)[0].numpy() for place in places]
    again = [function(images, targets, *place)[0].numpy() for place in reversed(places)]
    for one, same in zip(found, reversed(again), strict=True):
        assert np.array_equal(one, same)
    assert len(np.unique(np.stack(found), axis=0)) == len(places)
    other = Mixing(KINDS["strong"], seed=4)
    assert not np.array_equal(run(mixing, images, targets)[0], run(other, images, targets)[0])


def test_eager_and_compiled_are_the_same(kind):
    mixing, function = kind
    images, targets = batch(4)
    for step in range(4):  # MixUp and CutMix are both among them
        for one, other in zip(
            run(mixing, images, targets, step), function(images, targets, step, 0), strict=True
        ):
            np.testing.assert_allclose(one, other, atol=1e-2)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_any_number_of_photographs(kind, count):
    images, targets = batch(count)
    for step in range(6):
        mixed, blended = (tensor.numpy() for tensor in kind[1](images, targets, step, 0))
        assert (mixed.shape, mixed.dtype) == (images.shape, np.float32)
        assert (blended.shape, blended.dtype) == (targets.shape, np.float32)
        assert mixed.min() >= -1e-3
        assert mixed.max() <= 255 + 1e-3
        assert blended.min() >= 0
        np.testing.assert_allclose(blended.sum(axis=1), 1, atol=1e-5)


def test_nothing_asked_nothing_done():
    images, targets = batch(3)
    mixed, blended = run(Mixing(MixingOptions(), seed=0), images, targets)
    assert np.array_equal(mixed, images)
    assert np.array_equal(blended, targets)


def test_no_variable_is_read_or_written(kind):
    """Keras's layers, called as they are, draw their seeds from variables."""
    assert not kind[1].get_concrete_function().variables
    called = tf.function(keras.layers.RandomBrightness(0.1)).get_concrete_function(batch(1)[0])
    assert called.variables


# What each does.


def test_mixup_blends_photographs_as_their_targets():
    images, targets = flat(8)
    mixed, blended = run(Mixing(MixingOptions(mixup_alpha=1.0), seed=0), images, targets)
    assert np.ptp(mixed, axis=(1, 2, 3)).max() < 1e-3
    np.testing.assert_allclose(mixed[:, 0, 0, 0], blended @ (10 * np.arange(8)), atol=1e-3)
    assert ((blended > 0.01).sum(axis=1) == 2).sum() >= 4
    assert (blended > 0).sum(axis=1).max() == 2


def test_cutmix_puts_a_piece_in_by_its_area():
    images, targets = flat(8)
    mixing = Mixing(MixingOptions(cutmix_alpha=1.0), seed=0)
    pieces = 0
    for step in range(4):
        mixed, blended = run(mixing, images, targets, step)
        for number, (picture, target) in enumerate(zip(mixed, blended, strict=True)):
            kept = (picture == images[number]).mean()
            assert len(np.unique(picture)) <= 2
            if (target > 0).sum() == 2:
                # The border of a piece lies between pixels: off by a pixel on each side.
                assert abs(kept - target[number]) < 4 / SIZE
                pieces += 1
    assert pieces > 16


def test_a_batch_gets_either_mixup_or_cutmix_about_as_often():
    images, targets = flat(5)
    function = compiled(Mixing(dataclasses.replace(ALL, mixup_alpha=1.0, operations=0), seed=0))
    blended = 0
    for step in range(60):
        mixed = function(images, targets, step, 0)[0].numpy()
        values = {round(float(value), 2) for value in np.unique(mixed)}
        blended += not values <= {0.0, 10.0, 20.0, 30.0, 40.0}
    assert 18 < blended < 42


def test_randaugment_leaves_targets_and_chooses_for_each_photograph():
    images = np.repeat(batch(1)[0], 12, axis=0)
    targets = batch(12)[1]
    mixed, same = run(Mixing(MixingOptions(operations=1), seed=0), images, targets)
    assert np.array_equal(same, targets)
    assert len(np.unique(mixed.round(), axis=0)) == 12
    moved = np.abs(np.sort(mixed.reshape(12, -1)) - np.sort(images.reshape(12, -1))).mean(axis=1)
    assert np.ptp(moved) > 5


def test_randaugment_goes_further_with_its_magnitude():
    images, targets = batch(24)
    means = []
    for magnitude in (0.01, 0.3, 1.0):
        mixing = Mixing(MixingOptions(operations=1, magnitude=magnitude), seed=0)
        means.append(float(np.abs(run(mixing, images, targets)[0] - images).mean()))
    assert means[0] < means[1] < means[2]


def test_randaugment_keeps_a_picture_upright_and_its_hue():
    """Above red, below dark blue: at full magnitude still so."""
    images = np.zeros((32, SIZE, SIZE, 3), np.float32)
    images[:, : SIZE // 2, :, 0], images[:, SIZE // 2 :, :, 2] = 200, 90
    mixing = Mixing(MixingOptions(operations=2, magnitude=1.0), seed=1)
    mixed, _ = run(mixing, images, batch(32)[1])
    above, below = mixed[:, :4, 4:12].mean((1, 2)), mixed[:, -4:, 4:12].mean((1, 2))
    assert (above.argmax(axis=1) == 0).all()
    assert (below.argmax(axis=1) == 2).all()


# Where it runs.


def test_half_precision_of_the_network_changes_nothing():
    images, targets = batch(4)
    expected = [run(Mixing(ALL, seed=0), images, targets, step) for step in range(3)]
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = [run(Mixing(ALL, seed=0), images, targets, step) for step in range(3)]
    finally:
        keras.config.set_dtype_policy("float32")
    for pair, other in zip(found, expected, strict=True):
        for tensor, same in zip(pair, other, strict=True):
            assert tensor.dtype == np.float32
            assert np.array_equal(tensor, same)


@pytest.mark.slow
def test_it_runs_in_tf_data_on_the_host():
    images, targets = batch(4)
    mixing = Mixing(ALL, seed=0)
    steps = tf.data.Dataset.range(3).map(lambda step: mixing(images, targets, step, 0))
    for step, (mixed, _) in enumerate(steps):
        np.testing.assert_allclose(mixed, run(mixing, images, targets, step)[0], atol=1e-2)


ON_TWO_REPLICAS = """
import sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from taxonvision.training.augmentations import AUGMENTATIONS
from taxonvision.training.mixing import Mixing

strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    mixing = Mixing(AUGMENTATIONS["strong"].mixing, seed=3)
images = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype(np.float32)
targets = np.eye(3, dtype=np.float32)

@tf.function
def step(number):
    def one():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return mixing(tf.constant(images), tf.constant(targets), number, replica)
    return strategy.run(one)

seen = []
for number in (5, 6, 5):
    mixed, blended = step(tf.constant(number, tf.int64))
    for replica in range(2):
        found = [strategy.experimental_local_results(x)[replica].numpy() for x in (mixed, blended)]
        for one, other in zip(found, mixing(images, targets, number, replica)):
            np.testing.assert_allclose(one, other, atol=1e-2)
        seen.append(found[0])
assert len(np.unique(np.stack(seen), axis=0)) == 4, "both replicas, or both steps, drew the same"
print("replicas differ and repeat")
"""


@pytest.mark.slow
def test_it_runs_in_the_replicas_of_a_strategy():
    [done] = run_workers(["-c", ON_TWO_REPLICAS], 1)
    assert done.returncode == 0, done.stderr
    assert "replicas differ and repeat" in done.stdout
