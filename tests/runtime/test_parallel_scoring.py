from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest

from taxonvision.errors import UserError
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


@pytest.fixture
def recognizer(small_bundle):
    return open_bundle(small_bundle).recognizer(threads=1)


def test_photographs_are_asked_for_as_they_are_needed(recognizer, sources, monkeypatch):
    """Of a list without end a few are read ahead, and none after the iterator is closed."""
    monkeypatch.setattr("taxonvision.parallel.cores", lambda: 2)
    asked = itertools.count()
    endless = (sources[next(asked) % len(sources)] for _ in itertools.count())
    before = threading.active_count()
    scores = score_photographs(recognizer, endless)
    assert len(list(itertools.islice(scores, 100))) == 100
    scores.close()
    assert next(asked) <= 100 + 2 * 16
    assert threading.active_count() == before


@pytest.mark.parametrize("failure", [UserError, KeyboardInterrupt])
def test_what_a_scorer_raises_comes_out_and_ends_the_others(recognizer, sources, failure):
    begun = []

    def score(pixels):
        begun.append(None)
        if len(begun) == 10:
            raise failure("the tenth")
        return np.zeros((1, 4), np.float32)

    before = threading.active_count()
    scores = score_photographs(replace(recognizer, another=lambda threads: score), sources * 10)
    with pytest.raises(failure, match="the tenth"):
        list(scores)
    assert threading.active_count() == before
    assert len(begun) < len(sources) * 5


def test_copies_of_large_weights_are_few(recognizer, sources, monkeypatch):
    monkeypatch.setattr("taxonvision.runtime.scoring.cores", lambda: 64)
    made = []

    def another(threads):
        made.append(threads)
        return recognizer.score

    for size, threads in ((2**33, [64]), (2**30, [16] * 4), (2**20, [1] * 64)):
        made.clear()
        score_photographs(replace(recognizer, another=another, bytes=size), sources)
        assert made == threads
