"""The threshold between organisms and scenes without."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from taxonvision.evaluation.unknown import fit_unknown

SCORES = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40).map(np.array)


def index_of(threshold, named, scenes) -> float:
    kept = (named >= threshold).mean()
    return kept - (scenes >= threshold).mean() if kept >= 0.95 else -np.inf


@settings(max_examples=20)
@given(SCORES, SCORES)
def test_no_threshold_that_keeps_enough_is_better(named, scenes):
    found = fit_unknown(named, scenes)
    best = max(index_of(at, named, scenes) for at in {0.0, *named.tolist(), *scenes.tolist()})
    if found is None:
        assert best == 0  # no better than no threshold
        return
    assert found.kept - found.false_names == pytest.approx(best)
    assert found.kept >= 0.95
    assert (found.photographs, found.scenes) == (len(named), len(scenes))


@settings(max_examples=20)
@given(SCORES, SCORES)
def test_shares_are_those_of_the_threshold(named, scenes):
    found = fit_unknown(named, scenes)
    assume(found is not None)
    assert found.kept == pytest.approx((named >= found.threshold).mean())
    assert found.false_names == pytest.approx((scenes >= found.threshold).mean())


def test_midway_between_what_is_apart():
    found = fit_unknown(np.array([0.6, 0.9, 0.8]), np.array([0.1, 0.4, 0.2]))
    assert found.as_json() == {
        "threshold": pytest.approx(0.5),
        "photographs": 3,
        "kept": 1.0,
        "scenes": 3,
        "false_names": 0.0,
    }


def test_one_in_twenty_is_given_up_for_scenes_and_no_more():
    named = np.concatenate([[0.2, 0.3], np.full(18, 0.9)])
    found = fit_unknown(named, np.array([0.25, 0.35, 0.35, 0.1]))
    assert found.kept == 0.95
    assert 0.25 < found.threshold < 0.3
    assert found.false_names == 0.5


@pytest.mark.parametrize("scenes", [[0.9, 0.9], [0.5, 0.5]])
def test_where_nothing_tells_them_apart_nothing_is_unknown(scenes):
    assert fit_unknown(np.full(30, 0.5), np.array(scenes)) is None


@pytest.mark.parametrize(("named", "scenes"), [([], [0.5]), ([0.5], [])])
def test_both_kinds_are_needed(named, scenes):
    with pytest.raises(ValueError, match="both kinds"):
        fit_unknown(np.array(named), np.array(scenes))
