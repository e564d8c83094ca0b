from __future__ import annotations

import numpy as np
import pytest

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import UserError
from taxonvision.export.photographs import calibration_pixels, draw
from taxonvision.features.cache import default_cache
from taxonvision.runtime.contract import Contract


@pytest.fixture(scope="module")
def store():
    from small_models import CONTRACT, small_backbone

    from taxonvision.features.store import FeatureStore
    from taxonvision.models.backbones import Backbone

    backbone = Backbone("tiny", small_backbone(), 32, 1.0, False)
    return FeatureStore(default_cache(), backbone, CONTRACT)


def test_each_taxon_comes_before_any_comes_again(small_catalog, store):
    drawn = draw(open_catalog(small_catalog), "train", [3, 4, 5, 6], 8, 0, store)
    assert sorted(drawn.truth[:4].tolist()) == [0, 1, 2, 3]
    assert sorted(drawn.truth[4:].tolist()) == [0, 1, 2, 3]
    assert drawn.features[:].shape == (8, 16)


def test_only_photographs_of_taxa_that_are_named(small_catalog, store):
    drawn = draw(open_catalog(small_catalog), "val", [6, 99, 3], 100, 0, store)
    assert sorted(drawn.truth.tolist()) == [0, 2]
    assert len(draw(open_catalog(small_catalog), "val", [99], 100, 0, store)) == 0


def test_a_seed_draws_the_same_again(small_catalog, store):
    catalog = open_catalog(small_catalog)
    first, again, other = (
        draw(catalog, "train", [3, 4, 5, 6], 5, seed, store).photos.contents for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_calibration_photographs_do_not_depend_on_the_taxa(small_catalog):
    contract = Contract(8)
    pixels = calibration_pixels(open_catalog(small_catalog), contract, 4, 0)
    assert pixels.shape == (4, 8, 8, 3)
    assert pixels.dtype == np.uint8
    # One of each colour of `photo_folder`.
    assert len({tuple((each.mean(axis=(0, 1)) // 40).tolist()) for each in pixels}) == 4


def test_without_training_photographs_nothing_is_calibrated(small_catalog, monkeypatch):
    from dataclasses import replace

    from taxonvision.export import photographs

    empty = photographs.stored_photos(open_catalog(small_catalog), "train").take(np.empty(0, int))
    monkeypatch.setattr(photographs, "stored_photos", lambda *arguments: replace(empty))
    with pytest.raises(UserError, match="no photograph in the split train"):
        calibration_pixels(open_catalog(small_catalog), Contract(8), 4, 0)
