from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.models.engine import load_keras
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

load_keras()

from taxonvision.training.tree_labels import tree_labels  # noqa: E402


def taxonomy_of(parents):
    return Taxonomy(Taxon.of_rank(i, parent, "species", f"T{i}") for i, parent in parents.items())


def classes_of(taxon_ids, retired=()):
    return [
        TaxonClass(n, i, f"T{i}", "species", "retired" if i in retired else "active", "1")
        for n, i in enumerate(taxon_ids)
    ]


# Life (1), two families (2, 3), a genus (4) with two species (5, 6), and a family with one (7).
PARENTS = {1: None, 2: 1, 3: 1, 4: 2, 5: 4, 6: 4, 7: 3}
LIFE = taxonomy_of(PARENTS)


@st.composite
def trees(draw):
    """Parents by taxon id, any forest in any order; some of its taxa, at any height, as classes."""
    count = draw(st.integers(1, 20))
    parents = {1: None}
    for taxon_id in range(2, count + 1):
        parents[taxon_id] = draw(st.none() | st.integers(1, taxon_id - 1))
    taxon_ids = draw(st.lists(st.sampled_from(list(parents)), min_size=1, unique=True))
    retired = draw(st.sets(st.sampled_from(taxon_ids), max_size=3))
    order = draw(st.permutations(list(parents)))
    return {i: parents[i] for i in order}, taxon_ids, retired


def all_pairs(parents, taxon_ids, retired, beta):
    """p(j|c) float64 [C, C], pair by pair as the paper has it."""

    def line(taxon_id):
        return [] if taxon_id is None else [*line(parents[taxon_id]), taxon_id]

    lines = {i: ["the root", *line(i)] for i in taxon_ids if i not in retired}

    def common(ids):
        """The height of the lowest common ancestor."""
        depth = 0
        while len({tuple(lines[i][: depth + 1]) for i in ids}) == 1 and all(
            len(lines[i]) > depth for i in ids
        ):
            depth += 1
        ancestor = lines[ids[0]][depth - 1]
        return max(len(x) - x.index(ancestor) - 1 for x in lines.values() if ancestor in x)

    weights = np.eye(len(taxon_ids))
    for c, one in enumerate(taxon_ids):
        for j, other in enumerate(taxon_ids):
            if c != j and one in lines and other in lines:
                weights[c, j] = np.exp(-beta * common([one, other]) / common(list(lines)))
    return weights / weights.sum(1, keepdims=True)


def soft(parents, taxon_ids, retired, beta, targets):
    labels = tree_labels(classes_of(taxon_ids, retired), taxonomy_of(parents), beta)
    return labels.soften(np.asarray(targets, np.float32)).numpy()


@given(trees(), st.floats(0.01, 40))
def test_every_row_is_that_of_all_pairs(tree, beta):
    expected = all_pairs(*tree, beta)
    np.testing.assert_allclose(soft(*tree, beta, np.eye(len(expected))), expected, 1e-5, 1e-30)
    labels = tree_labels(classes_of(*tree[1:]), taxonomy_of(tree[0]), beta)
    assert labels.kept == pytest.approx(np.diag(expected).mean(), rel=1e-5)


@given(trees(), st.integers(0, 2**32 - 1))
def test_mixtures_are_mixed_and_add_up_to_one(tree, seed):
    targets = np.random.default_rng(seed).dirichlet(np.ones(len(tree[1])), 5)
    found = soft(*tree, 3.0, targets)
    np.testing.assert_allclose(found, targets @ all_pairs(*tree, 3.0), 1e-4, 1e-7)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)


def test_the_near_are_meant_more_than_the_far():
    row = soft(PARENTS, [5, 6, 7], (), 6.0, [[1, 0, 0]])[0]
    # The genus is one up, Life three.
    np.testing.assert_allclose(row, np.exp([0, -2, -6]) / np.exp([0, -2, -6]).sum(), 1e-5)


def test_a_class_on_an_inner_node_is_itself_at_no_distance():
    row = soft(PARENTS, [4, 5, 7], (), 6.0, [[1, 0, 0]])[0]
    np.testing.assert_allclose(row, np.exp([0, -2, -6]) / np.exp([0, -2, -6]).sum(), 1e-5)


def test_ancestors_of_all_classes_do_not_count():
    parents = {100: None, **PARENTS, 1: 100}
    np.testing.assert_allclose(
        soft(parents, [5, 6, 7], (), 6.0, np.eye(3)), soft(PARENTS, [5, 6, 7], (), 6.0, np.eye(3))
    )


def test_several_roots_have_one_above_them():
    row = soft({1: None, 2: None, 3: 1, 4: 1}, [3, 4, 2], (), 2.0, [[1, 0, 0]])[0]
    np.testing.assert_allclose(row, np.exp([0, -1, -2]) / np.exp([0, -1, -2]).sum(), 1e-5)


def test_nothing_is_spread_to_retired_classes_or_from_them():
    found = soft(PARENTS, [5, 6, 7], {6}, 1.0, np.eye(3))
    assert found[1].tolist() == [0, 1, 0]
    assert found[:, 1].tolist() == [0, 1, 0]
    assert (found[[0, 2]][:, [0, 2]] > 0).all()


@pytest.mark.parametrize("retired", [{6}, {5, 6}])
def test_one_active_class_or_none_stays_alone(retired):
    assert np.array_equal(soft(PARENTS, [5, 6], retired, 1.0, np.eye(2)), np.eye(2))


def test_sixty_thousand_classes_are_kept_in_little_room():
    species = range(100_000, 160_000)
    parents = {1: None} | dict.fromkeys(range(2, 62), 1) | {i: i % 60 + 2 for i in species}
    labels = tree_labels(classes_of(species), taxonomy_of(parents), 10.0)
    assert sum(merge.nbytes for merge in labels.merges) + labels.normalisers.nbytes < 10**6
    targets = np.zeros((2, 60_000), np.float32)
    targets[0, 7] = targets[1, 59_999] = 1
    found = labels.soften(targets).numpy()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    ratio = found[0, 7 + 60] / found[0, 8]  # the same genus against another
    assert ratio == pytest.approx(np.exp(5), rel=1e-4)
