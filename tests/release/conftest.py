"""A first release that knows four butterflies, and what later ones are made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from meadow import OLD, OLD_AND_NEW, Wanted, make_catalog, of_taxa

from taxonvision.catalog.catalog import open_catalog
from taxonvision.models.directory import Model, open_model, write_model
from taxonvision.models.engine import load_keras
from taxonvision.models.trained_on import TrainedOn
from taxonvision.runtime.contract import Contract
from taxonvision.storage import Recipe, replacing


@pytest.fixture(scope="session")
def old_catalog(tmp_path_factory) -> Path:
    """All photographs of the four old taxa."""
    return make_catalog(tmp_path_factory.mktemp("old"), of_taxa(*OLD))


@pytest.fixture(scope="session")
def all_catalog(tmp_path_factory) -> Path:
    """All photographs of all six."""
    return make_catalog(tmp_path_factory.mktemp("all"), of_taxa(*OLD_AND_NEW))


@pytest.fixture
def catalog_of(tmp_path) -> Callable[..., Path]:
    """Makes a catalog in a folder of its own."""
    made: list[Path] = []

    def make(wanted: Wanted) -> Path:
        made.append(make_catalog(tmp_path / f"source{len(made)}", wanted))
        return made[-1]

    return make


@pytest.fixture(scope="session")
def base(old_catalog, tmp_path_factory) -> Model:
    """The first release: a network of one convolution, its head nearest class means."""
    keras = load_keras()

    from taxonvision.features.extract import FeatureExtractor
    from taxonvision.models.classifier import assemble

    keras.utils.set_random_seed(3)
    inputs = keras.Input((32, 32, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, -1.0)(inputs)
    hidden = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(scaled)
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))
    catalog, contract = open_catalog(old_catalog), Contract(32)
    photos = catalog.photos("train")
    extractor = FeatureExtractor(backbone)
    batches = contract.read_batches(photos.paths, extractor.batch)
    values = np.concatenate([extractor.of(pixels) for pixels in batches])
    means = np.stack([values[photos.class_ids == i].mean(axis=0) for i in range(4)], axis=1)
    kernel = (40 * means).astype(np.float32)
    bias = (-20 * np.square(means).sum(axis=0)).astype(np.float32)
    out = tmp_path_factory.mktemp("base") / "base"
    with replacing(out) as partial:
        write_model(
            partial,
            assemble(backbone, kernel, bias),
            name="butterflies",
            recipe=Recipe("train"),
            contract=contract,
            classes=catalog.classes,
            taxonomy=catalog.taxonomy,
            names=catalog.names,
            history=[],
            facts={
                "backbone": {"name": "tiny", "pretrained": False},
                "catalog": catalog.fingerprint,
                "metrics": {},
            },
            trained_on=TrainedOn.of(
                np.array([catalog.classes[number].taxon_id for number in photos.class_ids]),
                photos.contents,
            ),
        )
    return open_model(out)
