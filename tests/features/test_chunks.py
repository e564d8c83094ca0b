from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.features import chunks
from taxonvision.features.chunks import extract_chunks, read_chunks


class Counting:
    """Stands in for a FeatureExtractor: the feature of a source is its number, twice."""

    def __init__(self):
        self.extracted = 0

    def in_batches(self, sources):
        for at in range(0, len(sources), 3):
            batch = sources[at : at + 3]
            self.extracted += len(batch)
            yield np.repeat(np.array(batch, np.float32)[:, None], 2, axis=1)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "_CHUNK", 4)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_all_workers_together_give_all_features_in_order(tmp_path, workers):
    sources = list(range(10))
    for worker in reversed(range(workers)):
        assert extract_chunks(
            Counting(), sources, tmp_path, "features", worker=worker, workers=workers
        )
    assert read_chunks(tmp_path, 10)[:, 0].tolist() == sources


def test_told_to_stop_the_next_run_goes_on_at_the_next_chunk(tmp_path):
    first, second = Counting(), Counting()
    stops = iter([False, False, False, True])  # before the second batch of the second chunk
    sources = list(range(10))
    assert not extract_chunks(first, sources, tmp_path, "features", stop=lambda: next(stops))
    assert len(list(tmp_path.iterdir())) == 1
    assert extract_chunks(second, sources, tmp_path, "features")
    assert second.extracted == 6
    assert read_chunks(tmp_path, 10)[:, 1].tolist() == sources


def test_what_is_there_is_not_extracted_again(tmp_path, capsys):
    assert extract_chunks(Counting(), [1, 2, 3], tmp_path, "features")
    capsys.readouterr()
    again = Counting()
    assert extract_chunks(again, [1, 2, 3], tmp_path, "features")
    assert again.extracted == 0
    assert capsys.readouterr().err == ""


def test_a_damaged_chunk_is_named(tmp_path):
    assert extract_chunks(Counting(), list(range(10)), tmp_path, "features")
    damaged = sorted(tmp_path.iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(UserError, match=r"cannot be read: .*; remove it and run the same command"):
        read_chunks(tmp_path, 10)


def test_no_photographs_have_no_features(tmp_path):
    assert extract_chunks(Counting(), [], tmp_path, "features")
    assert len(read_chunks(tmp_path, 0)) == 0
