from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.features.search import Wanted

HALF = st.integers(0, 3) | st.sampled_from([2**63, 2**64 - 1])
KEYS = st.lists(st.tuples(HALF, HALF), max_size=30)


def array(keys):
    return np.array(keys, np.uint64).reshape(-1, 2)


@settings(max_examples=60)
@given(KEYS, KEYS)
def test_keys_are_matched_by_both_halves(wanted, offered):
    index = Wanted(array(wanted))
    assert len(index) == len(set(wanted))
    unique = list(zip(index.high.tolist(), index.low.tolist(), strict=True))
    assert unique == sorted(set(wanted))
    assert [unique[number] for number in index.number] == wanted
    assert [wanted[number] for number in index.example] == unique
    rows, numbers = index.match(array(offered))
    assert rows.tolist() == [row for row, key in enumerate(offered) if key in wanted]
    assert [unique[number] for number in numbers] == [offered[row] for row in rows]
