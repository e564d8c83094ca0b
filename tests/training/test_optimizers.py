from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.training.optimizers import (  # noqa: E402
    OptimizerOptions,
    make_optimizer,
    make_schedule,
    scaled_rate,
)


def rates(options, batch_size, steps):
    schedule = make_schedule(options, batch_size, steps)
    return [float(schedule(step)) for step in range(steps + 1)]


@pytest.mark.parametrize(
    ("name", "batch_size", "factor"),
    [("sgd", 256, 1), ("sgd", 64, 0.25), ("sgd", 1024, 4), ("adamw", 64, 0.5), ("adamw", 1024, 2)],
)
def test_the_rate_is_scaled_by_the_batch(name, batch_size, factor):
    options = OptimizerOptions(name, learning_rate=0.1)
    assert scaled_rate(options, batch_size) == pytest.approx(0.1 * factor)


def test_the_rate_rises_for_a_tenth_and_falls_along_a_cosine():
    found = rates(OptimizerOptions("sgd", learning_rate=0.8, warmup=0.1), 128, 100)
    assert found[:11] == pytest.approx([0.04 * step for step in range(11)])
    assert found[55] == pytest.approx(0.2)  # half-way down
    assert found[10:] == pytest.approx(
        [0.2 * (1 + math.cos(math.pi * step / 90)) for step in range(91)], abs=1e-7
    )
    assert found[100] == 0


@pytest.mark.parametrize(("warmup", "steps"), [(0.0, 100), (0.1, 9)])
def test_without_warm_up_the_first_step_has_the_highest_rate(warmup, steps):
    found = rates(OptimizerOptions("adamw", learning_rate=1e-3, warmup=warmup), 256, steps)
    assert found[0] == pytest.approx(1e-3)
    assert all(first > second for first, second in itertools.pairwise(found))


def test_a_run_of_one_step_has_a_rate():
    assert rates(OptimizerOptions(warmup=0.1), 256, 1) == pytest.approx([1e-3, 0], abs=1e-9)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("float16", [False, True])
def test_kernels_decay_and_biases_and_normalisation_do_not(name, float16):
    inputs = keras.Input((3,))
    hidden = keras.layers.BatchNormalization()(keras.layers.Dense(2)(inputs))
    hidden = keras.layers.LayerNormalization()(hidden)
    model = keras.Model(inputs, keras.layers.Dense(2)(hidden))
    variables = model.trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    options = OptimizerOptions(name, learning_rate=0.5, weight_decay=0.1)
    optimizer = make_optimizer(options, make_schedule(options, 256, 10), float16=float16)
    optimizer.build(variables)
    optimizer.apply([np.zeros(v.shape, np.float32) for v in variables], variables)
    found = {v.path: np.asarray(v) for v in variables}
    assert len(found) == 8
    for path, value in found.items():
        expected = 0.95 if path.endswith("kernel") else 1.0
        np.testing.assert_allclose(value, expected, rtol=1e-6, err_msg=path)


@pytest.mark.parametrize("float16", [False, True])
def test_the_average_follows_the_weights(float16):
    options = OptimizerOptions("sgd", learning_rate=1.0, weight_decay=0, warmup=0, ema=0.5)
    optimizer = make_optimizer(options, make_schedule(options, 256, 1000), float16=float16)
    variable = keras.Variable([0.0])
    optimizer.build([variable])
    values = []
    for _ in range(4):
        gradient = np.array([-1.0], np.float32)
        if float16:  # the scale starts there and the optimiser divides by it
            gradient *= float(optimizer.dynamic_scale)
        optimizer.apply([gradient], [variable])
        values.append(float(variable[0]))
    average = values[0]  # it starts with the weights after the first step
    for value in values[1:]:
        average = 0.5 * average + 0.5 * value
    optimizer.finalize_variable_values([variable])
    assert values[-1] > 1
    assert float(variable[0]) == pytest.approx(average)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "adam"}, "none of adamw, sgd: 'adam'"),
        ({"warmup": 0.11}, "warmup must be from 0 to 0.1, not 0.11"),
        ({"warmup": float("nan")}, "warmup must be from 0"),
        ({"ema": 1.0}, "ema must be at least 0 and below 1"),
        ({"ema": -0.1}, "ema must be at least 0 and below 1"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number from 0 on, not nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number from 0 on, not inf"),
        ({"weight_decay": -1.0}, "weight_decay must be a number from 0 on, not -1.0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        OptimizerOptions(**options)
