from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.evaluation.intervals import one_sided
from taxonvision.evaluation.loss import POINT, check_limit, loss_of


def flipped(lost, won, same, limit=0.5 * POINT, *, strict=False):
    """The loss on photographs of taxon 7, of which some are lost and some won."""
    before = np.repeat([True, False, True], [lost, won, same])
    after = np.repeat([False, True, True], [lost, won, same])
    return loss_of(np.full(len(before), 7), before, after, limit, strict=strict)


counts = st.integers(0, 60)


@given(counts, counts, counts.map(lambda n: n + 1), st.floats(0, 0.1))
def test_the_bound_that_counts(lost, won, same, limit):
    proven, ruled_out = (flipped(lost, won, same, limit, strict=s) for s in (False, True))
    before = np.repeat([True, False, True], [lost, won, same])
    after = np.repeat([False, True, True], [lost, won, same])
    gain = one_sided(before, after)
    assert (proven.low, proven.high) == (-gain.high, -gain.low)
    assert proven.loss == pytest.approx((lost - won) / (lost + won + same))
    assert proven.low - 1e-12 <= proven.loss <= proven.high + 1e-12
    assert proven.passed == (proven.low <= limit)
    assert ruled_out.passed == (ruled_out.high <= limit)
    assert proven.passed or not ruled_out.passed


def test_without_photographs_there_is_no_loss():
    nothing = np.zeros(0, bool)
    assert loss_of(np.zeros(0, np.int64), nothing, nothing, 0.01, strict=False) is None


def test_the_flag_and_the_photographs_are_the_callers():
    words = flipped(5, 1, 994, strict=True).in_words("--max_drop", "photographs of shared taxa")
    assert "a loss of 0.40 points (1000 photographs of 1 taxon, 5 lost, 1 won)" in words
    assert "--max_drop=0.5, as --strict asks; more photographs of shared taxa would" in words
    assert "a gain of" in flipped(1, 5, 994).in_words("--max_drop", "photographs")


def test_a_limit_is_a_fraction():
    check_limit("max_drop", 0.0)
    check_limit("max_drop", 1.0)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="max_drop is a fraction"):
            check_limit("max_drop", wrong)
