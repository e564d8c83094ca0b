import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_changes import changes_and_eligible

from taxonvision.catalog.class_ids import (
    grow_classes,
    next_release,
    read_earlier_classes,
    united,
    united_names,
)
from taxonvision.errors import UserError
from taxonvision.taxonomy.changes import Change, Changes
from taxonvision.taxonomy.classes import TaxonClass, read_classes, write_classes
from taxonvision.taxonomy.names import write_names
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy, write_taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "family", "Nymphalidae"),
        Taxon.of_rank(10, 1, "genus", "Danaus"),
        Taxon.of_rank(11, 10, "species", "Danaus plexippus"),
        Taxon.of_rank(12, 10, "species", "Danaus chrysippus"),
        Taxon.of_rank(13, 10, "species", "Danaus gilippus"),
        Taxon.of_rank(14, 10, "species", "Danaus eresimus"),
    ]
)
FIRST = [
    TaxonClass(0, 12, "Danaus chrysippus", "species", "active", "1"),
    TaxonClass(1, 13, "Danaus gilippus", "species", "active", "1"),
    TaxonClass(2, 11, "Danaus plexippus", "species", "active", "1"),
]


def changes_of(*changes):
    return Changes([Change(*change, line=line) for line, change in enumerate(changes, start=2)])


def grown(previous, eligible, *changes, retire_absent=False):
    """Class id, taxon, status and release of the classes after growth in release 2."""
    table = changes_of(*changes)
    classes = grow_classes(
        previous, eligible, table.apply(TREE),
        since="2", changes=table, retire_absent=retire_absent,
    )  # fmt: skip
    return [(c.class_id, c.taxon_id, c.status, c.since) for c in classes]


# Without changes.


def test_a_first_catalog_counts_in_the_order_of_scientific_names():
    assert grow_classes([], [11, 12, 13], TREE, since="1") == FIRST


def test_new_taxa_are_appended_and_absent_ones_stay():
    assert grown(FIRST, {14, 10, 11}) == [
        (0, 12, "active", "1"), (1, 13, "active", "1"), (2, 11, "active", "1"),
        (3, 10, "active", "2"), (4, 14, "active", "2"),
    ]  # fmt: skip


def test_absent_ones_are_retired_when_asked_and_come_back_in_their_old_row():
    retired = grow_classes(FIRST, [11, 14], TREE, since="2", retire_absent=True)
    assert [(c.taxon_id, c.status) for c in retired] == [
        (12, "retired"), (13, "retired"), (11, "active"), (14, "active"),
    ]  # fmt: skip
    assert grown(retired, [13]) == [
        (0, 12, "retired", "1"), (1, 13, "active", "1"), (2, 11, "active", "1"),
        (3, 14, "active", "2"),
    ]  # fmt: skip


def test_nothing_new_and_nothing_at_all():
    assert grow_classes(FIRST, [], TREE, since="2") == FIRST
    assert grow_classes([], [], TREE, since="1") == []


def test_names_and_ranks_follow_the_tree_and_stay_where_it_lacks_the_taxon():
    tree = Taxonomy([Taxon.of_rank(12, None, "complex", "Danaus chrysippus complex")])
    classes = grow_classes(FIRST, [], tree, since="2")
    assert classes[0] == TaxonClass(0, 12, "Danaus chrysippus complex", "complex", "active", "1")
    assert classes[1:] == FIRST[1:]


# With changes.


def test_a_renamed_taxon_keeps_its_row():
    table = changes_of(("renamed", 12, 15, "Anosia chrysippus"), ("renamed", 13, None, "Anosia g"))
    classes = grow_classes(FIRST, [15], table.apply(TREE), since="2", changes=table)
    assert classes == [
        TaxonClass(0, 15, "Anosia chrysippus", "species", "active", "1"),
        TaxonClass(1, 13, "Anosia g", "species", "active", "1"),
        FIRST[2],
    ]
    assert grow_classes(FIRST, [], table.apply(TREE), since="2", changes=table) == classes
    again = grow_classes(classes, [15], table.apply(TREE), since="3", changes=table)
    assert again == classes  # the table may be given with every later catalog


def test_merged_into_a_taxon_with_a_class():
    after = [(0, 12, "retired", "1"), (1, 13, "active", "1"), (2, 11, "active", "1")]
    assert grown(FIRST, [11], ("merged", 12, 11)) == after
    assert grown(FIRST, [], ("merged", 12, 11)) == after


def test_merged_into_a_taxon_without_class_the_first_row_goes_along():
    merged = [("merged", 13, 14), ("merged", 12, 14)]
    after = [(0, 14, "active", "1"), (1, 13, "retired", "1"), (2, 11, "active", "1")]
    assert grown(FIRST, [14], *merged) == after
    assert grown(FIRST, [], *merged) == after  # still named, though there is no new photograph


def test_of_merged_ones_an_active_row_goes_along_before_a_retired_one():
    previous = grow_classes(FIRST, [13, 11], TREE, since="1", retire_absent=True)
    assert grown(previous, [], ("merged", 13, 14), ("merged", 12, 14))[:2] == [
        (0, 12, "retired", "1"), (1, 14, "active", "1"),
    ]  # fmt: skip


def test_a_retired_class_gets_what_was_known_as_another_taxon():
    previous = grow_classes(FIRST, [13, 11], TREE, since="1", retire_absent=True)
    assert grown(previous, [], ("merged", 13, 12))[:2] == [
        (0, 12, "active", "1"), (1, 13, "retired", "1"),
    ]  # fmt: skip
    assert grown(previous, [], ("renamed", 12, 15))[0] == (0, 15, "retired", "1")
    assert grown(previous, [15], ("renamed", 12, 15))[0] == (0, 15, "active", "1")


def test_split_retires_the_class_and_appends_the_parts_that_have_photographs():
    split = [("split", 12, 15, "Danaus b"), ("split", 12, 16, "Danaus a"), ("split", 12, 17, "c")]
    assert grown(FIRST, [15, 16], *split) == [
        (0, 12, "retired", "1"), (1, 13, "active", "1"), (2, 11, "active", "1"),
        (3, 16, "active", "2"), (4, 15, "active", "2"),
    ]  # fmt: skip


def test_split_in_a_narrower_sense_or_into_a_complex_keeps_the_class():
    narrower = [("split", 12, 12), ("split", 12, 15, "Danaus b")]
    assert grown(FIRST, [15], *narrower)[0] == (0, 12, "active", "1")
    complex_of = [("split", 12, 15, "b", "", 12), ("split", 12, 16, "c", "", 12)]
    assert grown(FIRST, [15], *complex_of) == [
        (0, 12, "active", "1"), (1, 13, "active", "1"), (2, 11, "active", "1"),
        (3, 15, "active", "2"),
    ]  # fmt: skip


def test_moved_keeps_the_row():
    assert grown(FIRST, [12], ("moved", 12, None, "", "", 1)) == grown(FIRST, [12])


def test_retire_absent_counts_photographs_after_the_changes():
    assert grown(FIRST, [15, 11], ("renamed", 12, 15), retire_absent=True) == [
        (0, 15, "active", "1"), (1, 13, "retired", "1"), (2, 11, "active", "1"),
    ]  # fmt: skip


def test_photographs_counted_before_the_changes_are_a_bug():
    with pytest.raises(ValueError, match="taxon 12 is no more after the changes"):
        grown(FIRST, [12], ("merged", 12, 11))


# A new species under a genus that is itself a class.


def test_roll_up_of_a_class_that_gets_a_class_below_it():
    first = grow_classes([], [10, 13], TREE, since="1")
    classes = grow_classes(first, [10, 13, 11], TREE, since="2")
    assert [(c.class_id, c.taxon_id, c.rank) for c in classes] == [
        (0, 10, "genus"), (1, 13, "species"), (2, 11, "species"),
    ]  # fmt: skip
    rollup = RollUp(TREE, [c.taxon_id for c in classes])
    full = np.array([[0.25, 0.125, 0.5], [0.75, 0.25, 0.0]])
    scores = rollup.node_scores(full)
    by_taxon = dict(zip(rollup.node_ids.tolist(), scores.T.tolist(), strict=True))
    assert by_taxon == {1: [0.875, 1.0], 10: [0.875, 1.0], 11: [0.5, 0.0], 13: [0.125, 0.25]}
    branches = [
        rollup.node_ids[rollup.best_branch(row, own)].tolist()
        for row, own in zip(scores, full, strict=True)
    ]
    assert branches == [[1, 10, 11], [1, 10]]  # where the genus outscores its species it answers


# The classes of before, as they lie on disk.


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    write_classes(folder / "classes.csv", FIRST)
    write_taxonomy(folder / "taxonomy.csv", TREE.closure([11, 12]))
    write_names(folder / "names.csv", {"en": {11: "monarch"}})
    return folder


def test_a_folder_gives_classes_tree_and_names(model):
    earlier = read_earlier_classes(model)
    assert earlier.classes == FIRST
    assert earlier.names == {"en": {11: "monarch"}}
    assert [taxon.taxon_id for taxon in earlier.taxonomy.lineage(12)] == [12, 10, 1]
    assert earlier.taxonomy[13] == Taxon(13, None, "species", "Danaus gilippus", 10)
    assert list(read_earlier_classes(model / "classes.csv").taxonomy) == list(earlier.taxonomy)


def test_a_table_alone_makes_its_taxa_roots(model):
    (model / "taxonomy.csv").unlink()
    (model / "names.csv").unlink()
    earlier = read_earlier_classes(model / "classes.csv")
    assert {(t.taxon_id, t.parent_taxon_id) for t in earlier.taxonomy} == {
        (11, None), (12, None), (13, None),
    }  # fmt: skip
    assert earlier.names == {}


def test_the_digest_follows_each_file(model):
    digests = {read_earlier_classes(model).digest}
    write_names(model / "names.csv", {"en": {11: "the monarch"}})
    digests.add(read_earlier_classes(model).digest)
    write_classes(model / "classes.csv", FIRST[:2])
    digests.add(read_earlier_classes(model).digest)
    assert len(digests) == 3
    assert read_earlier_classes(model).digest in digests


def test_damaged_tables_are_told(model):
    (model / "taxonomy.csv").write_text("taxon_id\n")
    with pytest.raises(UserError, match=r"taxonomy\.csv has no column"):
        read_earlier_classes(model)


def test_written_and_read_again_they_grow_on(model):
    classes = grow_classes(read_earlier_classes(model).classes, [14], TREE, since="2")
    write_classes(model / "classes.csv", classes)
    assert read_classes(model / "classes.csv") == classes
    assert next_release(read_earlier_classes(model).classes) == "3"


def test_united_trees_prefer_the_newer_and_keep_what_only_the_older_has():
    newer = Taxonomy(
        [Taxon.of_rank(2, None, "family", "Danaidae"), Taxon.of_rank(10, 2, "genus", "Danaus")]
    )
    tree = united(newer, TREE)
    assert [taxon.taxon_id for taxon in tree.lineage(11)] == [11, 10, 2]
    assert {taxon.taxon_id for taxon in tree} == {2, 10, 1, 11, 12, 13, 14}


def test_united_names_follow_the_changes():
    newer = {"en": {11: "monarch", 12: "plain tiger"}}
    older = {"en": {11: "old name", 13: "queen"}, "de": {12: "Afrikanischer Monarch", 14: "Soldat"}}
    changes = changes_of(
        ("merged", 12, 11), ("renamed", 13, 15), ("split", 14, 16), ("split", 14, 17)
    )
    assert united_names(newer, older, changes) == {
        "en": {11: "monarch", 15: "queen"},
        "de": {11: "Afrikanischer Monarch", 14: "Soldat"},
    }
    assert united_names(newer, {}) == newer


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([], "1"),
        (["1", "1"], "2"),
        (["1", "10", "9"], "11"),
        (["2024.1", "2024.2"], "3"),
        (["2024.1", "3"], "4"),
        ([""], "2"),
    ],
)
def test_next_release(labels, expected):
    classes = [TaxonClass(i, i + 1, "A", "species", "active", s) for i, s in enumerate(labels)]
    assert next_release(classes) == expected


# Whatever is known and whatever comes.


def tree_of(ids):
    return Taxonomy(Taxon.of_rank(i, None, "species", f"T{i % 4}") for i in ids)


@st.composite
def cases(draw):
    """Classes so far, changes, the tree after them, and the taxa that have photographs."""
    known = draw(st.lists(st.integers(1, 12), unique=True, max_size=8))
    previous = [
        TaxonClass(
            class_id, taxon_id, f"T{taxon_id % 4}", "species",
            draw(st.sampled_from(["active", "retired"])), draw(st.sampled_from("12")),
        )
        for class_id, taxon_id in enumerate(known)
    ]  # fmt: skip
    changes, eligible = draw(changes_and_eligible())
    return previous, eligible, changes


@given(cases(), st.booleans())
def test_ids_never_move_and_count_on(case, retire_absent):
    previous, eligible, changes = case
    classes = grow_classes(
        previous, eligible, tree_of(range(1, 15)),
        since="9", changes=changes, retire_absent=retire_absent,
    )  # fmt: skip
    assert [c.class_id for c in classes] == list(range(len(classes)))
    assert len({c.taxon_id for c in classes}) == len(classes)
    for before, after in zip(previous, classes, strict=False):
        assert (after.class_id, after.since) == (before.class_id, before.since)
        assert after.taxon_id in (before.taxon_id, changes.current(before.taxon_id))
        if after.taxon_id != before.taxon_id or changes.current(before.taxon_id) is None:
            assert changes.current(before.taxon_id) != before.taxon_id
    new = classes[len(previous) :]
    assert {(c.status, c.since) for c in new} <= {("active", "9")}
    assert new == sorted(new, key=lambda c: (c.name, c.taxon_id))
    active = {c.taxon_id for c in classes if c.status == "active"}
    known = {changes.current(c.taxon_id) for c in previous if c.status == "active"} - {None}
    assert active == set(eligible) | (set() if retire_absent else known)


@given(cases(), st.data())
def test_growing_in_two_steps_is_growing_once_but_for_the_order(case, data):
    previous, eligible, changes = case
    tree = tree_of(range(1, 15))

    def grow(classes, taxa):
        return grow_classes(classes, taxa, tree, since="9", changes=changes)

    part = data.draw(st.sets(st.sampled_from(eligible))) if eligible else set()
    once, twice = grow(previous, eligible), grow(grow(previous, part), eligible)
    assert once[: len(previous)] == twice[: len(previous)]
    assert {(c.taxon_id, c.status) for c in once} == {(c.taxon_id, c.status) for c in twice}
    assert grow(once, eligible) == once
    if not part:
        assert twice == once


def test_a_catalog_goes_on_from_a_real_one(small_catalog):
    earlier = read_earlier_classes(small_catalog)
    assert [c.taxon_id for c in earlier.classes] == [3, 4, 6, 5]
    assert grow_classes(earlier.classes, [5], earlier.taxonomy, since="2") == earlier.classes
