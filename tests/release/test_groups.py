from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.release.groups import group
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxon, Taxonomy


def make(lineages: list[tuple[int, ...]]) -> tuple[list[TaxonClass], Taxonomy]:
    """Species by the numbers of their kingdom, phylum ... species; 0 leaves a rank out."""
    ids: dict[tuple[int, ...], int] = {}
    taxa, classes = [], []
    for lineage in dict.fromkeys(lineages):
        above = None
        for depth in range(1, len(lineage) + 1):
            if not lineage[depth - 1]:
                continue
            path = lineage[:depth]
            if path not in ids:
                ids[path] = len(ids) + 1
                taxa.append(Taxon.of_rank(ids[path], above, MAIN_RANKS[depth - 1], str(path)))
            above = ids[path]
        classes.append(TaxonClass(len(classes), above, str(lineage), "species", "active", "2"))
    return classes, Taxonomy(taxa)


@pytest.mark.parametrize(
    ("lineages", "rank", "sizes"),
    [
        # four families of two to five species each, in one order
        ([(1, 1, 1, 1, f, 1, s) for f in (1, 2, 3, 4) for s in range(9)[-f - 1 :]], "family",
         [5, 4, 3, 2]),
        # two kingdoms, five phyla: a handful says more than a pair
        ([(1 + p // 3, p + 1, 1, 1, 1, 1, s) for p in range(5) for s in (1, 2)], "phylum", [2] * 5),
        # three species of three genera: no group of one each as long as there is a rank above
        ([(1, 1, 1, 1, 1 + g // 2, g, 1) for g in range(1, 4)], "family", [2, 1]),
        # more than a dozen families, two species each
        ([(1, 1, 1, 1, f, 1, s) for f in range(1, 15) for s in (1, 2)], "family", [2] * 14),
        # a single species; one genus with many species; many genera of one species each
        ([(1, 1, 1, 1, 1, 1, 1)], "genus", [1]),
        ([(1, 1, 1, 1, 1, 1, s) for s in range(1, 31)], "genus", [30]),
        ([(1, 1, 1, 1, 1, g, 1) for g in range(1, 31)], "family", [30]),
    ],
)  # fmt: skip
def test_the_rank_suits(lineages, rank, sizes):
    grouping = group(*make(lineages))
    assert grouping.rank == rank
    assert [len(each.taxa) for each in grouping.groups] == sizes


def test_taxa_without_the_rank_come_last():
    lineages = [(1, 1, 1, 1, f, 1, s) for f in (0, 1, 2, 3) for s in (1, 2, 3)]
    grouping = group(*make(lineages))
    assert grouping.rank == "family"
    assert [each.taxon_id is None for each in grouping.groups] == [False, False, False, True]


def test_nothing_makes_no_group():
    assert group([], Taxonomy([])).groups == ()


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 6, st.integers(1, 9)), min_size=1, max_size=60))
def test_every_taxon_is_in_one_group(lineages):
    classes, taxonomy = make(lineages)
    grouping = group(classes, taxonomy)
    listed = [taxon for each in grouping.groups for taxon in each.taxa]
    assert sorted(listed, key=lambda taxon: taxon.class_id) == classes
    for each in grouping.groups:
        assert each.taxa
        assert {taxonomy.at_rank(t.taxon_id, grouping.rank) for t in each.taxa} == {each.taxon_id}
