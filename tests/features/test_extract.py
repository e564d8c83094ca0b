from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import stored

from taxonvision.features.store import FeatureStore
from taxonvision.models.engine import load_keras
from taxonvision.runtime.contract import Contract

CONTRACT = Contract(8)


@pytest.fixture(scope="module")
def backbone():
    """A tiny network from 8 × 8 pixels to 6 features."""
    keras = load_keras()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(6, 3, activation="relu")(keras.layers.Rescaling(1 / 64)(inputs))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))


def by_keras(backbone, paths):
    pixels = np.concatenate(list(CONTRACT.read_batches(paths, 64)))
    return backbone.predict_on_batch(pixels.astype(np.float32))


def test_features_are_those_of_keras_in_the_order_of_the_photographs(backbone, paths):
    from taxonvision.features.extract import FeatureExtractor

    extractor = FeatureExtractor(backbone)
    batches = list(CONTRACT.read_batches(paths, extractor.batch))
    assert [len(pixels) for pixels in batches] == [8, 4]
    features = np.concatenate([extractor.of(pixels) for pixels in batches])
    assert features.shape == (12, 6)
    assert features.dtype == np.float32
    assert np.abs(features - by_keras(backbone, paths)).max() < 1e-4
    assert np.abs(extractor.of(batches[0][:3]) - features[:3]).max() < 1e-6


def test_the_store_keeps_features_of_a_real_network(backbone, paths, tmp_path):
    def opened():
        return FeatureStore(tmp_path, SimpleNamespace(name="tiny", model=backbone), CONTRACT)

    photos = stored(paths)
    assert opened().fill(photos, "features").extracted == 12
    store = opened()
    assert store.fill(photos, "features").known == 12
    (features,) = store.features(photos)
    assert np.abs(features[:] - by_keras(backbone, paths)).max() < 5e-3
    assert store.dimension == features.dimension == 6


WORKER = """
import sys
import numpy as np
from taxonvision.training.strategies import place
placement = place("multiworker", patience=180)
from taxonvision.features import extract
import keras
extract._accelerated = lambda _: True
extract._KERAS_BATCH = 4
with placement.strategy.scope():
    inputs = keras.Input((8, 8, 3))
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
run = extract.FeatureExtractor(backbone, placement.strategy)
pixels = np.random.default_rng(placement.worker).integers(0, 256, (run.batch, 8, 8, 3), np.uint8)
for _ in range(1 + 4 * placement.worker):
    assert np.abs(run.of(pixels) - pixels.mean(axis=(1, 2))).max() < 1e-3
print(run.batch)
"""


@pytest.fixture
def run_workers(monkeypatch):
    """That of the tests of training."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "training")
    from two_workers import run_workers

    return run_workers


@pytest.mark.slow
def test_workers_may_have_different_numbers_of_batches(run_workers):
    for outcome in run_workers(["-c", WORKER], 2):
        assert (outcome.returncode, outcome.stdout) == (0, "4\n"), outcome.stderr


@pytest.mark.slow
def test_all_devices_of_a_strategy_extract(run_workers):
    [done] = run_workers([Path(__file__).parent / "two_devices.py"], 1)
    assert (done.returncode, done.stdout) == (0, "OK True\n"), done.stderr
