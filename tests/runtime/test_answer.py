from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.runtime.answer import best_classes, common_ancestor, decide, is_unknown, kept
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

RANKS = ("subspecies", "species", "genus", "tribe", "family", "superfamily", "order", "class")


@st.composite
def cases(draw):
    """A forest, classes on any of its nodes (inner ones too), and their probabilities."""
    taxa, classes = draw(forests(RANKS, 999))
    # Eighths and small ones: equal scores, and scores on either side of each threshold.
    weight = st.sampled_from([0, 1e-9, 1e-5, 1e-3, 0.01, 0.125, 0.25, 0.5, 1]) | st.floats(0, 1)
    drawn = draw(st.lists(weight, min_size=len(classes), max_size=len(classes)))
    weights = np.array(drawn, np.float64)
    weights[draw(st.integers(0, len(classes) - 1))] += 0.5
    scores = (weights / weights.sum()).astype(np.float32)
    return Taxonomy(taxa), classes, scores


def sums(tree, classes, leaf_scores):
    """Taxon id to the sum of the classes at or below it, divided by the sum of all."""
    found = {}
    for taxon_id, score in zip(classes, leaf_scores, strict=True):
        for taxon in tree.lineage(taxon_id):
            found[taxon.taxon_id] = found.get(taxon.taxon_id, 0) + score / sum(leaf_scores)
    return found


@given(cases(), st.sampled_from([0, 0.001, 0.1, 1]))
def test_rolled_up_scores_are_the_sums_of_kept_classes(case, kept_share):
    tree, classes, scores = case
    row = [float(score) for score in scores]
    expected = sums(tree, classes, [s if s >= kept_share * max(row) else 0.0 for s in row])
    dropped = sum(s for s in row if s < kept_share * max(row))
    rest = kept(scores, kept_share)
    assert rest[rest > 0] == pytest.approx(scores[rest > 0] / (1 - dropped), rel=1e-5)
    roll_up = RollUp(tree, classes)
    found = roll_up.node_scores(rest[None])[0]
    assert dict(zip(roll_up.node_ids.tolist(), found, strict=True)) == pytest.approx(
        expected, abs=1e-12
    )
    assert found[roll_up.parents == -1].sum() == pytest.approx(1)


def slow_common_ancestor(tree, classes, scores, thresholds):
    """The best score that a taxon of the finest level has; None where none is good enough."""
    leaves = sorted(zip(scores.tolist(), classes, strict=True), key=lambda leaf: -leaf[0])
    leaves = leaves[: thresholds.ancestor_leaves]
    leaves = [leaf for leaf in leaves if leaf[0] >= thresholds.ancestor_share * leaves[0][0]]
    shares = sums(tree, [taxon_id for _, taxon_id in leaves], [score for score, _ in leaves])
    low, high = thresholds.ancestor_rank_levels
    good = [
        (tree[taxon_id].rank_level, -share)
        for taxon_id, share in shares.items()
        if share > thresholds.ancestor_score and low <= tree[taxon_id].rank_level <= high
    ]
    return min(good, default=None)


@given(
    cases(),
    st.builds(
        Thresholds,
        ancestor_score=st.sampled_from([0.1003, 0.3007, 0.6001, 0.7803, 0.9999]),
        ancestor_leaves=st.integers(1, 15),
        ancestor_share=st.sampled_from([0, 0.01, 0.3, 1]),
        ancestor_rank_levels=st.sampled_from([(20, 33), (20, 20), (0, 100), (33, 50)]),
    ),
)
def test_the_common_ancestor_is_that_of_the_slow_way(case, thresholds):
    tree, classes, scores = case
    roll_up = RollUp(tree, classes)
    found = common_ancestor(roll_up, scores, thresholds)
    expected = slow_common_ancestor(tree, classes, scores, thresholds)
    if found is None or expected is None:
        assert found is expected is None
        return
    taxon = tree[int(roll_up.node_ids[found.index])]
    assert taxon.rank_level == expected[0]
    assert found.score == pytest.approx(-expected[1], abs=1e-9)


@given(
    cases(),
    st.builds(Thresholds, shown=st.floats(0, 1), unknown=st.sampled_from([0, 0.4, 1])),
    st.dictionaries(st.integers(0, 24), st.floats(0, 1) | st.just(1.0)),
)
def test_a_decision_keeps_to_its_thresholds(case, thresholds, own):
    tree, classes, scores = case
    roll_up = RollUp(tree, classes)
    by_taxon = {
        int(roll_up.node_ids[place]): value
        for place, value in own.items()
        if place < len(roll_up.node_ids)
    }
    thresholds = replace(thresholds, by_taxon=by_taxon)
    decision = decide(roll_up, scores, thresholds)
    levels = [tree[int(roll_up.node_ids[node.index])].rank_level for node in decision.branch]
    assert decision.known is not bool(float(scores.sum(dtype=np.float64)) < thresholds.unknown)
    above = [
        node
        for node in decision.branch
        if node.score > by_taxon.get(int(roll_up.node_ids[node.index]), thresholds.shown)
    ]
    assert all(by_taxon.get(int(roll_up.node_ids[node.index])) != 1 for node in above)
    if not decision.known:
        assert decision.sure is decision.common_ancestor is None
    elif above:
        assert decision.sure == above[-1]
        if levels[decision.branch.index(above[-1])] <= 10:
            assert decision.common_ancestor is None
    else:
        assert decision.sure is None
    if decision.common_ancestor:
        assert decision.common_ancestor == common_ancestor(roll_up, scores, thresholds)


@given(
    st.lists(st.sampled_from([0, 0.1, 0.2, 0.3, float("nan")]), min_size=1, max_size=12),
    st.integers(1, 14),
)
def test_the_best_classes_are_the_first_of_a_stable_sort(scores, count):
    row = np.array(scores, np.float32)
    assert best_classes(row, count).tolist() == np.argsort(-row, kind="stable")[:count].tolist()


FAMILY, VANESSA, ATALANTA, CARDUI, AGLAIS, URTICAE, PIERIDAE, RAPAE = range(1, 9)
BUTTERFLIES = Taxonomy(
    [
        Taxon.of_rank(FAMILY, None, "family", "Nymphalidae"),
        Taxon.of_rank(VANESSA, FAMILY, "genus", "Vanessa"),
        Taxon.of_rank(ATALANTA, VANESSA, "species", "Vanessa atalanta"),
        Taxon.of_rank(CARDUI, VANESSA, "species", "Vanessa cardui"),
        Taxon.of_rank(AGLAIS, FAMILY, "genus", "Aglais"),
        Taxon.of_rank(URTICAE, AGLAIS, "species", "Aglais urticae"),
        Taxon.of_rank(PIERIDAE, None, "family", "Pieridae"),
        Taxon.of_rank(RAPAE, PIERIDAE, "species", "Pieris rapae"),
    ]
)


def decision_of(classes_and_scores, **thresholds):
    roll_up = RollUp(BUTTERFLIES, list(classes_and_scores))
    scores = np.array(list(classes_and_scores.values()), np.float32)
    decision = decide(roll_up, scores, Thresholds(**thresholds))
    ids = roll_up.node_ids.tolist()
    return [
        (ids[node.index], round(node.score, 4)) if node else None
        for node in (decision.sure, decision.common_ancestor)
    ]


def test_a_family_where_its_species_share_the_score():
    assert decision_of({ATALANTA: 0.3, CARDUI: 0.25, URTICAE: 0.35, RAPAE: 0.1}) == [
        (FAMILY, 0.9), (FAMILY, 0.9),
    ]  # fmt: skip
    # A common ancestor needs more than a sure taxon, yet what is below the share is forgotten.
    assert decision_of({ATALANTA: 0.3, CARDUI: 0.25, URTICAE: 0.2, RAPAE: 0.25}) == [
        (FAMILY, 0.75), None,
    ]  # fmt: skip
    assert decision_of({ATALANTA: 0.69, CARDUI: 0.005, RAPAE: 0.305}, ancestor_share=0.5) == [
        None, (VANESSA, 1.0),
    ]  # fmt: skip


def test_a_class_on_a_genus_counts_with_its_species():
    assert decision_of({VANESSA: 0.5, ATALANTA: 0.3, RAPAE: 0.2}) == [
        (VANESSA, 0.8), (VANESSA, 0.8),
    ]  # fmt: skip


def test_a_sure_species_needs_no_common_ancestor():
    assert decision_of({ATALANTA: 0.8, CARDUI: 0.1, RAPAE: 0.1}) == [(ATALANTA, 0.8), None]


def test_each_taxon_of_the_branch_has_its_own_threshold():
    classes = {ATALANTA: 0.5, CARDUI: 0.3, RAPAE: 0.2}
    assert decision_of(classes)[0] == (VANESSA, 0.8)
    assert decision_of(classes, by_taxon={ATALANTA: 0.49})[0] == (ATALANTA, 0.5)
    assert decision_of(classes, by_taxon={ATALANTA: 0.5})[0] == (VANESSA, 0.8)  # above, not at it
    assert decision_of(classes, by_taxon={VANESSA: 0.9, RAPAE: 0.1})[0] == (FAMILY, 0.8)


def test_a_threshold_of_1_is_never_reached_though_sums_are_rounded():
    tree = Taxonomy(
        [Taxon.of_rank(1, None, "genus", "G")]
        + [Taxon.of_rank(2 + i, 1, "species", f"S{i}") for i in range(30)]
    )
    roll_up = RollUp(tree, range(2, 32))
    rows = np.random.default_rng(0).random((200, 30)).astype(np.float32)
    sums = [float(roll_up.node_scores(kept(row, 0)[None])[0, 0]) for row in rows]
    assert max(sums) > 1  # else this shows nothing
    for row in rows:
        assert decide(roll_up, row, Thresholds(by_taxon={1: 1.0}, shown=1.0)).sure is None
        assert decide(roll_up, row, Thresholds(by_taxon={1: 0.999})).sure is not None


def test_dropped_classes_go_to_the_rest_in_proportion():
    classes = {ATALANTA: 0.7, CARDUI: 0.1, RAPAE: 0.2}
    assert decision_of(classes, shown=0.75)[0] == (VANESSA, 0.8)
    assert decision_of(classes, shown=0.75, kept_share=0.2)[0] == (ATALANTA, 0.7778)


def test_unknown_is_below_and_not_at_the_threshold():
    scores = np.array([0.25, 0.5], np.float32)
    assert not is_unknown(scores, 0.75)
    assert is_unknown(scores, 0.7500001)
    assert not is_unknown(scores, 0)


@pytest.mark.parametrize("value", [0, np.nan])
def test_scores_of_a_broken_model_name_nothing(value):
    roll_up = RollUp(BUTTERFLIES, [ATALANTA, RAPAE])
    decision = decide(roll_up, np.full(2, value, np.float32), Thresholds())
    assert decision.sure is decision.common_ancestor is None


def test_sixty_thousand_classes_take_milliseconds():
    count = 60_000
    taxa = [Taxon.of_rank(1, None, "order", "O")]
    taxa += [Taxon.of_rank(2 + i, 1, "family", f"F{i}") for i in range(300)]
    taxa += [Taxon.of_rank(1000 + i, 2 + i % 300, "genus", f"G{i}") for i in range(9000)]
    taxa += [Taxon.of_rank(10**6 + i, 1000 + i % 9000, "species", f"S{i}") for i in range(count)]
    roll_up = RollUp(Taxonomy(taxa), range(10**6, 10**6 + count))
    powers = np.exp(np.random.default_rng(0).normal(0, 3, count)).astype(np.float32)
    scores = powers / powers.sum()
    started = time.process_time()
    for _ in range(5):
        decide(roll_up, scores, Thresholds())
    # About 10 ms a photograph; a loop over the classes would take hundreds.
    assert (time.process_time() - started) / 5 < 0.1
