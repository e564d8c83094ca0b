import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.catalog import MANIFEST, SCHEMA_VERSION
from taxonvision.catalog.lookup import Found, open_lookup
from taxonvision.catalog.near_names import CLEAR, SIMILAR, clearly_meant, near_names
from taxonvision.errors import UserError
from taxonvision.tables import write_csv

TAXONOMY = [
    (1, "", 30, "family", "Panopeidae"),
    (2, 1, 20, "genus", "Panopeus"),
    (3, 2, 10, "species", "Panopeus herbstii"),
    (4, 2, 10, "species", "Panopeus obesus"),
    (5, 2, 10, "species", "Panopeus africanus"),
    (6, "", 30, "family", "Strigidae"),
    (7, 6, 20, "genus", "Tyto"),
    (8, 7, 10, "species", "Tyto alba"),
    (9, 6, 20, "genus", "Bubo"),
    (10, 9, 10, "species", "Bubo scandiacus"),
    (11, 1, 20, "genus", "Bubo"),
    (12, 2, 10, "species", "Panopeus lacustris"),
    (13, 2, 10, "species", "Panopeus simpsoni"),
]
NAMES = [
    (3, "en", "Atlantic Mud Crab"),
    (3, "de", "Atlantische Schlammkrabbe"),
    (8, "en", "Western Barn Owl"),
    (10, "en", "Snowy Owl"),
    (4, "es", "Cangrejo pequeño"),
    (9, "en", "Eagle-owls"),
]
CLASSES = [
    (0, 2, "Panopeus", "genus", "active", "1"),
    (1, 3, "Panopeus herbstii", "species", "active", "1"),
    (2, 12, "Panopeus lacustris", "species", "active", "2"),
    (3, 13, "Panopeus simpsoni", "species", "retired", "2"),
    (4, 8, "Tyto alba", "species", "active", "2"),
]
COLUMNS = (
    "taxon_id", "name", "rank", "photographs", "rejected", "left_out", "usable", "from_below",
    "train", "val", "test", "included", "class_taxon_id", "missing", "reason",
)  # fmt: skip
ELIGIBILITY = [
    (3, "Panopeus herbstii", "species", 150, 2, 8, 140, 0, 120, 10, 10, "true", 3, 0, "included"),
    (4, "Panopeus obesus", "species", 88, 3, 5, 80, 0, 60, 10, 10, "false", 2, 20, "20 missing"),
    (2, "Panopeus", "genus", 30, 0, 0, 30, 80, 28, 1, 1, "true", 2, 0, "included: 110, of below"),
    (8, "Tyto alba", "species", 4, 4, 0, 0, 0, 0, 0, 0, "false", "", 100, "none can be used"),
    (99, "", "", 7, 0, 7, 0, 0, 0, 0, 0, "false", "", 100, 'not in "taxa", the table'),
    (98, "Tyto glaucops", "species", 3, 0, 3, 0, 0, 0, 0, 0, "false", 8, 100, "count as Tyto alba"),
]


def write_catalog(folder):
    folder.mkdir(parents=True)
    write_csv(
        folder / "taxonomy.csv",
        ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name"),
        TAXONOMY,
    )
    write_csv(folder / "names.csv", ("taxon_id", "language", "name"), NAMES)
    write_csv(
        folder / "classes.csv",
        ("class_id", "taxon_id", "name", "rank", "status", "since"),
        CLASSES,
    )
    write_csv(folder / "eligibility.csv", COLUMNS, ELIGIBILITY)
    (folder / MANIFEST).write_text(json.dumps({"schema_version": SCHEMA_VERSION}))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lookup") / "it's a [catalog]"
    write_catalog(folder)
    return folder


@pytest.fixture(scope="module")
def lookup(catalog):
    with open_lookup(catalog) as opened:
        yield opened


# Finding.


@pytest.mark.parametrize(
    ("word", "by", "ids"),
    [
        ("Panopeus herbstii", "scientific name", [3]),
        ("panopeus  HERBSTII ", "scientific name", [3]),
        ("Panopeus", "scientific name", [2]),
        ("Panopeidae", "scientific name", [1]),
        ("Bubo", "scientific name", [9, 11]),  # homonyms
        ("3", "taxon id", [3]),
        ("99", "taxon id", [99]),
        ("Tyto glaucops", "scientific name", [98]),  # seen, but no longer in the tree
        ("atlantic mud crab", "common name", [3]),
        ("Atlantische Schlammkrabbe", "common name", [3]),
        ("cangrejo pequeno", "common name", [4]),  # without accents
        ("eagle owls", "common name", [9]),  # without hyphen
    ],
)
def test_names_and_ids(lookup, word, by, ids):
    assert lookup.find(word) == Found(by, ids, [])


@pytest.mark.parametrize(
    ("word", "ids", "first"),
    [
        ("Panopeus herbsti", [3], "Panopeus herbstii"),
        ("Panopeus hebrstii", [3], "Panopeus herbstii"),
        ("Panpoeus", [2], "Panopeus"),
        ("Atlantic mud krab", [3], "Panopeus herbstii (Atlantic Mud Crab)"),
        ("herbstii", [3], "Panopeus herbstii"),
        ("barn owl", [8], "Tyto alba (Western Barn Owl)"),
    ],
)
def test_misspellings_and_parts_that_are_clear(lookup, word, ids, first):
    found = lookup.find(word)
    assert (found.by, found.taxon_ids, found.nearest[0]) == ("nearest name", ids, first)


def test_a_word_of_several_names_is_not_clear(lookup):
    assert lookup.find("owl") == Found(
        "nearest name", [], ["Bubo scandiacus (Snowy Owl)", "Tyto alba (Western Barn Owl)"]
    )


def test_two_names_as_near_are_not_clear(lookup):
    found = lookup.find("Bubu")  # one letter of four is too much
    assert (found.taxon_ids, found.nearest) == ([], ["Bubo"])


@pytest.mark.parametrize(
    "word", ["Homo sapiens", "", "123456", "'; DROP TABLE taxa; --", "%", "😀"]
)
def test_words_that_are_like_nothing(lookup, word):
    assert lookup.find(word) == Found("nearest name", [], [])
    assert lookup.find("Panopeus").taxon_ids == [2]


# What is answered.


def test_an_included_species(lookup):
    answer = lookup.answer(3)
    line = answer.line
    assert (line.taxon_id, line.name, line.rank) == (3, "Panopeus herbstii", "species")
    assert (line.photographs, line.rejected, line.left_out, line.usable) == (150, 2, 8, 140)
    assert (line.train, line.val, line.test, line.missing) == (120, 10, 10, 0)
    assert (line.included, line.is_class, line.class_id, line.class_taxon_id) == (True, True, 1, 3)
    assert line.reason == "included"
    assert answer.common_names == {"de": "Atlantische Schlammkrabbe", "en": "Atlantic Mud Crab"}
    assert answer.ancestors == ["Panopeidae", "Panopeus"]
    assert (answer.taxa_below, answer.classes_below, answer.below) == (0, 0, [])


def test_a_species_that_rolled_up_trains_the_class_of_its_genus(lookup):
    line = lookup.answer(4).line
    assert (line.included, line.is_class, line.missing) == (False, False, 20)
    assert (line.class_id, line.class_taxon_id, line.class_name) == (0, 2, "Panopeus")


def test_a_genus_with_a_class_and_the_taxa_below_it(lookup):
    answer = lookup.answer(2)
    assert (answer.line.class_id, answer.line.from_below) == (0, 80)
    assert (answer.taxa_below, answer.classes_below) == (4, 2)
    assert [line.taxon_id for line in answer.below] == [3, 4, 12, 13]  # most photographs first
    assert [line.is_class for line in answer.below] == [True, False, True, False]


def test_a_family_without_photographs_of_its_own(lookup):
    answer = lookup.answer(1)
    assert answer.line.reason == ("not included: no photograph was identified as this very taxon")
    assert (answer.line.photographs, answer.line.class_id, answer.line.missing) == (0, None, None)
    assert (answer.taxa_below, answer.classes_below) == (5, 3)
    assert [line.taxon_id for line in answer.below] == [3, 4, 2, 12, 13]


def test_as_many_lines_below_as_asked_for(lookup):
    answer = lookup.answer(1, most_below=2)
    assert (answer.taxa_below, [line.taxon_id for line in answer.below]) == (5, [3, 4])


def test_classes_of_before_without_photographs(lookup):
    active, retired, faulty = (lookup.answer(i).line for i in (12, 13, 8))
    assert (active.included, active.class_id) == (True, 2)
    assert active.reason == (
        "included: a class since release 2, without photographs in this catalog"
    )
    assert (retired.included, retired.class_id, retired.class_status) == (False, 3, "retired")
    assert retired.reason == "not included: its class is retired"
    assert (faulty.included, faulty.is_class, faulty.class_id) == (False, True, 4)
    assert faulty.reason == "none can be used; a class since release 2"


def test_taxa_seen_that_are_not_in_the_tree(lookup):
    unknown, merged = lookup.answer(99), lookup.answer(98)
    assert (unknown.line.name, unknown.line.rank) == ("taxon 99", "unknown")
    assert unknown.line.reason == 'not in "taxa", the table'
    assert (unknown.ancestors, unknown.below) == ([], [])
    assert (merged.line.class_id, merged.line.class_name) == (4, "Tyto alba")


def test_a_species_that_nobody_photographed(lookup):
    assert lookup.answer(5).line.included is False
    assert lookup.answer(5).line.class_id is None


# Catalogs that are none, damaged or empty.


def opening(folder):
    with pytest.raises(UserError) as caught, open_lookup(folder):
        pass
    return str(caught.value)


def test_what_is_no_catalog(tmp_path):
    assert "does not exist; `taxonvision ingest` makes a catalog" in opening(tmp_path / "none")
    assert "is no catalog" in opening(tmp_path)


@pytest.mark.parametrize("table", ["taxonomy", "names", "classes", "eligibility"])
def test_damaged_tables_are_one_sentence(tmp_path, table):
    folder = tmp_path / "catalog"
    write_catalog(folder)
    path = folder / f"{table}.csv"
    whole = path.read_text()
    path.write_text(whole + ('"no end' if table == "names" else "x,x\n"))
    assert opening(folder).startswith(f"{folder} cannot be read (")
    path.write_text("taxon_id\n")
    assert opening(folder).startswith(f"{path} has no column ")
    path.write_bytes(b"\xff\xfe\n")
    assert opening(folder).startswith(f"{path} cannot be read (")
    path.unlink()
    assert opening(folder) == f"{path} does not exist; ingest again"


def test_a_tree_with_a_circle_ends(tmp_path):
    folder = tmp_path / "catalog"
    write_catalog(folder)
    with (folder / "taxonomy.csv").open("a") as file:
        file.write("50,51,20,genus,A\n51,50,10,species,B\n")
    with open_lookup(folder) as lookup:
        assert lookup.answer(50).taxa_below == 0


def test_an_empty_catalog(tmp_path):
    folder = tmp_path / "catalog"
    write_catalog(folder)
    for table in ("taxonomy", "names", "classes", "eligibility"):
        header = (folder / f"{table}.csv").read_text().splitlines()[0]
        (folder / f"{table}.csv").write_text(header + "\n")
    with open_lookup(folder) as lookup:
        assert lookup.find("Panopeus") == Found("nearest name", [], [])


# Near names.


def test_nearest_first_and_never_below_the_limit():
    near = near_names("danaus", ["danaus plexippus"], ["danais", "dianous", "papilio", "danaus x"])
    assert list(near) == ["danaus plexippus", "danais", "danaus x", "dianous"]
    assert min(near.values()) >= SIMILAR


@pytest.mark.parametrize(
    ("near", "taxa", "meant"),
    [
        ({"a": 0.95, "b": 0.9}, {"a": [1], "b": [2]}, [1]),
        ({"a": 0.95, "b": 0.94}, {"a": [1], "b": [2]}, []),
        ({"a": 0.95, "b": 0.94}, {"a": [1], "b": [1]}, [1]),
        ({"a": 0.95, "b": 0.94}, {"a": [1, 2], "b": [2]}, [1, 2]),
        ({"a": CLEAR - 0.01}, {"a": [1]}, []),
        ({}, {}, []),
    ],
)
def test_what_is_clearly_meant(near, taxa, meant):
    assert list(clearly_meant(near, taxa)) == meant


SPECIES = [row[4].lower() for row in TAXONOMY if row[3] == "species"]


@given(st.sampled_from(SPECIES), st.data())
def test_one_slip_of_the_pen_is_forgiven(name, data):
    place = data.draw(st.integers(0, len(name) - 1))
    letter = data.draw(st.sampled_from("aeiostrn "))
    slips = [
        name[:place] + name[place + 1 :],
        name[:place] + letter + name[place:],
        name[:place] + letter + name[place + 1 :],
        name[:place] + name[place : place + 2][::-1] + name[place + 2 :],
    ]
    near = near_names(data.draw(st.sampled_from(slips)), [], SPECIES)
    assert next(iter(near)) == name
    assert clearly_meant(near, {species: [species] for species in SPECIES}) == [name]
