from __future__ import annotations

import numpy as np
import pytest

from taxonvision.evaluation.metrics import (
    accuracy_at_rank,
    accuracy_by_taxon,
    best_classes,
    is_right,
    metrics,
)


def bounds_of_accuracy_at_rank(case, tree, class_taxon_ids, rank) -> tuple[float, float] | None:
    """From the full scores, by summing up every node of the rank; a tie may go either way."""
    nodes = [taxon.taxon_id for taxon in tree if taxon.rank == rank]
    sums = np.zeros((len(case.full), len(nodes)))
    for column, node in enumerate(nodes):
        for position, taxon_id in enumerate(class_taxon_ids):
            if node in [t.taxon_id for t in tree.lineage(taxon_id)]:
                sums[:, column] += case.full[:, position]
    truth = [tree.at_rank(t, rank) for t in case.truth.tolist()]
    judged = [i for i, t in enumerate(truth) if t is not None]
    if not judged:
        return None
    best = [{n for n, s in zip(nodes, sums[i], strict=True) if s == sums[i].max()} for i in judged]
    surely = np.mean([names == {truth[i]} for names, i in zip(best, judged, strict=True)])
    maybe = np.mean([truth[i] in names for names, i in zip(best, judged, strict=True)])
    return float(surely), float(maybe)


def test_top_k_is_that_of_the_full_scores(case, class_taxon_ids):
    order = np.argsort(-case.full, axis=1, kind="stable")
    names = np.array(class_taxon_ids)[order]
    assert (best_classes(case.kept) == names[:, 0]).all()
    for top in (1, 3, 5):
        expected = (names[:, :top] == case.truth[:, None]).any(axis=1)
        assert (is_right(case.kept, top) == expected).all()


@pytest.mark.parametrize("rank", ["genus", "family", "order", "kingdom"])
def test_rank_accuracy_is_that_of_the_full_scores(case, tree, class_taxon_ids, rank):
    found = accuracy_at_rank(case.kept, tree, rank)
    bounds = bounds_of_accuracy_at_rank(case, tree, class_taxon_ids, rank)
    if bounds is None:
        assert found is None
    else:
        assert found is not None
        assert bounds[0] - 1e-9 <= found <= bounds[1] + 1e-9


def test_the_genus_can_be_right_where_the_species_is_not(case_of, tree):
    one = case_of([[0.6, 0.3, 0.0, 0.1, 0.0, 0.0]], [13])
    assert not is_right(one.kept).any()
    assert accuracy_at_rank(one.kept, tree, "genus") == 1
    assert accuracy_at_rank(one.kept, tree, "species") == 0


def test_a_taxon_that_is_no_class_can_be_right_at_its_genus(case_of, tree):
    one = case_of([[0.1, 0.0, 0.0, 0.7, 0.2, 0.0]], [99])
    figures = metrics(one.kept, tree)
    assert figures["top1"] == figures["top5"] == 0
    assert accuracy_at_rank(one.kept, tree, "genus") == 1


def test_a_class_on_a_genus_adds_to_its_species(case_of, tree):
    # Pieris: 0.2 + 0.1 + 0.25 of the genus itself, more than the 0.45 of Papilio machaon.
    one = case_of([[0.2, 0.1, 0.25, 0.45, 0.0, 0.0]], [12])
    assert accuracy_at_rank(one.kept, tree, "genus") == 1


def test_figures_by_hand(case_of, tree):
    right = [1, 0, 0, 0, 0, 0]
    wrong = [0, 0, 0, 1, 0, 0]
    three = case_of([right, right, wrong, wrong], [12, 12, 12, 13])
    figures = metrics(three.kept, tree)
    assert figures["n"] == 4
    assert figures["top1"] == pytest.approx(0.5)
    assert figures["macro_top1"] == pytest.approx((2 / 3 + 0) / 2)
    assert figures["ranks"]["species"] == pytest.approx(0.5)
    by_taxon = accuracy_by_taxon(three.kept, tree)
    assert [(t.name, t.photographs, t.right) for t in by_taxon] == [
        ("Pieris napi", 1, 0),
        ("Pieris rapae", 3, 2),
    ]


def test_ranks_with_a_single_taxon_tell_nothing_and_are_left_out(case_of, tree):
    figures = metrics(case_of(np.eye(6)[:4], [12, 13, 22, 22]).kept, tree)
    assert set(figures["ranks"]) == {"species", "genus", "family"}


def test_all_wrong_and_all_right(case_of, tree):
    truth = [12, 13, 22]
    perfect = metrics(case_of(np.eye(6)[[0, 1, 3]], truth).kept, tree)
    assert perfect["top1"] == perfect["macro_top1"] == perfect["ranks"]["genus"] == 1
    hopeless = metrics(case_of(np.eye(6)[[5, 5, 5]], truth).kept, tree)
    assert hopeless["top1"] == hopeless["ranks"]["family"] == 0
