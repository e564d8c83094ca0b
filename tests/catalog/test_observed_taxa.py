"""The tree of an ingest: what was observed, changed, and a class before, and all above these."""

import pytest

from taxonvision.catalog.class_ids import EarlierClasses
from taxonvision.catalog.staging import ListedPhoto, staging_in
from taxonvision.catalog.taxa import read_observed_taxa
from taxonvision.errors import UserError
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon(1, None, "kingdom", "Animalia", 70),
        Taxon(30, 1, "family", "Nymphalidae", 30),
        Taxon(20, 30, "genus", "Aglais", 20),
        Taxon(21, 20, "species", "Aglais io", 10),
        Taxon(22, 20, "species", "Aglais urticae", 10),
        Taxon(40, 30, "genus", "Vanessa", 20),
        Taxon(41, 40, "species", "Vanessa atalanta", 10),
        Taxon(50, 30, "genus", "Polygonia", 20),
    ]
)
NAMES = {"en": {21: "peacock", 22: "tortoiseshell", 41: "red\nadmiral"}, "de": {50: "C-Falter"}}


@pytest.fixture
def read(tmp_path):
    """Reads the taxa of observations, and says which taxa the rules will see as active or not."""
    with staging_in(tmp_path / "work") as staging:

        def read(observed, changes=NO_CHANGES, earlier=None, inactive=()):
            staging.add_photos(
                [ListedPhoto(str(n), "x", taxon_id) for n, taxon_id in enumerate(observed)]
            )
            staging.add_taxonomy(TREE)
            staging.add_names(NAMES)
            execute = staging.connection.execute
            for taxon_id in inactive:
                execute("UPDATE listed_taxa SET active = false WHERE taxon_id = ?", [taxon_id])
            execute("CREATE VIEW observed_taxa AS SELECT DISTINCT taxon_id FROM listed")
            found = read_observed_taxa(staging.connection, changes, earlier)
            read.listed = dict(execute("SELECT taxon_id, active FROM listed_taxa").fetchall())
            assert set(read.listed) == {taxon.taxon_id for taxon in found.taxonomy}
            return found

        yield read


def ids(found):
    return sorted(taxon.taxon_id for taxon in found.taxonomy)


def test_the_taxa_observed_and_all_above_them_with_their_names(read):
    found = read([21, 21, None, 40, 999])
    assert ids(found) == [1, 20, 21, 30, 40]
    assert found.names == {"en": {21: "peacock"}}
    assert found.today == {}
    assert found.taxonomy[21] == TREE[21]


def test_nothing_observed(read):
    found = read([None, 999])
    assert (ids(found), found.names, found.today) == ([], {}, {})


def test_names_are_one_line(read):
    assert read([41]).names == {"en": {41: "red admiral"}}


def test_inactive_taxa_stay_so(read):
    read([21, 22], inactive=[22])
    assert read.listed == {1: True, 30: True, 20: True, 21: True, 22: False}


def test_classes_of_before_and_their_tree_with_the_new_tree_on_top(read):
    older = Taxonomy(
        [
            Taxon(30, None, "family", "Nymphs", 30),
            Taxon(70, 30, "genus", "Gone", 20),
            Taxon(71, 70, "species", "Gone girl", 10),
            Taxon(22, 70, "species", "Gone boy", 10),
        ]
    )
    earlier = EarlierClasses([], older, {"en": {71: "girl", 22: "boy"}, "fr": {22: "garçon"}}, "")
    found = read([21], earlier=earlier)
    assert ids(found) == [1, 20, 21, 22, 30, 70, 71]
    assert found.taxonomy[22] == TREE[22]  # as it is called and placed today
    assert found.taxonomy[30] == TREE[30]
    assert found.taxonomy[71].parent_taxon_id == 70
    assert found.names["en"] == {21: "peacock", 22: "tortoiseshell", 71: "girl"}
    assert found.names["fr"] == {22: "garçon"}


def test_what_taxa_of_the_past_count_as(read):
    changes = Changes(
        [
            Change("renamed", 21, 81, name="Inachis io"),
            Change("merged", 22, 81),
            Change("split", 41, 82, name="Vanessa una"),
            Change("split", 41, 83, name="Vanessa altera"),
            Change("moved", 40, parent_taxon_id=1),
        ]
    )
    found = read([21, 22, 41, 40], changes)
    assert found.today == {21: 81, 22: 81, 41: None}
    assert found.taxonomy[81].name == "Inachis io"
    assert found.taxonomy[40].parent_taxon_id == 1
    assert {found.taxonomy[n].parent_taxon_id for n in (82, 83)} == {40}
    assert found.names["en"] == {81: "peacock", 41: "red admiral"}


def test_the_tree_has_what_the_changes_lead_to_although_nobody_saw_it(read):
    """The new genus and the new taxa of a split are known to the tables, but not observed."""
    changes = Changes(
        [
            Change("moved", 21, parent_taxon_id=50),
            Change("split", 22, 41),
            Change("split", 22, 20),
        ]
    )
    found = read([21, 22], changes)
    assert found.taxonomy[21].parent_taxon_id == 50
    assert found.taxonomy[41] == TREE[41]  # with its own parent, not the old taxon's
    assert found.taxonomy[50].name == "Polygonia"


def test_a_change_that_the_tree_does_not_allow_is_told_with_its_line(read):
    changes = Changes([Change("moved", 21, parent_taxon_id=99, line=2)], source="changes.csv")
    with pytest.raises(UserError, match=r"changes\.csv, line 2: the parent 99 of taxon 21 is not"):
        read([21], changes)
