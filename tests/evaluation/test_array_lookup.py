from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.evaluation.lookup import find, find_unsorted

NUMBERS = st.lists(st.integers(0, 9))


def test_values_are_found_where_they_are():
    assert find(np.array([4, 9, 2, 5]), np.array([2, 4, 8])).tolist() == [1, -1, 0, -1]
    assert find(np.array([4]), np.zeros(0, np.int64)).tolist() == [-1]


@settings(max_examples=20)
@given(NUMBERS, st.lists(st.integers(0, 9), unique=True))
def test_in_any_order_they_are_found_as_in_a_list(values, among):
    found = find_unsorted(np.array(values, np.int64), np.array(among, np.int64))
    assert found.tolist() == [among.index(v) if v in among else -1 for v in values]
