from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.evaluation.scores import NO_TAXON, Labelled, keep
from taxonvision.evaluation.thresholds import Claims, choose, lowest_thresholds
from taxonvision.runtime.answer import decide
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

RANKS = ("species", "genus", "family", "order")
HALF = 5e-7  # of the millionth that scores are counted in


def results_of(tree, classes, full, truth, scenes=None, thresholds=None):
    roll_up = RollUp(tree, classes)

    def kept(rows, taxa):
        rows = np.asarray(rows, np.float32).reshape(-1, len(classes))
        ids = [str(i) for i in range(len(rows))]
        return keep(Labelled.of(ids, np.array(taxa, np.int64)), [rows], roll_up, classes)

    return Results(
        folder=Path(),
        manifest={},
        taxonomy=tree,
        scores=kept(full, truth),
        known=KnownTaxa(np.array(classes), np.zeros(len(classes), np.int64)),
        scenes=None if scenes is None else kept(scenes, [NO_TAXON] * len(scenes)),
        thresholds=thresholds or Thresholds(),
    )


# The same by loops, from full scores and the decision of the runtime.


def slow_claims(tree, classes, rows, truth, thresholds):
    """Taxon id to (score, right) of each photograph that has it on its branch."""
    roll_up, claims = RollUp(tree, classes), {}
    for row, taxon_id in zip(np.asarray(rows, np.float32), truth, strict=True):
        decision = decide(roll_up, row, thresholds)
        above = [t.taxon_id for t in tree.lineage(taxon_id)] if taxon_id in tree else []
        for node in decision.branch if decision.known else ():
            claimed = int(roll_up.node_ids[node.index])
            claims.setdefault(claimed, []).append((round(node.score, 6), claimed in above))
    return claims


def slow_threshold(claims, precision):
    """The lowest score from which on claims are right often enough; None: there is none."""
    good = []
    for lowest, _ in claims:
        named = [right for score, right in claims if score >= lowest]
        if sum(named) / len(named) >= precision:
            good.append(lowest)
    return min(good, default=None)


@st.composite
def cases(draw):
    taxa, classes = draw(forests(RANKS, 999))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, scenes = draw(st.integers(0, 40)), draw(st.sampled_from([None, 0, 5]))

    def rows(number):
        # 64ths, so that there are ties; halves of them are below a threshold of 0.6.
        share = rng.dirichlet(np.full(len(classes), 0.5))
        return rng.multinomial(64, share, number) / 64 * rng.choice([1, 1, 0.5], (number, 1))

    full = rows(count)
    best = np.array(classes)[full.argmax(axis=1)] if count else np.zeros(0, np.int64)
    others = rng.choice([*(taxon.taxon_id for taxon in taxa), 5000], count)
    truth = np.where(rng.random(count) < 0.7, best, others)
    unknown = draw(st.sampled_from([0, 0.6]))
    return (
        Taxonomy(taxa), classes, full, truth.tolist(), None if scenes is None else rows(scenes),
        Thresholds(unknown=unknown, shown=draw(st.sampled_from([0.7, 0.3]))),
    )  # fmt: skip


@settings(max_examples=20)
@given(cases(), st.sampled_from([0.5, 0.8, 0.95, 1.0]), st.sampled_from([1, 3, 10]))
def test_the_choice_is_that_of_the_slow_way(case, precision, fewest):
    tree, classes, full, truth, scenes, thresholds = case
    choice = choose(results_of(*case), precision, fewest)
    rows = full if scenes is None else np.concatenate([full, scenes])
    labels = truth if scenes is None else truth + [NO_TAXON] * len(scenes)
    claims = slow_claims(tree, classes, rows, labels, thresholds)
    closure = tree.closure(classes)
    assert {one.taxon for one in choice.taxa} == set(closure)
    assert len(choice.taxa) == len(closure)
    for one in choice.taxa:
        own = claims.get(one.taxon.taxon_id, [])
        of_rank = [
            c for t in closure if t.rank == one.taxon.rank for c in claims.get(t.taxon_id, [])
        ]
        origin = "taxon" if len(own) >= fewest else "rank" if len(of_rank) >= fewest else "default"
        assert one.origin == origin
        if origin == "default":
            assert one.threshold == thresholds.shown
        else:
            counted = own if origin == "taxon" else of_rank
            lowest = slow_threshold(counted, precision)
            expected = 1.0 if lowest is None else lowest - HALF
            if lowest == min(score for score, _ in counted):  # all are named
                expected = min(expected, thresholds.shown)
            assert one.threshold == pytest.approx(expected, abs=1e-7)
        named = [right for score, right in own if score > one.threshold]
        tally = one.tally
        assert (tally.photographs, tally.named, tally.right) == (len(own), len(named), sum(named))
        if origin == "taxon" and named:
            assert tally.precision >= precision
    by_rank = {rank.rank: rank for rank in choice.ranks}
    assert list(by_rank) == sorted(by_rank, key=RANKS.index, reverse=True)
    for rank, one in by_rank.items():
        members = [other for other in choice.taxa if other.taxon.rank == rank]
        assert one.taxa == len(members)
        assert one.tally.named == sum(other.tally.named for other in members)
        assert {other.threshold for other in members if other.origin != "taxon"} <= {one.threshold}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6), st.booleans()), max_size=60),
    st.sampled_from([0.0, 0.3, 0.5, 0.95, 1.0]),
)
def test_the_lowest_threshold_of_each_group(drawn, precision):
    columns = [np.array([claim[column] for claim in drawn], int) for column in range(3)]
    found = lowest_thresholds(Claims(columns[0], columns[1], columns[2] == 1), 5, precision)
    for group, threshold in enumerate(found.tolist()):
        claims = [(score, is_right) for g, score, is_right in drawn if g == group]
        lowest = slow_threshold(claims, precision)
        assert threshold == (
            1.0 if lowest is None else pytest.approx(max(0, lowest - 0.5) / 1e6, abs=1e-9)
        )


@pytest.mark.parametrize(("photographs", "least", "most"), [(20, 0.89, 0.94), (1000, 0.94, 0.95)])
def test_on_new_photographs_the_precision_is_a_little_lower(photographs, least, most):
    rng, taxa = np.random.default_rng(1), 500

    def drawn(count):
        scores = rng.beta(2, 0.7, (taxa, count))  # calibrated: so often right
        groups = np.repeat(np.arange(taxa), count)
        millionths = np.rint(scores * 1e6).astype(int).ravel()
        return Claims(groups, millionths, (rng.random((taxa, count)) < scores).ravel())

    def precision(claims):
        named = claims.scores / 1e6 > thresholds[claims.nodes]
        return claims.right[named].mean()

    chosen_on = drawn(photographs)
    thresholds = lowest_thresholds(chosen_on, taxa, 0.95)
    assert precision(chosen_on) >= 0.95
    assert least < precision(drawn(1000)) < most


# By hand.

GENUS, ONE, TWO, THREE = 1, 2, 3, 4
TREE = Taxonomy(
    [
        Taxon.of_rank(GENUS, None, "genus", "Aglais"),
        Taxon.of_rank(ONE, GENUS, "species", "Aglais io"),
        Taxon.of_rank(TWO, GENUS, "species", "Aglais urticae"),
        Taxon.of_rank(THREE, GENUS, "species", "Aglais ichnusa"),
    ]
)
CLASSES = [ONE, TWO, THREE]


def said(score, of=ONE):
    """A photograph's scores: so much for one, the rest in halves for the others."""
    return [score if taxon_id == of else (1 - score) / 2 for taxon_id in CLASSES]


def chosen(full, truth, precision=0.95, fewest=20, **more):
    choice = choose(results_of(TREE, CLASSES, full, truth, **more), precision, fewest)
    return {one.taxon.taxon_id: one for one in choice.taxa}, choice.ranks


def test_the_threshold_lies_between_right_and_wrong():
    full = [said(0.9)] * 10 + [said(0.8)] * 10 + [said(0.5)] * 5
    by_taxon, _ = chosen(full, [ONE] * 20 + [TWO] * 5)
    assert by_taxon[ONE].threshold == pytest.approx(0.8, abs=1e-6)
    assert by_taxon[ONE].threshold < float(np.float32(0.8))
    assert by_taxon[ONE].tally.named == 20
    # One of 20 wrong is what 0.95 allows.
    by_taxon, _ = chosen(full[:20], [ONE] * 19 + [TWO])
    assert by_taxon[ONE].tally.named == 20
    by_taxon, _ = chosen(full[:20], [ONE] * 19 + [TWO], precision=0.951)
    assert by_taxon[ONE].tally.named == 10


def test_a_curve_that_recovers_counts_to_its_lowest_point():
    full = [said(0.9)] * 2 + [said(0.8)] * 18
    by_taxon, _ = chosen(full, [TWO] + [ONE] * 19)
    assert by_taxon[ONE].tally.named == 20


def test_photographs_of_one_score_are_named_together_or_not_at_all():
    full = [said(0.9)] * 20
    by_taxon, _ = chosen(full, [ONE] * 10 + [TWO] * 10)
    assert by_taxon[ONE].threshold == 1
    assert by_taxon[ONE].tally.precision is None
    assert by_taxon[GENUS].tally.named == 20


def test_a_model_that_is_always_wrong_names_nothing():
    full = [said(0.9, of) for of in CLASSES for _ in range(30)]
    by_taxon, ranks = chosen(full, [TWO] * 30 + [THREE] * 30 + [ONE] * 30)
    assert [by_taxon[taxon_id].threshold for taxon_id in CLASSES] == [1, 1, 1]
    assert by_taxon[GENUS].threshold < 1
    assert [(rank.rank, rank.tally.named) for rank in ranks] == [("genus", 90), ("species", 0)]


def test_few_photographs_lean_on_the_rank_and_none_on_the_default():
    full = [said(0.9)] * 18 + [said(0.6, TWO)]
    by_taxon, ranks = chosen(full, [ONE] * 18 + [TWO], fewest=19)
    assert [by_taxon[taxon_id].origin for taxon_id in (GENUS, *CLASSES)] == [
        "taxon", "rank", "rank", "rank",
    ]  # fmt: skip
    assert by_taxon[THREE].tally.photographs == 0  # not one photograph
    assert by_taxon[THREE].threshold == by_taxon[TWO].threshold == pytest.approx(0.6, abs=1e-6)
    by_taxon, ranks = chosen(full, [ONE] * 18 + [TWO])
    assert {one.origin for one in by_taxon.values()} == {"default"}
    assert {one.threshold for one in by_taxon.values()} == {0.7}
    assert [rank.origin for rank in ranks] == ["default", "default"]
    assert by_taxon[ONE].tally.named == 18  # by the default


def test_scenes_are_wrong_unless_the_model_says_that_it_knows_nothing():
    full, truth = [said(0.9)] * 20, [ONE] * 20
    scenes = [[score * 0.5 for score in said(0.95)]] * 20
    by_taxon, _ = chosen(full, truth, scenes=scenes)
    assert by_taxon[ONE].threshold == by_taxon[GENUS].threshold == 1
    by_taxon, _ = chosen(full, truth, scenes=scenes, thresholds=Thresholds(unknown=0.6))
    assert by_taxon[ONE].tally.named == 20


def test_a_truth_below_a_class_is_right_and_one_above_it_wrong():
    tree = Taxonomy([*TREE, Taxon.of_rank(9, ONE, "subspecies", "Aglais io io")])
    for truth, named in ((9, 20), (GENUS, 0), (5000, 0)):
        results = results_of(tree, CLASSES, [said(0.9)] * 20, [truth] * 20)
        by_taxon = {one.taxon.taxon_id: one for one in choose(results, 0.95, 20).taxa}
        assert by_taxon[ONE].tally.named == named
        assert by_taxon[GENUS].tally.named == (0 if truth == 5000 else 20)


def test_one_taxon_alone():
    tree = Taxonomy([Taxon.of_rank(ONE, None, "species", "Aglais io")])
    (one,) = choose(results_of(tree, [ONE], [[0.8]] * 3, [ONE] * 3), 0.95, 1).taxa
    assert (one.threshold, one.tally.named) == (0.7, 3)  # no photograph speaks for more
    (none,) = choose(results_of(tree, [ONE], [], []), 0.95, 1).taxa
    assert (none.origin, none.threshold) == ("default", 0.7)


def test_the_runtime_names_what_the_table_says():
    rng = np.random.default_rng(4)
    full = rng.dirichlet(np.full(3, 0.7), 300).astype(np.float32)
    truth = np.where(rng.random(300) < full.max(axis=1), np.array(CLASSES)[full.argmax(axis=1)], 2)
    choice = choose(results_of(TREE, CLASSES, full, truth), 0.9, 20)
    thresholds = Thresholds(by_taxon={one.taxon.taxon_id: one.threshold for one in choice.taxa})
    roll_up = RollUp(TREE, CLASSES)
    named = dict.fromkeys(CLASSES, 0)
    for row in full:
        sure = decide(roll_up, row, thresholds).sure
        if sure and (taxon_id := int(roll_up.node_ids[sure.index])) in named:
            named[taxon_id] += 1
    expected = {one.taxon.taxon_id: one.tally.named for one in choice.taxa}
    assert named == {taxon_id: expected[taxon_id] for taxon_id in CLASSES}
    assert 0 < sum(named.values()) < 300
