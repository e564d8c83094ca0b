"""Taxonomic distances by hand, and by counting ranks from top to bottom."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import WHITES
from random_trees import forests

from taxonvision.evaluation.metrics.distance import NOTHING_SHARED, Distances, taxonomic_distance
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS
from taxonvision.taxonomy.tree import Taxon, Taxonomy

RAPAE, NAPI, PIERIS, CROCEUS, MACHAON, ZYGAENIDAE, ROSA = 12, 13, 11, 16, 22, 30, 41


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (RAPAE, RAPAE, 0),
        (RAPAE, NAPI, 1),  # another species of the genus
        (RAPAE, PIERIS, 1),  # the genus instead of the species
        (RAPAE, CROCEUS, 2),  # another genus of the family; a tribe is no main rank
        (PIERIS, CROCEUS, 2),
        (PIERIS, 15, 1),  # two genera: the species below both do not count
        (RAPAE, MACHAON, 3),  # another family, though the superfamily is shared
        (RAPAE, ZYGAENIDAE, 3),
        (RAPAE, ROSA, NOTHING_SHARED),
        (RAPAE, 12345, NOTHING_SHARED),
    ],
)
def test_by_hand(first, second, expected):
    assert taxonomic_distance(WHITES.tree, first, second) == expected
    assert taxonomic_distance(WHITES.tree, second, first) == expected


def test_two_kingdoms_below_life_and_a_subspecies():
    life = [Taxon.of_rank(1, None, "stateofmatter", "Life")]
    chains = [
        Taxon.of_rank(base + step, base + step - 1 if step else 1, rank, f"{rank} {base}")
        for base in (100, 200)
        for step, rank in enumerate((*MAIN_RANKS, "subspecies"))
    ]
    tree = Taxonomy(life + chains)
    assert taxonomic_distance(tree, 106, 206) == 7
    assert taxonomic_distance(tree, 106, 107) == 1
    assert taxonomic_distance(tree, 107, 207) == 7
    assert taxonomic_distance(tree, 100, 200) == 1


RANKS = ["kingdom", "order", "family", "tribe", "genus", "species", "subspecies"]


@settings(max_examples=20)
@given(forests(RANKS, 1000))
def test_ranks_below_the_lowest_common_ancestor_and_not_below_both(forest):
    taxa, classes = forest
    tree = Taxonomy(taxa)
    for first in classes:
        for second in classes:
            lineages = [[t.taxon_id for t in tree.lineage(each)] for each in (first, second)]
            common = [t for t in lineages[0] if t in lineages[1]]
            if first == second:
                expected = 0
            elif not common:
                expected = 8
            else:
                depths = {t: len(tree.lineage(t)) for t in common}
                lowest = tree[max(common, key=depths.__getitem__)]
                levels = (tree[first].rank_level, tree[second].rank_level)
                expected = 0
                for rank in MAIN_RANKS:
                    level = RANK_LEVELS[rank]
                    below_both = level < levels[0] and level < levels[1]
                    expected += level < lowest.rank_level and not below_both
                expected = max(expected, 1)
            assert taxonomic_distance(tree, first, second) == expected


@given(st.lists(st.tuples(*[st.sampled_from([12, 13, 11, 16, 22, 30, 41])] * 2), min_size=1))
def test_the_mean_is_that_over_the_mistakes(pairs):
    truth, named = (np.array(column) for column in zip(*pairs, strict=True))
    weights = np.arange(len(pairs)) % 3
    far, total = 0.0, 0
    for (first, second), weight in zip(pairs, weights, strict=True):
        if first != second:
            far += weight * taxonomic_distance(WHITES.tree, first, second)
            total += weight
    expected = far / total if total else np.nan
    distances = Distances.of(WHITES.tree, truth, named)
    assert distances.mean(weights) == pytest.approx(expected, nan_ok=True)
    assert np.array_equal(distances.mean(), distances.mean(np.ones(len(pairs))), equal_nan=True)


def test_without_mistakes_or_photographs_there_is_no_mean():
    for taxa in ([12, 41], []):
        right = np.array(taxa, np.int64)
        assert np.isnan(Distances.of(WHITES.tree, right, right).mean())
