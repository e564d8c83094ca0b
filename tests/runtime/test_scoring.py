from __future__ import annotations

import numpy as np
import pytest

from taxonvision.models.directory import open_model
from taxonvision.photograph import PhotographError
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.scoring import BATCH, score_photographs


@pytest.fixture
def sources(photo_folder, tmp_path):
    """More than a batch, with photographs that cannot be read at both ends and within."""
    found = sorted(photo_folder.rglob("*.png"))
    broken = tmp_path / "broken.png"
    broken.write_bytes(found[0].read_bytes()[:100])
    missing = tmp_path / "missing.png"
    return [missing, *found, *found[::-1], broken, *found[3:6], broken]


def of_one_by_one(recognizer, sources):
    for source in sources:
        pixels = recognizer.contract.read_one(source)
        broken = isinstance(pixels, PhotographError)
        yield pixels if broken else recognizer.score(pixels[None])[0]


def test_a_bundle_scores_side_by_side_as_one_by_one(small_bundle, sources, monkeypatch):
    monkeypatch.setattr("taxonvision.runtime.scoring.cores", lambda: 3)
    recognizer = open_bundle(small_bundle).recognizer()
    found = list(score_photographs(recognizer, sources))
    for score, expected in zip(found, of_one_by_one(recognizer, sources), strict=True):
        if isinstance(expected, PhotographError):
            assert str(score) == str(expected)
        else:
            assert score.dtype == np.float32
            assert score.tobytes() == expected.tobytes()


def test_a_keras_model_scores_in_batches(small_model, sources):
    recognizer = open_model(small_model).recognizer()
    found = list(score_photographs(recognizer, sources))
    for score, expected in zip(found, of_one_by_one(recognizer, sources), strict=True):
        if isinstance(expected, PhotographError):
            assert str(score) == str(expected)
        else:
            assert np.abs(score - expected).max() < 1e-6
    assert len(sources) > BATCH
