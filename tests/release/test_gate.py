import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.loss import POINT
from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.release.gate import Answers, judge
from taxonvision.release.verdict import NewTaxa, NewTaxon, OldTaxon, Taken
from taxonvision.taxonomy.tree import Taxon, Taxonomy

KNOWN_BEFORE = [1, 2, 3, 4]
"""4 is retired since."""
KNOWN_AFTER = [1, 2, 3, 10, 11]
"""10 and 11 are new."""


def answers_of(rows):
    """Rows of truth, before and after among the shared, before and after among all."""
    return Answers(*np.array(rows, np.int64).reshape(-1, 5).T)


@st.composite
def photographs(draw):
    shared, before, after = [1, 2, 3], KNOWN_BEFORE, KNOWN_AFTER
    row = st.tuples(
        st.sampled_from([1, 2, 3, 10, 11]),
        st.sampled_from(shared),
        st.sampled_from(shared),
        st.sampled_from(before),
        st.sampled_from(after),
    )
    return draw(st.lists(row, max_size=60))


def flipped(lost, won, same, *, right=True):
    """Photographs of taxon 1, of which the refit loses and wins some."""
    rows = [(1, 1, 2, 1, 2)] * lost + [(1, 2, 1, 2, 1)] * won
    return answers_of(rows + [(1, 1, 1, 1, 1) if right else (1, 2, 2, 2, 2)] * same)


def verdict_of(answers, **options):
    return judge(answers, np.array(KNOWN_BEFORE), np.array(KNOWN_AFTER), **options)


def test_by_hand():
    verdict = verdict_of(
        answers_of(
            [
                (1, 1, 1, 1, 1),
                (1, 1, 2, 1, 2),  # broken by the refit
                (1, 1, 1, 1, 10),  # taken by a look-alike
                (1, 1, 1, 1, 10),
                (2, 2, 2, 2, 11),
                (2, 1, 2, 4, 2),  # won
                (3, 1, 1, 1, 10),  # wrong before: nothing was taken
                (10, 1, 1, 1, 10),
                (11, 2, 2, 2, 10),
                (4, 4, 1, 4, 1),  # a retired taxon is not judged
            ]
        ),
        max_regression=0.3,
    )
    shared, everyone = verdict.shared, verdict.everyone
    assert (shared.photographs, shared.taxa, shared.lost, shared.won) == (7, 3, 1, 1)
    assert (shared.top1_before, shared.top1_after) == (5 / 7, 5 / 7)
    assert shared.macro_before == pytest.approx((4 / 4 + 1 / 2 + 0) / 3)
    assert shared.macro_after == pytest.approx((3 / 4 + 2 / 2 + 0) / 3)
    assert (everyone.photographs, everyone.lost, everyone.won) == (7, 4, 1)
    assert (everyone.top1_before, everyone.top1_after) == (5 / 7, 2 / 7)
    assert verdict.taken == [Taken(1, 10, 2), Taken(2, 11, 1)]
    assert verdict.by_taxon == [OldTaxon(1, 4, 4, 3), OldTaxon(3, 1, 0, 0), OldTaxon(2, 2, 1, 2)]
    assert verdict.new_taxa == NewTaxa(
        2, 1, 0.5, verdict.new_taxa.top1_interval, [NewTaxon(10, 1, 1), NewTaxon(11, 1, 0)]
    )
    assert verdict.new_taxa.top1_interval.low == pytest.approx(0.0945, abs=1e-4)
    assert (verdict.judged, verdict.passed, verdict.loss) == (True, True, 0)


def test_a_proven_loss_is_refused_with_both_bounds():
    verdict = verdict_of(flipped(50, 14, 2936))
    assert (verdict.judged, verdict.passed) == (True, False)
    assert verdict.loss == pytest.approx(0.012)
    assert verdict.loss == pytest.approx(-(verdict.shared.top1_after - verdict.shared.top1_before))
    assert 0.005 < verdict.loss_low < verdict.loss < verdict.loss_high
    assert verdict.reason == (
        "old taxa among themselves: top-1 99.53% before, 98.33% now, a loss of 1.20 points "
        "(3000 photographs of 1 taxon, 50 lost, 14 won); the loss, at least 0.78 and at most 1.67 "
        "points with 95% confidence each, is proven to be more than --max_regression=0.5"
    )


def test_the_four_judgements():
    def judged(answers, strict):
        verdict = verdict_of(answers, strict=strict)
        assert f"at least {100 * verdict.loss_low:z.2f}" in verdict.reason
        assert f"at most {100 * verdict.loss_high:z.2f}" in verdict.reason
        return verdict.passed, verdict.reason.partition("confidence each, is ")[2].partition(";")[0]

    lost, unclear, harmless = flipped(50, 0, 950), flipped(5, 1, 994), flipped(5, 6, 9000)
    for strict in (False, True):
        assert judged(lost, strict) == (False, "proven to be more than --max_regression=0.5")
        expected = (True, "proven to be no more than --max_regression=0.5")
        assert judged(harmless, strict) == expected
    assert judged(unclear, False) == (True, "not proven to be more than --max_regression=0.5")
    assert judged(unclear, True) == (
        False, "not proven to be within --max_regression=0.5, as --strict asks",
    )  # fmt: skip
    assert "a gain of 0.01 points" in verdict_of(harmless).reason


def test_a_bound_is_told_from_the_limit():
    bound = verdict_of(flipped(50, 0, 950)).loss_low
    verdict = verdict_of(flipped(50, 0, 950), max_regression=bound - 1e-6)
    assert not verdict.passed
    digits = f"{100 * bound:.4f}"
    assert f"at least {digits} and" in verdict.reason


def test_a_bound_of_nothing_has_no_sign():
    answers = flipped(0, 0, 1_000_000)
    assert "at least 0.00 and at most 0.00 points" in verdict_of(answers).reason


def test_exactly_the_limit_passes():
    bound = verdict_of(flipped(50, 0, 950)).loss_low
    assert verdict_of(flipped(50, 0, 950), max_regression=bound).passed


@pytest.mark.parametrize("rows", [[], [(10, 1, 1, 1, 10), (11, 1, 1, 1, 10)], [(4, 4, 1, 4, 1)]])
@pytest.mark.parametrize("strict", [False, True])
def test_without_a_photograph_of_an_old_taxon_nothing_is_judged(rows, strict):
    verdict = verdict_of(answers_of(rows), strict=strict)
    assert (verdict.judged, verdict.passed) == (False, False)
    assert "could not be judged: the test split has no photograph" in verdict.reason
    assert (verdict.loss, verdict.loss_low, verdict.loss_high) == (None, None, None)
    assert (verdict.shared, verdict.everyone) == (None, None)
    assert (verdict.taken, verdict.by_taxon) == ([], [])
    assert verdict.new_taxa.photographs == sum(row[0] >= 10 for row in rows)
    json.dumps(verdict.as_json(), allow_nan=False)


def test_releases_that_share_no_taxon():
    answers = answers_of([(10, NO_TAXON, NO_TAXON, 1, 10)])
    verdict = judge(answers, np.array([1]), np.array([10]))
    assert not verdict.judged
    assert (verdict.new_taxa.photographs, verdict.new_taxa.right) == (1, 1)


def test_no_new_taxa():
    answers = answers_of([(1, 1, 1, 1, 1), (2, 2, 1, 2, 1)])
    verdict = judge(answers, np.array([1, 2]), np.array([1, 2]))
    assert verdict.shared == verdict.everyone
    assert verdict.taken == []
    assert verdict.new_taxa == NewTaxa(0, 0, None, None, [])


def test_no_taxon_is_never_right_and_never_known():
    answers = answers_of([(NO_TAXON, NO_TAXON, NO_TAXON, NO_TAXON, NO_TAXON)])
    assert not judge(answers, np.array([NO_TAXON, 1]), np.array([NO_TAXON, 1])).judged


@given(photographs(), st.booleans())
def test_the_order_of_the_photographs_does_not_matter(rows, strict):
    shuffled = np.random.default_rng(1).permutation(np.array(rows, np.int64).reshape(-1, 5))
    one, other = (verdict_of(answers_of(r), strict=strict) for r in (rows, shuffled))
    assert one == other


@given(photographs())
def test_the_counts_add_up(rows):
    verdict = verdict_of(answers_of(rows))
    old = [row for row in rows if row[0] < 10]
    assert verdict.new_taxa.photographs == len(rows) - len(old)
    assert sum(row.photographs for row in verdict.by_taxon) == len(old)
    if not old:
        return
    for figures, before, after in ((verdict.shared, 1, 2), (verdict.everyone, 3, 4)):
        right_before = sum(row[before] == row[0] for row in old)
        right_after = sum(row[after] == row[0] for row in old)
        assert figures.photographs == len(old)
        assert figures.top1_before == pytest.approx(right_before / len(old))
        assert figures.top1_after == pytest.approx(right_after / len(old))
        assert figures.won - figures.lost == right_after - right_before
        assert figures.top1_difference.low <= figures.top1_after - figures.top1_before + 1e-12
        assert figures.top1_difference.high >= figures.top1_after - figures.top1_before - 1e-12
    assert sum(row.right_before for row in verdict.by_taxon) == sum(r[1] == r[0] for r in old)
    assert sum(row.right_after for row in verdict.by_taxon) == sum(r[2] == r[0] for r in old)
    losses = [row.right_before - row.right_after for row in verdict.by_taxon]
    assert losses == sorted(losses, reverse=True)
    taken = sum(row.photographs for row in verdict.taken)
    assert taken == sum(row[3] == row[0] and row[4] >= 10 for row in old)
    assert taken <= verdict.everyone.lost
    assert verdict.loss_low <= verdict.loss <= verdict.loss_high


@given(photographs(), st.floats(0, 1))
def test_the_same_predictions_pass(rows, max_regression):
    same = answers_of([(t, b, b, b, b) for t, b, *_ in rows])
    verdict = verdict_of(same, max_regression=max_regression)
    assert verdict.passed == verdict.judged == any(row[0] < 10 for row in rows)


def test_strict_asks_for_photographs_also_of_the_same_predictions():
    assert not verdict_of(flipped(0, 0, 500), strict=True).passed
    assert verdict_of(flipped(0, 0, 600), strict=True).passed
    assert "more test photographs" in verdict_of(flipped(0, 0, 500), strict=True).reason


@given(
    st.integers(0, 40), st.integers(0, 40), st.integers(1, 300), st.booleans(),
    st.sampled_from([0, 0.001, 0.005, 0.03]), st.booleans(),
)  # fmt: skip
def test_more_losses_never_turn_a_refusal_into_a_pass(lost, won, same, strict, limit, right):
    options = {"strict": strict, "max_regression": limit}
    here = verdict_of(flipped(lost, won, same, right=right), **options)
    worse = [flipped(lost + 1, won, same - 1, right=right)]
    worse += [flipped(lost, won - 1, same + 1, right=right)] if won else []
    for there in worse:
        assert here.passed or not verdict_of(there, **options).passed


@given(photographs())
def test_new_look_alikes_alone_do_not_refuse(rows):
    """What the new release answers among all changes nothing of the judgement."""
    here = verdict_of(answers_of(rows))
    there = verdict_of(answers_of([(*row[:4], 10) for row in rows]))
    assert (here.passed, here.reason, here.shared) == (there.passed, there.reason, there.shared)


def test_as_json_names_taxa_where_it_can():
    tree = Taxonomy(
        [Taxon.of_rank(1, None, "species", "A a"), Taxon.of_rank(10, None, "species", "B b")]
    )
    verdict = verdict_of(answers_of([(1, 1, 1, 1, 10), (2, 2, 2, 2, 2)]))
    value = json.loads(json.dumps(verdict.as_json(tree), allow_nan=False))
    assert value["taken"] == [
        {"old_taxon_id": 1, "new_taxon_id": 10, "photographs": 1, "old_name": "A a",
         "new_name": "B b"}
    ]  # fmt: skip
    assert [row.get("name") for row in value["by_taxon"]] == ["A a", None]
    assert set(value) == {field.name for field in dataclasses.fields(verdict)}
    assert value["shared"]["top1_difference"] == dataclasses.asdict(verdict.shared.top1_difference)
    assert "name" not in verdict.as_json()["by_taxon"][0]


def test_what_is_no_fraction_or_not_the_same_photographs():
    for wrong in (-0.1, 50 * POINT + 1, float("nan")):
        with pytest.raises(ValueError, match="fraction"):
            verdict_of(flipped(1, 1, 1), max_regression=wrong)
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="different photographs"):
        Answers(one, one, two, one, one)


def test_the_interval_of_the_share_lost():
    figures = verdict_of(flipped(0, 3, 7)).shared
    assert figures.lost_share == Interval(0.0, pytest.approx(0.2775, abs=1e-4))
