import tracemalloc

import numpy as np
import pytest

from taxonvision.release import scoring
from taxonvision.release.scoring import best_taxa


class InPieces:
    """Features that hand out no more than is asked for, and say how much that was."""

    def __init__(self, values):
        self.values = values
        self.most = 0

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        piece = self.values[rows]
        self.most = max(self.most, len(piece))
        return piece


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(scoring, "_PHOTOGRAPHS", 7)
    monkeypatch.setattr(scoring, "_CLASSES", 5)


@pytest.fixture
def head():
    rng = np.random.default_rng(2)
    return rng.normal(size=(6, 23)).astype(np.float32), rng.normal(size=23).astype(np.float32)


def test_the_best_of_each_set(small_pieces, head):
    kernel, bias = head
    rng = np.random.default_rng(4)
    features = InPieces(rng.normal(size=(40, 6)).astype(np.float32))
    taxon_ids = rng.permutation(23) + 100
    sets = [np.arange(23), np.array([22, 3, 4, 11]), np.arange(5, 10), np.array([6])]
    logits = features.values @ kernel + bias
    found = best_taxa(features, kernel, bias, taxon_ids, sets)
    for columns, answer in zip(sets, found, strict=True):
        assert answer.dtype == np.int64
        expected = taxon_ids[columns[logits[:, columns].argmax(axis=1)]]
        np.testing.assert_array_equal(answer, expected)
    assert features.most == 7


def test_merged_classes_answer_with_one_taxon(small_pieces):
    kernel = np.eye(3, dtype=np.float32)
    features = np.eye(3, dtype=np.float32)
    (found,) = best_taxa(features, kernel, np.zeros(3), np.array([8, 9, 8]), [np.arange(3)])
    assert found.tolist() == [8, 9, 8]


def test_the_first_of_those_alike(small_pieces):
    kernel = np.zeros((2, 12), np.float32)
    everyone, some = best_taxa(
        np.ones((3, 2)), kernel, np.zeros(12), np.arange(1, 13), [np.arange(12), np.array([9, 4])]
    )
    assert everyone.tolist() == [1, 1, 1]
    assert some.tolist() == [5, 5, 5]


def test_nothing_to_choose_from_or_no_numbers(head):
    kernel, bias = head
    features = np.ones((3, 6), np.float32)
    ids = np.arange(1, 24)
    (found,) = best_taxa(features, kernel, bias, ids, [np.empty(0, np.int64)])
    assert found.tolist() == [0, 0, 0]
    (found,) = best_taxa(features, kernel * np.nan, bias, ids, [np.arange(23)])
    assert found.tolist() == [0, 0, 0]
    assert best_taxa(features[:0], kernel, bias, ids, [np.arange(23)])[0].shape == (0,)


def test_the_logits_are_never_in_memory_together():
    kernel, bias = np.ones((2, 20_000), np.float32), np.zeros(20_000, np.float32)
    features, ids = np.ones((3_000, 2), np.float32), np.arange(1, 20_001)
    tracemalloc.start()
    best_taxa(features, kernel, bias, ids, [np.arange(20_000), np.arange(0, 20_000, 2)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6  # all logits are 240 MB
