from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.evaluation.metrics.accuracy import best_classes, best_of_ranks, is_right
from taxonvision.evaluation.metrics.by_group import GroupAccuracy, accuracy_of_groups
from taxonvision.evaluation.metrics.by_taxon import count_by_taxon
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.evaluation.scores import Labelled, Scores, keep
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy


def groups_of(scores: Scores, tree: Taxonomy, known: KnownTaxa) -> dict[int, GroupAccuracy]:
    lineages = Lineages.of(tree, scores.truth)
    best = best_of_ranks(scores, tree, sorted({taxon.rank for taxon in tree}))
    counts = count_by_taxon(scores.truth, scores.observations, is_right(scores))
    found = accuracy_of_groups(counts, scores.truth, best, known, tree, lineages)
    return {group.taxon_id: group for group in found}


@settings(max_examples=25, deadline=None)
@given(forests(["order", "family", "genus", "species"], 60), st.integers(0, 1000))
def test_groups_are_counted_as_by_hand(forest, seed):
    taxa, classes = forest
    tree, n, rng = Taxonomy(taxa), 10, np.random.default_rng(seed)
    full = rng.uniform(0.2, 1, (n, len(classes))).astype(np.float32)
    truth = rng.choice([taxon.taxon_id for taxon in taxa], n)
    photographs = Labelled.of([str(i) for i in range(n)], truth)
    scores = keep(photographs, [full], RollUp(tree, classes), classes)
    known = KnownTaxa(np.array(classes), rng.integers(0, 9, len(classes)))
    groups = groups_of(scores, tree, known)

    above = {t.taxon_id: [node.taxon_id for node in tree.lineage(t.taxon_id)] for t in tree}
    assert set(groups) == {node for t in truth.tolist() for node in above[t][1:]}
    named = best_classes(scores)
    for node, group in groups.items():
        below = [i for i, t in enumerate(truth.tolist()) if node in above[t]]
        assert group.photographs == group.observations == len(below)
        assert group.taxa == len({int(truth[i]) for i in below})
        assert group.right == sum(named[i] == truth[i] for i in below)
        assert group.training_photographs == sum(
            known.training_of[c] for c in classes if node in above[c]
        )
        rank = [t.taxon_id for t in tree if t.rank == tree[node].rank]
        surely = maybe = 0
        for i in below:
            sums = {
                r: sum(float(full[i, k]) for k, c in enumerate(classes) if r in above[c])
                for r in rank
            }
            best = [r for r, s in sums.items() if s > 0 and s >= max(sums.values()) - 1e-6]
            surely += best == [node]
            maybe += node in best
        assert surely <= group.right_at_node <= maybe


def test_a_genus_is_better_known_than_its_species(case_of, tree):
    rapae, napi = [0.6, 0.4, 0, 0, 0, 0], [0.4, 0.6, 0, 0, 0, 0]
    case = case_of([rapae, napi, napi, [0, 0, 0, 1, 0, 0]], [12, 12, 13, 12], [0, 0, 1, 2])
    known = KnownTaxa(np.array([12, 13, 11, 22]), np.array([5, 7, 1, 100]))
    groups = groups_of(case.kept, tree, known)
    assert list(groups) == [1, 10, 11]
    pieris = groups[11]
    assert (pieris.top1, pieris.at_node) == (pytest.approx(0.5), pytest.approx(0.75))
    assert (pieris.taxa, pieris.photographs, pieris.observations) == (2, 4, 3)
    assert pieris.training_photographs == 13
    assert pieris.parent_taxon_id == 10
    assert pieris.interval.low < 0.5 < pieris.interval.high
    assert groups[1].at_node == 1
    assert groups[1].training_photographs == 113


def test_roots_are_no_groups_of_themselves(case_of, tree):
    assert (
        groups_of(case_of(np.eye(6)[:1], [1]).kept, tree, KnownTaxa(np.array([1]), np.array([1])))
        == {}
    )
