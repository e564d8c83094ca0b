"""A first release that knows four butterflies, and what later ones are made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from meadow import OLD, OLD_AND_NEW, Wanted, make_catalog, of_taxa
from small_models import features_of, small_backbone, write_small_model

from taxonvision.catalog.catalog import open_catalog
from taxonvision.models.directory import Model, open_model


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
    catalog, backbone = open_catalog(old_catalog), small_backbone()
    photos = catalog.photos("train")
    values = features_of(backbone, photos)
    means = np.stack([values[photos.class_ids == i].mean(axis=0) for i in range(4)], axis=1)
    kernel = (40 * means).astype(np.float32)
    bias = (-20 * np.square(means).sum(axis=0)).astype(np.float32)
    out = tmp_path_factory.mktemp("base") / "base"
    write_small_model(out, "butterflies", backbone, kernel, bias, catalog, photos)
    return open_model(out)
