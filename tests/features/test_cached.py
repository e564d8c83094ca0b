from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.features.cached import CachedFeatures
from taxonvision.features.shard_files import ShardFormat


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Three files of features, and what is in them, float32 [10, 3]."""
    files = ShardFormat(tmp_path_factory.mktemp("shards"), 3, 7)
    values = np.random.default_rng(0).normal(1000, 3, (10, 3)).astype(np.float16)
    contents = np.arange(20, dtype=np.uint64).reshape(10, 2)
    bounds = [(0, 4), (4, 5), (5, 10)]
    names = [files.write(contents[a:b], values[a:b]) for a, b in bounds]
    shards = np.repeat(np.arange(3, dtype=np.int32), [4, 1, 5])
    rows = np.array([0, 1, 2, 3, 0, 0, 1, 2, 3, 4], np.uint16)
    paths = [files.values_path(name) for name in names]
    return CachedFeatures(paths, shards, rows, 3), values.astype(np.float32)


@given(st.lists(st.integers(-10, 9)))
def test_rows_are_taken_as_from_an_array(pieces, rows):
    features, values = pieces
    taken = features[np.array(rows, np.int64)]
    assert taken.dtype == np.float32
    assert np.array_equal(taken, values[np.array(rows, np.int64)])
    assert np.array_equal(features[rows], taken)


@pytest.mark.parametrize(
    "part", [slice(None), slice(3, 7), slice(8, 99), slice(5, 5), slice(None, None, -2)]
)
def test_slices_are_taken_as_from_an_array(pieces, part):
    features, values = pieces
    assert (len(features), features.dimension) == (10, 3)
    assert np.array_equal(features[part], values[part])


def test_nothing_may_be_joined(pieces):
    nothing = CachedFeatures([], np.empty(0, np.int32), np.empty(0, np.uint16), 3)
    assert pieces[0].joined(nothing)[:].tolist() == pieces[0][:].tolist()


def test_two_are_joined(pieces):
    features, values = pieces
    both = features.joined(features).joined(features)
    assert np.array_equal(both[:], np.concatenate([values] * 3))
    other = CachedFeatures([], np.empty(0, np.int32), np.empty(0, np.uint16), 4)
    with pytest.raises(ValueError, match="features of 3 and of 4 values"):
        features.joined(other)
