from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests
from sklearn.metrics import top_k_accuracy_score

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.metrics.accuracy import (
    accuracy_of_ranks,
    best_classes,
    best_of_ranks,
    is_right,
)
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy


def at_ranks(scores, tree) -> dict[str, float]:
    """The accuracy at each rank without intervals."""
    found = accuracy_of_ranks(
        scores.truth,
        best_of_ranks(scores, tree, MAIN_RANKS),
        tree,
        Lineages.of(tree, scores.truth),
        Resampling(scores.observations, replicates=0),
    )
    return {rank: estimate.value for rank, estimate in found.items()}


def bounds_at_rank(full, truth, tree, class_taxon_ids, rank) -> tuple[float, float] | None:
    """From the full scores, by summing up every node of the rank; a tie may go either way."""
    lineages = {t.taxon_id: [above.taxon_id for above in tree.lineage(t.taxon_id)] for t in tree}
    nodes = [
        node.taxon_id
        for node in tree
        if node.rank == rank and any(node.taxon_id in lineages[c] for c in class_taxon_ids)
    ]
    below = np.array([[node in lineages[c] for node in nodes] for c in class_taxon_ids], float)
    judged = [i for i, t in enumerate(truth) if any(tree[a].rank == rank for a in lineages[t])]
    if not judged:
        return None
    surely, maybe = [], []
    for i in judged:
        sums = full[i].astype(np.float64) @ below.reshape(len(class_taxon_ids), -1)
        best = [n for n, s in zip(nodes, sums, strict=True) if s >= sums.max() - 1e-6]
        right = [node in lineages[truth[i]] for node in best]
        surely.append(bool(right) and all(right))
        maybe.append(any(right))
    return float(np.mean(surely)), float(np.mean(maybe))


def test_top_k_is_that_of_the_full_scores(case, class_taxon_ids):
    order = np.argsort(-case.full, axis=1, kind="stable")
    names = np.array(class_taxon_ids)[order]
    assert (best_classes(case.kept) == names[:, 0]).all()
    for top in (1, 3, 5):
        expected = (names[:, :top] == case.truth[:, None]).any(axis=1)
        assert (is_right(case.kept, top) == expected).all()


@pytest.mark.parametrize("top", [1, 2, 5])
def test_top_k_is_that_of_scikit_learn(case_of, class_taxon_ids, top):
    rng = np.random.default_rng(top)
    full = rng.dirichlet(np.full(6, 0.8), 200).astype(np.float32)
    truth = rng.integers(6, size=200)
    found = is_right(case_of(full, np.array(class_taxon_ids)[truth]).kept, top).mean()
    assert found == pytest.approx(top_k_accuracy_score(truth, full, k=top, labels=range(6)))


def test_accuracy_at_ranks_is_that_of_the_full_scores(case, tree, class_taxon_ids):
    found = at_ranks(case.kept, tree)
    assert list(found) == ["species", "genus", "family"]
    for rank, value in found.items():
        low, high = bounds_at_rank(case.full, case.truth.tolist(), tree, class_taxon_ids, rank)
        assert low - 1e-9 <= value <= high + 1e-9


@settings(max_examples=20)
@given(forests(["order", "family", "genus", "subgenus", "species"], 60), st.data())
def test_on_any_tree_accuracy_at_ranks_is_that_of_the_full_scores(forest, data):
    taxa, classes = forest
    tree, n = Taxonomy(taxa), 8
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    full = rng.uniform(0.2, 1, (n, len(classes))).astype(np.float32)
    truth = rng.choice([taxon.taxon_id for taxon in taxa], n)
    photographs = Labelled.of([str(i) for i in range(n)], truth)
    found = at_ranks(keep(photographs, [full], RollUp(tree, classes), classes), tree)
    for rank in MAIN_RANKS:
        bounds = bounds_at_rank(full, truth.tolist(), tree, classes, rank)
        if rank in found:
            assert bounds is not None
            assert bounds[0] - 1e-9 <= found[rank] <= bounds[1] + 1e-9
        elif rank == "species":
            assert bounds is None


def test_the_genus_can_be_right_where_the_species_is_not(case_of, tree):
    two = case_of([[0.6, 0.3, 0.0, 0.1, 0.0, 0.0], [0, 0, 0, 1, 0, 0]], [13, 22])
    assert is_right(two.kept).tolist() == [False, True]
    assert at_ranks(two.kept, tree) == {"species": 0.5, "genus": 1, "family": 1}


def test_a_taxon_that_is_no_class_can_be_right_at_its_genus(case_of, tree):
    two = case_of([[0.1, 0.0, 0.0, 0.7, 0.2, 0.0], [1, 0, 0, 0, 0, 0]], [99, 12])
    assert is_right(two.kept, 5).tolist() == [False, True]
    assert at_ranks(two.kept, tree)["genus"] == 1


def test_a_class_on_a_genus_adds_to_its_species(case_of, tree):
    # Pieris: 0.2 + 0.1 + 0.25 of the genus itself, more than the 0.45 of Papilio machaon.
    two = case_of([[0.2, 0.1, 0.25, 0.45, 0.0, 0.0], [0, 0, 0, 1, 0, 0]], [12, 22])
    assert at_ranks(two.kept, tree)["genus"] == 1


def test_ranks_with_a_single_taxon_tell_nothing_and_are_left_out(case_of, tree):
    case = case_of(np.eye(6)[:4], [12, 13, 12, 13])
    assert set(at_ranks(case.kept, tree)) == {"species"}
    assert at_ranks(case_of(np.eye(6)[:1], [30]).kept, tree) == {}
