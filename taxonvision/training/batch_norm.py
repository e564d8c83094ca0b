"""Batch normalisation over the batch of all replicas, or over each one's share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

_PARAMETERS = ["self", "inputs", "mask"]
"""Of the method of Keras 3.12 to 3.15 that is replaced; where it is another, Keras's own stays,
which is as right and slower."""


def synchronise_batch_norm(model: keras.Model, on: bool) -> int:
    """Let every BatchNormalization in the model, at any depth, take the moments of all replicas.

    With it the moving statistics come out equal on all replicas, and several replicas compute
    what one does on the whole batch. Set it before the step is traced, and reset it before the
    model is saved: it is part of a layer's configuration. Returns how many layers there are.
    """
    layers = list(batch_normalisations(model))
    for layer in layers:
        layer.synchronized = on
        if on and _replaceable(layer):
            layer._moments = functools.partial(_moments, layer)
        else:
            vars(layer).pop("_moments", None)
    return len(layers)


def batch_normalisations(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    """Every BatchNormalization in the model, at any depth."""
    for layer in model._flatten_layers():  # those of nested models and of custom layers too
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer


def _replaceable(layer: keras.layers.BatchNormalization) -> bool:
    method = getattr(type(layer), "_moments", None)
    return (
        method is not None
        and list(inspect.signature(method).parameters) == _PARAMETERS
        and hasattr(layer, "_reduction_axes")
    )


def _moments(
    layer: keras.layers.BatchNormalization, inputs: Any, mask: Any
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mean and variance float32 [channels] of `inputs` float32 over all replicas.

    Keras reduces three tensors one after the other, each waiting for the slowest replica; here
    they go together, which takes a quarter of the time between two processes. The squares are
    taken about the moving mean (all replicas have the same), so that less cancels than about zero:
    Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983.
    """
    context = tf.distribute.get_replica_context()
    if mask is not None or context is None:
        return type(layer)._moments(layer, inputs, mask)
    axes = layer._reduction_axes
    shape = [1] * len(inputs.shape)
    shape[layer.axis] = -1
    about = tf.stop_gradient(tf.reshape(tf.convert_to_tensor(layer.moving_mean), shape))
    count = tf.size(inputs) // tf.shape(inputs)[layer.axis]
    sums, squares, count = context.all_reduce(
        tf.distribute.ReduceOp.SUM,
        [
            tf.reduce_sum(inputs, axes),
            tf.reduce_sum(tf.math.squared_difference(inputs, about), axes),
            tf.cast(count, inputs.dtype),
        ],
    )
    mean = sums / tf.stop_gradient(count)
    variance = squares / tf.stop_gradient(count) - tf.square(mean - tf.reshape(about, [-1]))
    return mean, tf.maximum(variance, 0.0)
