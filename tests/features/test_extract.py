from __future__ import annotations

import numpy as np
import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import UserError
from taxonvision.models.directory import open_model


def test_features_are_those_of_keras_in_the_order_of_the_photographs(small_model, small_catalog):
    model = open_model(small_model)
    backbone = model.load().layers[1]
    from taxonvision.features.extract import FeatureExtractor

    photos = open_catalog(small_catalog).photos("train")
    features = np.concatenate(
        list(FeatureExtractor(backbone, model.contract).in_batches(photos.paths))
    )
    pixels = np.concatenate(list(model.contract.read_batches(photos.paths, 64)))
    expected = backbone.predict_on_batch(pixels.astype(np.float32))
    assert features.shape == (12, 16)
    assert features.dtype == np.float32
    assert np.abs(features - expected).max() < 1e-4


def test_a_photograph_deleted_since_is_named(small_model, tmp_path):
    model = open_model(small_model)
    from taxonvision.features.extract import FeatureExtractor

    extractor = FeatureExtractor(model.load().layers[1], model.contract)
    with pytest.raises(UserError, match=r"gone\.jpg is listed and cannot be used"):
        list(extractor.in_batches([tmp_path / "gone.jpg"]))
