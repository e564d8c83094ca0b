import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_changes import changes_and_eligible

from taxonvision.catalog.class_ids import grow_classes
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.differences import Differences, differences
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "family", "Nymphalidae"),
        Taxon.of_rank(10, 1, "genus", "Danaus"),
        Taxon.of_rank(20, 1, "genus", "Salatura"),
        *(Taxon.of_rank(i, 10, "species", f"Danaus {i}") for i in range(11, 20)),
        *(Taxon.of_rank(i, 20, "species", f"Salatura {i}") for i in (21, 22)),
    ]
)


def first(*taxon_ids, retired=()):
    classes = grow_classes([], taxon_ids, TREE, since="1")
    kept = [c.taxon_id for c in classes if c.taxon_id not in retired]
    return grow_classes(classes, kept, TREE, since="1", retire_absent=True)


def changes_of(*changes):
    return Changes([Change(*change, line=line) for line, change in enumerate(changes, start=2)])


def grown(before, eligible, *lines, retire_absent=False):
    """The differences after growth, and once more with the same table: nothing is left to tell."""
    changes = changes_of(*lines)
    tree = changes.apply(TREE)
    after = grow_classes(
        before, eligible, tree, since="2", changes=changes, retire_absent=retire_absent
    )
    again = grow_classes(
        after, eligible, tree, since="3", changes=changes, retire_absent=retire_absent
    )
    assert differences(after, tree, again, tree, changes) == Differences()
    return differences(before, TREE, after, tree, changes)


def told(found):
    """Taxon ids instead of classes; only the kinds that are not empty."""
    ids = {
        "added": [c.taxon_id for c in found.added],
        "returned": [c.taxon_id for c in found.returned],
        "retired": [c.taxon_id for c in found.retired],
        "merged": [([b.taxon_id for b in m.before], m.into.taxon_id) for m in found.merged],
        "split": [(s.before.taxon_id, [c.taxon_id for c in s.into]) for s in found.split],
        "renamed": [(r.before.taxon_id, r.after.taxon_id) for r in found.renamed],
        "moved": [(m.taxon.taxon_id, m.before, m.after) for m in found.moved],
    }
    return {kind: taxa for kind, taxa in ids.items() if taxa}


def test_no_change():
    before = first(11, 12)
    assert differences(before, TREE, before, TREE, NO_CHANGES) == Differences()
    assert Differences().in_words() == "no change of taxa"
    assert not any(Differences().as_json()["counts"].values())


def test_added_retired_and_returned():
    assert told(grown(first(11, 12), [11, 12, 13])) == {"added": [13]}
    assert told(grown(first(11, 12), [11], retire_absent=True)) == {"retired": [12]}
    assert told(grown(first(11, 12, retired=[12]), [12])) == {"returned": [12]}


def test_merged_into_a_taxon_with_a_class():
    assert told(grown(first(11, 12), [11], ("merged", 12, 11))) == {"merged": [([11, 12], 11)]}


def test_merged_into_a_taxon_without_class_that_takes_the_first_row():
    found = grown(first(11, 12, 13), [14], ("merged", 12, 14), ("merged", 11, 14))
    assert told(found) == {"merged": [([11, 12], 14)]}
    assert (found.merged[0].into.class_id, found.counts["merged"]) == (0, 2)
    assert found.in_words() == "2 merged"


def test_merged_into_a_retired_taxon_that_is_known_again():
    found = grown(first(11, 12, retired=[11]), [], ("merged", 12, 11))
    assert told(found) == {"merged": [([12], 11)], "returned": [11]}
    assert found.counts["merged"] == 1


def test_merged_into_a_taxon_that_is_retired_for_want_of_photographs():
    found = grown(first(11, 12, 13), [13], ("merged", 12, 11), retire_absent=True)
    assert told(found) == {"merged": [([11, 12], 11)], "retired": [11]}


def test_a_merge_that_no_other_active_class_takes_part_in_is_none():
    assert told(grown(first(11, 12, retired=[12]), [11], ("merged", 12, 11))) == {}
    assert told(grown(first(11), [12], ("merged", 11, 12))) == {"renamed": [(11, 12)]}


def test_renamed_in_place_or_with_another_id():
    lines = [("renamed", 11, None, "Anosia a"), ("renamed", 12, 15, "Anosia b")]
    found = grown(first(11, 12), [], *lines)
    assert told(found) == {"renamed": [(11, 11), (12, 15)]}
    assert found.renamed[0].after.name == "Anosia a"


def test_renamed_and_then_merged():
    lines = [("renamed", 11, 15, "x"), ("renamed", 12, None, "y"), ("merged", 15, 12)]
    assert told(grown(first(11, 12), [], *lines)) == {
        "merged": [([11, 12], 12)], "renamed": [(12, 12)],
    }  # fmt: skip


def test_split_into_new_taxa():
    split = [("split", 11, 15, "a"), ("split", 11, 16, "b"), ("split", 11, 17, "c")]
    assert told(grown(first(11, 12), [15, 16, 13], *split)) == {
        "added": [13], "split": [(11, [15, 16])],
    }  # fmt: skip
    assert told(grown(first(11, 12), [], *split)) == {"split": [(11, [])]}


def test_split_in_a_narrower_sense_or_into_a_complex():
    narrower = [("split", 11, 11), ("split", 11, 15, "b")]
    assert told(grown(first(11), [15], *narrower)) == {"split": [(11, [11, 15])]}
    assert told(grown(first(11), [], *narrower)) == {}
    under = [("split", 11, 15, "a", "", 11), ("split", 11, 16, "b", "", 11)]
    assert told(grown(first(11), [16], *under)) == {"split": [(11, [11, 16])]}


def test_a_part_that_gets_its_class_a_release_later():
    split = [("split", 11, 15, "a"), ("split", 11, 16, "b")]
    changes = changes_of(*split)
    tree = changes.apply(TREE)
    second = grow_classes(first(11, 12), [15], tree, since="2", changes=changes)
    third = grow_classes(second, [15, 16], tree, since="3", changes=changes)
    found = differences(second, tree, third, tree, changes)
    assert told(found) == {"split": [(11, [15, 16])]}


def test_a_part_that_became_one_with_a_known_taxon():
    lines = [("split", 11, 15), ("split", 11, 16), ("merged", 16, 12)]
    assert told(grown(first(11, 12), [15], *lines)) == {"split": [(11, [15, 12])]}


def test_merged_and_then_split():
    lines = [("merged", 11, 12), ("split", 12, 15), ("split", 12, 16)]
    assert told(grown(first(11, 12), [15], *lines)) == {"split": [(11, [15]), (12, [15])]}
    narrower = [("split", 12, 12), ("split", 12, 16), ("merged", 11, 12)]
    assert told(grown(first(11, 12), [16], *narrower)) == {
        "merged": [([11, 12], 12)], "split": [(12, [12, 16])],
    }  # fmt: skip


def test_moved():
    assert told(grown(first(11, 21), [], ("moved", 21, None, "", "", 10))) == {
        "moved": [(21, "Salatura", "Danaus")]
    }
    assert told(grown(first(10, 11), [], ("moved", 10, None, "", "", 20))) == {
        "moved": [(10, "Nymphalidae", "Salatura")]
    }


def test_below_a_parent_that_was_renamed_nothing_moved_below_a_merged_one_it_did():
    assert told(grown(first(21), [], ("renamed", 20, None, "Anosia"))) == {}
    assert told(grown(first(21), [], ("renamed", 20, 30, "Anosia"))) == {}
    assert told(grown(first(21), [], ("merged", 20, 10))) == {"moved": [(21, "Salatura", "Danaus")]}


def test_a_root_has_no_parent_and_a_taxon_that_a_tree_lacks_did_not_move():
    roots = Taxonomy([Taxon.of_rank(11, None, "species", "Danaus 11")])
    before = first(11, 12)
    assert told(differences(before, roots, before, TREE, NO_CHANGES)) == {
        "moved": [(11, "", "Danaus")]
    }


def test_a_moved_class_id_is_an_error():
    before = first(11, 12)
    with pytest.raises(ValueError, match="moved"):
        differences(before, TREE, before[:1], TREE, NO_CHANGES)


def test_as_json_and_in_words():
    lines = [
        ("merged", 12, 11), ("split", 13, 15), ("split", 13, 16), ("renamed", 21, 22),
        ("moved", 11, None, "", "", 20),
    ]  # fmt: skip
    found = grown(first(11, 12, 13, 14, 21, 17), [11, 15, 18, 17, 22], *lines, retire_absent=True)
    assert found.in_words() == "1 new taxon, 1 retired, 1 merged, 1 split, 1 renamed, 1 moved"
    assert found.as_json() == {
        "counts": {
            "added": 1, "returned": 0, "retired": 1, "merged": 1, "split": 1, "renamed": 1,
            "moved": 1,
        },
        "added": [{"taxon_id": 18, "name": "Danaus 18"}],
        "returned": [],
        "retired": [{"taxon_id": 14, "name": "Danaus 14"}],
        "merged": [
            {
                "taxon_id": 11,
                "name": "Danaus 11",
                "before": [
                    {"taxon_id": 11, "name": "Danaus 11"}, {"taxon_id": 12, "name": "Danaus 12"},
                ],
            }
        ],
        "split": [
            {"taxon_id": 13, "name": "Danaus 13", "into": [{"taxon_id": 15, "name": "Danaus 15"}]}
        ],
        "renamed": [
            {
                "taxon_id": 22,
                "name": "Salatura 22",
                "before": {"taxon_id": 21, "name": "Salatura 21"},
            }
        ],
        "moved": [
            {"taxon_id": 11, "name": "Danaus 11", "before": "Danaus", "after": "Salatura"}
        ],
    }  # fmt: skip


def flat_tree():
    return Taxonomy(Taxon.of_rank(i, None, "species", f"T{i % 4}") for i in range(1, 15))


@st.composite
def cases(draw):
    """Classes so far, changes, and the classes after them."""
    taxa = draw(st.lists(st.integers(1, 12), unique=True, max_size=8))
    before = [
        TaxonClass(i, t, f"T{t % 4}", "species", draw(st.sampled_from(["active", "retired"])), "1")
        for i, t in enumerate(taxa)
    ]
    changes, eligible = draw(changes_and_eligible())
    after = grow_classes(
        before, eligible, flat_tree(),
        since="2", changes=changes, retire_absent=draw(st.booleans()),
    )  # fmt: skip
    return before, after, changes


@given(cases())
def test_every_class_that_came_or_went_is_told_once(case):
    before, after, changes = case
    found = differences(before, flat_tree(), after, flat_tree(), changes)
    was = {c.class_id for c in before if c.status == "active"}
    now = {c.class_id for c in after if c.status == "active"}
    merged = {c.class_id for m in found.merged for c in m.before}
    survivors = {m.into.class_id for m in found.merged}
    ended = {s.before.class_id for s in found.split}
    split_off = {c.class_id for s in found.split for c in s.into}
    retired = {c.class_id for c in found.retired}
    assert was - now == (retired | (merged - survivors) | ended) & was - now
    assert not retired & ((merged - survivors) | now)
    assert {c.class_id for c in found.returned} == {i for i in now - was if i < len(before)}
    new = {i for i in now if i >= len(before)}
    added = {c.class_id for c in found.added}
    assert added <= new <= added | split_off
    assert not added & split_off
    for renamed in found.renamed:
        assert renamed.before.class_id == renamed.after.class_id not in merged - survivors
    for taxon_id in range(1, 15):
        current, parts = changes.current(taxon_id), changes.parts(taxon_id)
        assert current is None or current in parts
        assert all(changes.current(part) == part for part in parts)
    if not changes.current_ids:
        assert not found.merged
