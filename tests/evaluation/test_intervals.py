import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.evaluation.intervals import (
    Interval,
    macro_difference,
    one_sided,
    paired_difference,
    share,
)


def flips(lost, won, n):
    """Photographs right before and after: `lost`, `won`, and the others alike."""
    before, after = np.zeros(n, bool), np.zeros(n, bool)
    before[:lost] = True
    after[lost : lost + won] = True
    before[lost + won :: 2] = after[lost + won :: 2] = True
    return before, after


counts = st.integers(1, 200).flatmap(
    lambda n: st.integers(0, n).flatmap(
        lambda lost: st.tuples(st.just(lost), st.integers(0, n - lost), st.just(n))
    )
)


def probability_within(difference, p_lost, p_won, n, bounds, most):
    """How probable it is that `bounds(lost, won)` hold the difference, by enumeration."""
    held = 0.0
    for lost in range(most):
        for won in range(most):
            same = n - lost - won
            logarithm = (
                math.lgamma(n + 1) - math.lgamma(lost + 1) - math.lgamma(won + 1)
                - math.lgamma(same + 1) + lost * math.log(p_lost) + won * math.log(p_won)
                + same * math.log(1 - p_lost - p_won)
            )  # fmt: skip
            interval = bounds(lost, won)
            held += math.exp(logarithm) * (interval.low <= difference <= interval.high)
    return held


def test_wilson_as_published():
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3
    for (successes, n), low, high in (
        ((81, 263), 0.2553, 0.3662),
        ((15, 148), 0.0624, 0.1605),
        ((0, 20), 0.0, 0.1611),
        ((1, 29), 0.0061, 0.1718),
    ):
        interval = share(successes, n)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_share_lies_within_its_bounds(successes, more):
    n = successes + more
    interval = share(successes, n)
    assert 0 <= interval.low <= interval.high <= 1
    if n:
        assert interval.low <= successes / n <= interval.high
        mirrored = share(more, n)
        assert math.isclose(mirrored.low, 1 - interval.high, abs_tol=1e-12)
    else:
        assert interval == Interval(0, 1)


@settings(max_examples=25)
@given(counts)
def test_the_bounds_are_roots_of_the_score_statistic(case):
    lost, won, n = case
    interval = paired_difference(*flips(lost, won, n))
    estimate = (won - lost) / n
    assert -1 <= interval.low <= estimate <= interval.high <= 1
    for bound, more, less, difference in (
        (interval.high, won, lost, interval.high),
        (interval.low, lost, won, -interval.low),
    ):
        if abs(bound) == 1:
            continue
        # Tango 1998, section 4: q is the constrained maximum likelihood estimate of the rarer flip.
        roots = np.roots(
            [
                2 * n,
                (2 * n - more + less) * difference - more - less,
                -less * difference * (1 - difference),
            ]
        )
        q = max(roots.real)
        variance = n * (2 * q + difference * (1 - difference))
        score = (more - less - n * difference) / math.sqrt(variance)
        assert score == pytest.approx(-1.959964, abs=1e-4)


@settings(max_examples=25)
@given(counts)
def test_before_and_after_swapped_change_the_sign(case):
    before, after = flips(*case)
    assert paired_difference(after, before) == paired_difference(before, after).reversed


@settings(max_examples=25)
@given(counts)
def test_one_more_lost_lowers_both_bounds(case):
    lost, won, n = case
    here = one_sided(*flips(lost, won, n))
    for worse in ((lost + 1, won), (lost, won - 1), (lost + 1, won - 1)):
        if min(worse) >= 0 and sum(worse) <= n:
            there = one_sided(*flips(*worse, n))
            assert there.low <= here.low
            assert there.high <= here.high


@settings(max_examples=25)
@given(counts)
def test_one_sided_bounds_are_those_at_twice_the_doubt(case):
    before, after = flips(*case)
    assert one_sided(before, after) == paired_difference(before, after, 2 * 0.95 - 1)
    both, one = paired_difference(before, after), one_sided(before, after)
    assert both.low <= one.low <= one.high <= both.high


def test_a_width_also_where_nothing_changes():
    # Tango 1998: with no flip at all the bounds are z² / (n + z²)
    z2 = 1.959963984540054**2
    for n in (1, 10, 1000):
        interval = paired_difference(*flips(0, 0, n))
        assert interval.high == pytest.approx(z2 / (n + z2), abs=1e-9)
        assert interval.low == -interval.high


@pytest.mark.parametrize(
    ("rates", "most", "flipped"),
    [((0.002, 0.001), 1, 10), ((0.02, 0.005), 0.97, 21), ((0.05, 0.05), 0.97, 33)],
)
def test_coverage(rates, most, flipped):
    """So many flips each way are as good as all that may happen."""
    n = 300
    known = {}

    def two_sided(lost, won):
        if (lost, won) not in known:
            known[lost, won] = paired_difference(*flips(lost, won, n))
        return known[lost, won]

    held = probability_within(rates[1] - rates[0], *rates, n, two_sided, flipped)
    assert 0.94 < held <= most


def test_nothing_measured_is_the_whole_range():
    none = np.empty(0, bool)
    assert paired_difference(none, none) == Interval(-1, 1)
    assert one_sided(none, none) == Interval(-1, 1)
    assert macro_difference(np.empty(0, np.int64), none, none) == Interval(-1, 1)


def test_what_is_no_pair_or_no_confidence():
    with pytest.raises(ValueError, match="not the same"):
        paired_difference(np.zeros(2, bool), np.zeros(3, bool))
    with pytest.raises(ValueError, match="confidence"):
        share(1, 2, 1.0)


def test_macro_by_hand():
    # Of 40, 40 and 20 photographs one is lost, two and two are won.
    taxa = np.repeat([7, 3, 5], [40, 40, 20])
    before, after = np.zeros(100, bool), np.zeros(100, bool)
    before[0] = after[[40, 41, 80, 81]] = True
    differences = np.array([-1 / 40, 2 / 40, 2 / 20])
    centre = differences.mean()
    one_photograph = (1 / 40 + 1 / 40 + 1 / 20) / 3
    squares = ((differences - centre) ** 2).sum() + 2 * one_photograph**2
    half = 4.302653 * math.sqrt(squares / 2 / 3)  # Student, 2 degrees of freedom
    interval = macro_difference(taxa, before, after)
    assert interval.low == pytest.approx(centre - half, abs=1e-6)
    assert interval.high == pytest.approx(centre + half, abs=1e-6)


@pytest.mark.parametrize(
    ("taxa", "quantile"),
    [(2, 12.7062), (3, 4.30265), (4, 3.18245), (6, 2.57058), (11, 2.22814), (31, 2.04227)],
)
def test_students_quantile(taxa, quantile):
    # the table of Student's distribution at 0.975
    nothing = np.zeros(1000 * taxa, bool)
    interval = macro_difference(np.repeat(np.arange(taxa), 1000), nothing, nothing)
    error = math.sqrt(2 / 1000**2 / (taxa - 1) / taxa)
    assert interval.high == pytest.approx(quantile * error, rel=2e-3)
    assert interval.low == -interval.high


def test_macro_of_one_taxon_is_that_of_its_photographs():
    before, after = flips(3, 1, 30)
    alone = macro_difference(np.full(30, 9), before, after)
    assert alone == paired_difference(before, after)


def test_macro_coverage_of_drawn_taxa():
    rng = np.random.default_rng(3)
    held, rounds, taxa = 0, 400, 60
    for _ in range(rounds):
        sizes = rng.integers(1, 40, taxa)
        lost, won = rng.beta(0.5, 10, taxa), rng.beta(0.5, 20, taxa)
        truth = 0.5 / 20.5 - 0.5 / 10.5
        drawn = rng.random(sizes.sum())
        before = drawn < np.repeat(lost, sizes)
        after = ~before & (drawn < np.repeat(np.minimum(lost + won, 1), sizes))
        interval = macro_difference(np.repeat(np.arange(taxa), sizes), before, after)
        held += interval.low <= truth <= interval.high
    assert 0.91 < held / rounds < 0.995
