from __future__ import annotations

import hashlib

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.catalog import open_catalog
from taxonvision.catalog.contents import OF_SHA256, among, content_of, contents_in, unknown
from taxonvision.photograph import read_bytes


def in_table(sha256):
    with duckdb.connect() as connection:
        table = connection.execute("SELECT unnest(?::VARCHAR[]) AS sha256", [sha256])
        connection.register("given", {"sha256": table.fetchnumpy()["sha256"]})
        return contents_in(connection.execute(f"SELECT {OF_SHA256} FROM given").fetchnumpy())


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=5))
def test_a_key_is_the_same_of_bytes_and_of_their_sha256_in_a_table(files):
    contents = in_table([hashlib.sha256(data).hexdigest() for data in files])
    assert contents.dtype == np.uint64
    assert [tuple(row) for row in contents.tolist()] == [content_of(data) for data in files]


@pytest.mark.parametrize("sha256", [None, "", "12", "f" * 16, "f" * 16 + "zz", "g" * 64])
def test_what_is_no_sha256_gives_no_key(sha256):
    contents = in_table([sha256, "0" * 15 + "2" + "f" * 48])
    assert contents.tolist() == [[0, 0], [2, 2**64 - 1]]
    assert unknown(contents).tolist() == [True, False]


def test_the_catalogs_keys_are_those_of_its_files(small_catalog):
    photos = open_catalog(small_catalog).photos("train")
    expected = [content_of(read_bytes(path)) for path in photos.paths]
    assert [tuple(row) for row in photos.contents.tolist()] == expected
    taken = photos.take(np.array([3, 1]))
    assert taken.contents.tolist() == photos.contents[[3, 1]].tolist()


numbers = st.lists(st.integers(0, 40), max_size=30)


@given(numbers, numbers)
def test_which_are_among_others(some, others):
    """Neighbours have the same first half."""
    keys = [np.array([(n // 4, n) for n in of], np.uint64).reshape(-1, 2) for of in (some, others)]
    assert among(*keys).tolist() == [n in others for n in some]
