from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.runtime.thresholds import Thresholds

FRACTIONS = st.floats(0, 1)
THRESHOLDS = st.builds(
    Thresholds,
    kept_share=FRACTIONS,
    shown=FRACTIONS,
    ancestor_score=FRACTIONS,
    ancestor_leaves=st.integers(1, 100),
    ancestor_share=FRACTIONS,
    ancestor_rank_levels=st.tuples(st.floats(0, 100), st.floats(0, 100)).map(
        lambda levels: (min(levels), max(levels))
    ),
    unknown=FRACTIONS,
)


@given(THRESHOLDS)
def test_what_is_written_is_read_again(thresholds):
    assert Thresholds.from_json(json.loads(json.dumps(thresholds.as_json()))) == thresholds


def test_version_1_has_only_shown():
    assert Thresholds.from_json({"shown": 0.6}) == Thresholds(shown=0.6)
    assert Thresholds(shown=0.6).unknown == 0


def with_ancestor(**changes):
    value = Thresholds().as_json()
    return {**value, "common_ancestor": {**value["common_ancestor"], **changes}}


def without(name):
    return {key: value for key, value in Thresholds().as_json().items() if key != name}


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        None,
        "shown",
        {"shown": 1.1},
        {"shown": True},
        {"shown": "0.7"},
        {"shown": 10**400},
        {"shown": float("nan")},
        without("shown"),
        without("kept_share"),
        without("common_ancestor"),
        without("unknown"),
        {**Thresholds().as_json(), "unknown": -0.1},
        {**Thresholds().as_json(), "kept_share": None},
        {**Thresholds().as_json(), "common_ancestor": [1]},
        with_ancestor(score=2),
        with_ancestor(share="much"),
        with_ancestor(leaves=0),
        with_ancestor(leaves=15.0),
        with_ancestor(leaves=True),
        with_ancestor(rank_levels=[33, 20]),
        with_ancestor(rank_levels=[20]),
        with_ancestor(rank_levels=[20, 30, 33]),
        with_ancestor(rank_levels=20),
        with_ancestor(rank_levels="23"),
        with_ancestor(rank_levels=[20, 10**400]),
        with_ancestor(rank_levels=[float("-inf"), 33]),
    ],
)
def test_garbled_thresholds_are_refused(value):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Thresholds.from_json(value)


def test_a_taxon_may_have_a_threshold_of_its_own():
    thresholds = Thresholds(shown=0.6, by_taxon={3: 0.2, 4: 1.0})
    assert [thresholds.shown_of(taxon_id) for taxon_id in (2, 3, 4)] == [0.6, 0.2, 1.0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"shown": 1.5},
        {"ancestor_leaves": 0},
        {"ancestor_rank_levels": (33, 20)},
        {"by_taxon": {3: 0.5, 4: -0.1}},
        {"by_taxon": {3: float("nan")}},
    ],
)
def test_impossible_thresholds_cannot_be_made(wrong):
    with pytest.raises(ValueError, match=r"fraction|leaves|range"):
        Thresholds(**wrong)
