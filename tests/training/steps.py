"""Five steps of a small network, for the processes that `two_workers` starts.

Usage: steps.py OUT single,mirrored|multiworker [--two_cpus]; writes OUT/STRATEGY-WORKER.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from taxonvision.models.engine import load_keras

keras = load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.training.batch_norm import synchronise_batch_norm  # noqa: E402
from taxonvision.training.strategies import Placement, place  # noqa: E402

STEPS, BATCH, SIZE, CLASSES = 5, 16, 8, 5


def network() -> keras.Model:
    """Convolutions with normalisations, one of them in a network of its own."""
    inner = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            keras.layers.Conv2D(8, 3, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    )
    inputs = keras.Input((SIZE, SIZE, 3))
    hidden = keras.layers.DepthwiseConv2D(3, use_bias=False)(inner(inputs))
    hidden = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.9)(hidden))
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(hidden))


def optimizers() -> dict[str, keras.optimizers.Optimizer]:
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 100)
    return {
        "adamw": keras.optimizers.AdamW(rate, weight_decay=0.01, use_ema=True, ema_momentum=0.9),
        "sgd": keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-3),
    }


def run(placement: Placement, name: str) -> dict[str, np.ndarray]:
    """Losses [steps], and each variable after them as each local replica has it."""
    strategy, replicas = placement.strategy, placement.replicas
    random = np.random.default_rng(0)
    images = random.normal(size=(STEPS, BATCH, SIZE, SIZE, 3)).astype(np.float32)
    labels = random.integers(0, CLASSES, (STEPS, BATCH)).astype(np.int32)
    with strategy.scope():
        # Other weights in each process: the first one's must reach all.
        keras.utils.set_random_seed(1 + placement.worker)
        model, optimizer = network(), optimizers()[name]
        optimizer.build(model.trainable_variables)
    assert synchronise_batch_norm(model, True) == 2

    def replica_step(images, labels):
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(
                labels, model(images, training=True), from_logits=True
            )
            loss = tf.reduce_sum(losses) / BATCH
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    @tf.function
    def step(images, labels):
        each = strategy.run(replica_step, args=(images, labels))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, each, axis=None)

    bounds = [0, BATCH] if replicas == 1 else [0, 6, BATCH]  # unequal shares are right too

    def shared(batch):
        def of_replica(context):
            replica = context.replica_id_in_sync_group
            return tf.constant(batch[bounds[replica] : bounds[replica + 1]])

        return strategy.experimental_distribute_values_from_function(of_replica)

    losses = [float(step(shared(images[i]), shared(labels[i]))) for i in range(STEPS)]
    variables = [*model.variables, *optimizer.variables]
    return {"losses": np.array(losses)} | {
        f"{number}{'-moving' if 'moving_' in variable.path else ''}": np.stack(
            [np.asarray(local) for local in strategy.experimental_local_results(variable.value)]
        )
        for number, variable in enumerate(variables)
    }


def main(out: str, choices: str, *options: str) -> None:
    if "--two_cpus" in options:
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    for choice in choices.split(","):
        placement = place(choice)
        print(placement.reason, flush=True)
        for name in optimizers():
            path = Path(out) / f"{choice}-{name}-{placement.worker}.npz"
            np.savez(path, **run(placement, name))


if __name__ == "__main__":
    main(*sys.argv[1:])
