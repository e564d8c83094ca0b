import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from random_trees import forests

from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

RANKS = [*MAIN_RANKS, "tribe"]


@st.composite
def cases(draw):
    """A forest in any order, and classes on any of its nodes in any order."""
    taxa, classes = draw(forests(RANKS, 10**9))
    return Taxonomy(draw(st.permutations(taxa))), classes


def scores_for(count):
    shape = st.tuples(st.integers(0, 3), st.just(count))
    return hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32))


def naive_score(tree, classes, row, taxon_id):
    """The recursive definition: a node's own score and that of each of its children."""
    own = float(row[classes.index(taxon_id)]) if taxon_id in classes else 0.0
    children = tree.children().get(taxon_id, [])
    return own + sum(naive_score(tree, classes, row, child) for child in children)


@given(cases(), st.data())
def test_scores_are_the_recursive_sums(case, data):
    tree, classes = case
    scores = data.draw(scores_for(len(classes)))
    rollup = RollUp(tree, classes)
    got = rollup.node_scores(scores)
    assert got.dtype == np.float64
    assert got.shape == (len(scores), len(rollup.node_ids))
    for row, sums in zip(scores, got, strict=True):
        expected = [naive_score(tree, classes, row, i) for i in rollup.node_ids.tolist()]
        assert sums == pytest.approx(expected, abs=1e-12)


@given(cases(), st.data())
def test_chosen_nodes_have_the_scores_that_they_have_among_all(case, data):
    rollup = RollUp(*case)
    scores = data.draw(scores_for(len(case[1])))
    nodes = data.draw(st.lists(st.integers(0, len(rollup.node_ids) - 1), unique=True))
    chosen = np.array(nodes, np.int64)
    got = rollup.node_scores(scores, chosen)
    np.testing.assert_array_equal(got, rollup.node_scores(scores)[:, chosen])


@given(cases())
def test_nodes_are_the_closure_parents_first(case):
    tree, classes = case
    rollup = RollUp(tree, classes)
    ids = rollup.node_ids.tolist()
    assert sorted(ids) == sorted(taxon.taxon_id for taxon in tree.closure(classes))
    for index, parent in enumerate(rollup.parents.tolist()):
        assert parent < index
        assert tree[ids[index]].parent_taxon_id == (ids[parent] if parent >= 0 else None)


@given(cases(), st.data())
def test_best_branch_is_a_way_down_from_a_root(case, data):
    tree, classes = case
    rollup = RollUp(tree, classes)
    scores = data.draw(scores_for(len(classes)))
    for row, own in zip(rollup.node_scores(scores), scores, strict=True):
        branch = rollup.best_branch(row, own)
        assert rollup.parents[branch].tolist() == [-1, *branch[:-1]]
        assert row[branch[0]] == row[rollup.parents == -1].max()
        for node in branch[1:]:
            siblings = np.flatnonzero(rollup.parents == rollup.parents[node])
            assert row[node] == row[siblings].max()
        assert int(rollup.node_ids[branch[-1]]) in classes  # it ends where a class is


GENUS_AND_SPECIES = Taxonomy(
    [
        Taxon.of_rank(30, None, "family", "F"),
        Taxon.of_rank(20, 30, "genus", "G"),
        Taxon.of_rank(10, 20, "species", "G a"),
        Taxon.of_rank(11, 20, "species", "G b"),
        Taxon.of_rank(21, 30, "genus", "H"),
        Taxon.of_rank(99, None, "family", "without a class"),
    ]
)


def branch_of(scores):
    rollup = RollUp(GENUS_AND_SPECIES, [10, 11, 20, 21])
    own = np.array(scores)
    return rollup.node_ids[rollup.best_branch(rollup.node_scores(own[None])[0], own)].tolist()


def test_a_class_on_an_inner_node_adds_its_own_score():
    rollup = RollUp(GENUS_AND_SPECIES, [10, 11, 20, 21])
    assert rollup.node_ids.tolist() == [30, 20, 10, 11, 21]
    scores = np.array([[0.5, 0.25, 0.125, 0.0625], [0, 0, 0, 1]])
    assert rollup.node_scores(scores).tolist() == [
        [0.9375, 0.875, 0.5, 0.25, 0.0625],
        [1, 0, 0, 0, 1],
    ]


def test_best_branch_stops_at_an_inner_class_that_outscores_its_children():
    assert branch_of([0.3, 0.1, 0.5, 0.1]) == [30, 20]
    assert branch_of([0.5, 0.1, 0.3, 0.1]) == [30, 20, 10]
    # Of equal scores the child is taken, also where the genus minus its species would be more.
    assert branch_of([0.01, 0.02, 0.02, 0]) == [30, 20, 11]


def test_best_branch_is_greedy_not_that_of_the_best_class():
    assert branch_of([0.3, 0.3, 0, 0.4]) == [30, 20, 10]


def test_unknown_taxon():
    with pytest.raises(KeyError):
        RollUp(GENUS_AND_SPECIES, [12345])


def test_a_deep_chain_needs_no_recursion():
    depth = 5_000
    chain = Taxonomy(
        Taxon.of_rank(i + 1, i if i else None, "species", f"T{i}") for i in range(depth)
    )
    rollup = RollUp(chain, [depth, 1])
    assert rollup.node_scores(np.array([[0.25, 0.5]]))[0].tolist() == [0.75] + [0.25] * (depth - 1)
