"""Batch normalisation over the batch of all replicas, or over each one's share."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def synchronise_batch_norm(model: keras.Model, on: bool) -> int:
    """Let every BatchNormalization in the model, at any depth, take the moments of all replicas.

    With it the moving statistics come out equal on all replicas, and several replicas compute
    what one does on the whole batch. Set it before the step is traced, and reset it before the
    model is saved: it is part of a layer's configuration. Returns how many layers there are.
    """
    layers = list(_batch_normalisations(model))
    for layer in layers:
        layer.synchronized = on
    return len(layers)


def _batch_normalisations(model: keras.Model) -> Iterator[keras.layers.BatchNormalization]:
    for layer in model._flatten_layers():  # those of nested models and of custom layers too
        if isinstance(layer, keras.layers.BatchNormalization):
            yield layer
