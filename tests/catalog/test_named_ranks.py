"""Trees from columns of names: whatever the columns say, it is a tree, and always the same."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.sources.named_ranks import (
    NamedTaxon,
    named_taxon,
    rank_by_ending,
    tree_of,
)
from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS


def path(text):
    return tuple(tuple(step.split(":")) for step in text.split("/"))


def taxon(text, *ids):
    steps = path(text)
    return NamedTaxon(steps, (*[None] * (len(steps) - len(ids)), *ids))


def lineage(tree, taxon_id):
    return "/".join(f"{t.rank}:{t.name}" for t in reversed(tree.lineage(taxon_id)))


def test_homonymous_genera_of_two_families_are_two():
    tree, ids = tree_of([taxon("family:A/genus:X"), taxon("family:B/genus:X")], [1, 1])
    assert len(set(ids)) == 2
    assert [lineage(tree, i) for i in ids] == ["family:A/genus:X", "family:B/genus:X"]


def test_ids_of_folders_of_the_same_names():
    from taxonvision.catalog.class_taxa import taxa_of_paths

    _, ids = tree_of([taxon("family:A/genus:X/species:X y")], [1])
    folders = taxa_of_paths([("A", "X", "X y")], ("family", "genus", "species"))
    assert ids == [folders.taxon_ids["A", "X", "X y"]]


def test_an_id_given_to_an_ancestor_holds_for_all_below_it():
    taxa = [taxon("genus:X/species:X y", 7), taxon("genus:X", 5), taxon("genus:X/species:X z")]
    tree, ids = tree_of(taxa, [1, 1, 1])
    assert ids[:2] == [7, 5]
    assert [tree[i].parent_taxon_id for i in ids] == [5, None, 5]


def test_the_commonest_place_of_an_id_wins_then_the_first():
    taxa = [taxon("family:B/species:s", 7), taxon("family:A/species:s", 7)]
    for counts, family in (([2, 1], "B"), ([1, 2], "A"), ([1, 1], "A")):
        tree, ids = tree_of(taxa, counts)
        assert (ids, lineage(tree, 7)) == ([7, 7], f"family:{family}/species:s")


def test_two_ids_in_one_place_are_two_taxa():
    taxa = [taxon("genus:X", 5), taxon("genus:X", 4), taxon("genus:X/species:X y", 7)]
    tree, ids = tree_of(taxa, [1, 3, 1])
    assert (ids, len(tree), tree[7].parent_taxon_id) == ([5, 4, 7], 3, 4)


NAMES = st.dictionaries(
    st.sampled_from(["kingdom", "family", "genus", "species", "subspecies"]),
    st.sampled_from("AB"), min_size=1,
)  # fmt: skip
IDS = st.dictionaries(st.sampled_from(MAIN_RANKS), st.integers(1, 6), max_size=2)


@st.composite
def taxa(draw):
    names = draw(NAMES)
    rank = draw(st.sampled_from(sorted(names)))
    return named_taxon(
        names, rank, names[rank], draw(IDS), draw(st.none() | st.integers(1, 6))
    )  # fmt: skip


@given(st.lists(st.tuples(taxa(), st.integers(1, 3)), max_size=12), st.randoms())
def test_any_names_and_ids_are_a_tree_that_order_does_not_change(rows, shuffle: random.Random):
    def made(rows):
        tree, ids = tree_of([row[0] for row in rows], [row[1] for row in rows])
        assert all(
            i == row[0].ids[-1] or row[0].ids[-1] is None for i, row in zip(ids, rows, strict=True)
        )
        assert all(tree[i].rank for i in ids)
        for node in tree:  # ranks descend
            above = node.parent_taxon_id
            assert above is None or tree[above].rank_level > node.rank_level
        return {(t.taxon_id, t.parent_taxon_id, t.rank, t.name) for t in tree}

    first = made(rows)
    again = list(rows)
    shuffle.shuffle(again)
    assert made(again) == first


@pytest.mark.parametrize(
    ("name", "rank"),
    [
        ("Nymphalidae", "family"), ("Rosaceae", "family"), ("Pterophorinae", "subfamily"),
        ("Nicotianoideae", "subfamily"), ("Papilionoidea", "superfamily"), ("Rosales", "order"),
        ("Argia", None), ("Felini", None),
    ],
)  # fmt: skip
def test_endings(name, rank):
    assert rank_by_ending(name) == rank
    assert rank is None or rank in RANK_LEVELS
