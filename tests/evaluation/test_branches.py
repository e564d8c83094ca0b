from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.evaluation import branches as branches_module
from taxonvision.evaluation.branches import Paths, best_branches, nodes_of
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.runtime.answer import decide
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy

RANKS = ("species", "genus", "family", "order")
FORESTS = forests(RANKS, 999)


def kept_of(full, tree, classes):
    ids = [str(i) for i in range(len(full))]
    truth = np.zeros(len(full), np.int64)
    return keep(Labelled.of(ids, truth), [full], RollUp(tree, classes), classes)


def found_in(branches, photograph):
    here = branches.photographs == photograph
    return branches.nodes[here].tolist(), branches.scores[here]


@settings(max_examples=20)
@given(
    FORESTS, st.integers(0, 2**32 - 1), st.integers(0, 9), st.sampled_from([0.001, 0.05, 0.5, 1.0])
)
def test_they_are_those_of_the_answer(forest, seed, count, kept_share):
    taxa, classes = forest
    tree, rng = Taxonomy(taxa), np.random.default_rng(seed)
    roll_up = RollUp(tree, classes)
    full = rng.dirichlet(np.full(len(classes), 0.3), count) * rng.random((count, 1))
    full = full.astype(np.float32)
    found = best_branches(
        kept_of(full, tree, classes), roll_up, Paths(roll_up), Thresholds(kept_share=kept_share)
    )
    for i, row in enumerate(full):
        expected = decide(roll_up, row, Thresholds(kept_share=kept_share)).branch
        nodes, scores = found_in(found, i)
        assert nodes == [node.index for node in expected]
        assert scores == pytest.approx([node.score for node in expected], abs=1e-12)


def slow_branch(tree, own):
    """BUNDLE.md's step 5 by hand, from the own share of each taxon that is a class."""
    children = tree.children()

    def total(taxon_id):
        return own.get(taxon_id, 0) + sum(map(total, children.get(taxon_id, ())))

    branch, candidates = [], children[None]
    while candidates:
        best = max(candidates, key=total)  # the first of equals
        if branch and own.get(branch[-1], 0) > total(best):
            break
        branch.append(best)
        candidates = children.get(best, ())
    return branch, [total(taxon_id) for taxon_id in branch]


@settings(max_examples=20)
@given(FORESTS, st.integers(0, 2**32 - 1), st.integers(1, 9), st.sampled_from([2, 16, 64]))
def test_equal_scores_go_to_the_first_and_to_what_is_below(forest, seed, count, parts):
    taxa, classes = forest
    tree, rng = Taxonomy(taxa), np.random.default_rng(seed)
    roll_up = RollUp(tree, classes)
    # Parts of a power of two: no rounding decides between equals.
    full = rng.multinomial(parts, np.full(len(classes), 1 / len(classes)), count) / parts
    kept = kept_of(full.astype(np.float32), tree, classes)
    found = best_branches(kept, roll_up, Paths(roll_up), Thresholds())
    for i, row in enumerate(full):
        expected = slow_branch(roll_up.taxonomy, dict(zip(classes, row.tolist(), strict=True)))
        nodes, scores = found_in(found, i)
        assert (roll_up.node_ids[nodes].tolist(), scores.tolist()) == expected


def test_photographs_are_taken_in_slices(case, tree, class_taxon_ids, monkeypatch):
    roll_up = RollUp(tree, class_taxon_ids)
    whole = best_branches(case.kept, roll_up, Paths(roll_up), Thresholds())
    monkeypatch.setattr(branches_module, "_AT_ONCE", 7)
    sliced = best_branches(case.kept, roll_up, Paths(roll_up), Thresholds())
    for name in ("photographs", "nodes", "scores"):
        assert np.array_equal(getattr(whole, name), getattr(sliced, name))


def test_scores_of_zero_have_no_branch(tree, class_taxon_ids):
    full = np.zeros((2, len(class_taxon_ids)), np.float32)
    full[1, 3] = 0.5
    roll_up = RollUp(tree, class_taxon_ids)
    kept = kept_of(full, tree, class_taxon_ids)
    found = best_branches(kept, roll_up, Paths(roll_up), Thresholds())
    assert set(found.photographs.tolist()) == {1}
    assert found.scores.tolist() == [1.0] * 4


@settings(max_examples=20)
@given(FORESTS)
def test_at_or_below_is_what_lineages_say(forest):
    taxa, classes = forest
    tree = Taxonomy(taxa)
    roll_up = RollUp(tree, classes)
    paths, ids = Paths(roll_up), roll_up.node_ids.tolist()
    below, above = (grid.ravel() for grid in np.meshgrid(np.arange(-1, len(ids)), range(len(ids))))
    found = paths.at_or_below(below, above)
    for here, there, answer in zip(below.tolist(), above.tolist(), found.tolist(), strict=True):
        lineage = [t.taxon_id for t in tree.lineage(ids[here])] if here >= 0 else []
        assert answer == (ids[there] in lineage)


def test_the_node_of_a_taxon_is_its_nearest_one(tree):
    roll_up = RollUp(tree, [12, 21])
    # 22 and 99 are below 21; 13 is no class, below the genus of one; 20 is above; 30 has nothing.
    asked = np.array([12, 22, 99, 13, 20, 30, 7])
    nodes = nodes_of(asked, tree, roll_up)
    found = [int(roll_up.node_ids[node]) if node >= 0 else None for node in nodes]
    assert found == [12, 21, 21, 11, 20, 1, None]
