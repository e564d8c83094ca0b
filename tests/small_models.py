"""Models of one convolution over 32 × 32 pixels, made in a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.catalog.catalog import Catalog, Photos
from taxonvision.models.directory import write_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import TrainedOn
from taxonvision.runtime.contract import Contract
from taxonvision.storage import Recipe, replacing

CONTRACT = Contract(32)


def small_backbone():
    """Always with the same weights."""
    keras = load_keras()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    hidden = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(scaled)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))


def features_of(backbone, photos: Photos) -> np.ndarray:
    """Float32 [n, 16]."""
    from taxonvision.features.extract import FeatureExtractor

    extractor = FeatureExtractor(backbone)
    batches = CONTRACT.read_batches(photos.paths, extractor.batch)
    return np.concatenate([extractor.of(pixels) for pixels in batches])


def write_small_model(
    out: Path,
    name: str,
    backbone,
    kernel: np.ndarray,
    bias: np.ndarray,
    catalog: Catalog,
    photos: Photos,
    history: Sequence[Mapping[str, Any]] = (),
    temperature: float = 1.0,
    unknown: Mapping[str, Any] | None = None,
) -> None:
    """Write a model of the backbone and a head that was trained on the photographs."""
    from taxonvision.models.classifier import assemble

    unknown_logit = None if unknown is None else unknown["logit"]

    with replacing(out) as partial:
        write_model(
            partial,
            assemble(backbone, kernel, bias, temperature=temperature, unknown_logit=unknown_logit),
            name=name,
            recipe=Recipe("train"),
            contract=CONTRACT,
            classes=catalog.classes,
            taxonomy=catalog.taxonomy,
            names=catalog.names,
            history=history,
            facts={
                "backbone": {"name": "tiny", "pretrained": False},
                "catalog": catalog.fingerprint,
                "metrics": {},
                "calibration": {"temperature": temperature, "photographs": 30},
                "unknown": unknown,
            },
            trained_on=TrainedOn.of(
                np.array([catalog.classes[number].taxon_id for number in photos.class_ids]),
                photos.contents,
            ),
        )
