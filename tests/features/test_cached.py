from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.features import cached
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


@given(st.lists(st.integers(-10, 9)), st.data())
def test_those_taken_are_a_part_in_this_order(pieces, numbers, data):
    features, values = pieces
    part = features.take(np.array(numbers, np.int64))
    assert np.array_equal(part[:], values[np.array(numbers, np.int64)])
    row = st.integers(-len(numbers), len(numbers) - 1) if numbers else st.nothing()
    rows = np.array(data.draw(st.lists(row)), np.int64)
    assert np.array_equal(part[rows], part[:][rows])


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


MANY = """
import resource
import sys
from pathlib import Path

resource.setrlimit(resource.RLIMIT_NOFILE, {limits})
sys.path.insert(0, {here!r})
from fakes import DIMENSION, FakeStore, backbone
import numpy as np

store = FakeStore(Path({root!r}))
random = np.random.default_rng(0)
contents = random.integers(1, 2**63, (400, 2), np.uint64)
values = random.normal(size=(400, DIMENSION)).astype(np.float16)
for start in range(0, 400, 2):
    store._caches[0].add(contents[start : start + 2], values[start : start + 2])
there, features = store.kept(contents)
assert there.all()
for _ in range(3):
    chosen = random.permutation(400)
    assert (features[chosen] == values[chosen]).all()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("limits", "raised"), [((64, 64), 64), ((64, 300), 300)])
def test_more_files_than_may_be_open_are_read(tmp_path, limits, raised):
    program = MANY.format(limits=limits, here=str(Path(__file__).parent), root=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{raised}\n"), done.stderr


@pytest.mark.parametrize(
    ("limit", "allowed", "most"),
    [
        (1024, 1024, 512),
        (1024, 4096, 2048),
        (1024, resource.RLIM_INFINITY, 16_384),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 16_384),
        (10**6, 10**6, 16_384),
    ],
)
def test_as_many_files_are_mapped_as_the_limit_has_room_for(monkeypatch, limit, allowed, most):
    now = [(limit, allowed)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: now[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: now.insert(0, pair))
    assert cached._mapping.__wrapped__().cache_parameters()["maxsize"] == most
    assert now[0][0] == limit or now[0][0] == min(allowed % 2**63, 32_768)


def test_a_limit_that_cannot_be_raised_stays(monkeypatch):
    def refuse(*_):
        raise ValueError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert cached._mapping.__wrapped__().cache_parameters()["maxsize"] == 128


def test_why_a_file_cannot_be_read_is_told(tmp_path, monkeypatch):
    def no_more(*_):
        raise OSError(24, "Too many open files")

    features = CachedFeatures(
        [tmp_path / "a.npy"], np.zeros(1, np.int32), np.zeros(1, np.uint16), 3
    )
    monkeypatch.setattr(Path, "open", no_more)
    with pytest.raises(
        UserError, match=r"a\.npy in the .* cannot be read: Too many open files; try"
    ):
        features[:]
