import pytest

from taxonvision.errors import UserError
from taxonvision.tables import write_csv
from taxonvision.taxonomy.classes import (
    COLUMNS,
    TaxonClass,
    find_classes,
    read_classes,
    write_classes,
)

CLASSES = [
    TaxonClass(0, 48662, "Danaus plexippus", "species", "active", "1"),
    TaxonClass(1, 47922, 'Nymphalidae, "brush-footed"', "family", "retired", "1"),
    TaxonClass(2, 3, "Ä", "genus", "active", "2024.1"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classes.csv"


def refusal(path, *rows):
    write_csv(path, COLUMNS, rows)
    with pytest.raises(UserError) as caught:
        read_classes(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_round_trip(path):
    write_classes(path, CLASSES)
    assert read_classes(path) == CLASSES
    assert path.read_text().splitlines()[:2] == [
        "class_id,taxon_id,name,rank,status,since",
        "0,48662,Danaus plexippus,species,active,1",
    ]


def test_in_order_of_their_id_whatever_the_order_of_the_lines(path):
    write_classes(path, CLASSES[::-1])
    assert read_classes(path) == CLASSES


def test_no_class_at_all(path):
    write_classes(path, [])
    assert read_classes(path) == []


@pytest.mark.parametrize("ids", [(1, 2), (0, 2), (0, 0), (1, 0, 3)])
def test_ids_that_do_not_count(path, ids):
    rows = [(i, 10 + n, "A", "species", "active", "1") for n, i in enumerate(ids)]
    assert "count 0, 1, 2" in refusal(path, *rows)


def test_taxon_with_two_classes(path):
    rows = [(i, 10, "A", "species", "active", "1") for i in range(2)]
    assert "a taxon has two classes" in refusal(path, *rows)


@pytest.mark.parametrize("status", ["", "Active", "gone"])
def test_unknown_status_names_the_line(path, status):
    good = (0, 10, "A", "species", "active", "1")
    sentence = refusal(path, good, (1, 11, "B", "species", status, "1"))
    assert f"line 3: status must be active or retired, not {status!r}" in sentence


@pytest.mark.parametrize("column", ["class_id", "taxon_id"])
def test_ids_that_are_no_numbers(path, column):
    row = dict(zip(COLUMNS, (0, 10, "A", "species", "active", "1"), strict=True)) | {column: "x"}
    assert f"line 2: {column} must be a whole number" in refusal(path, list(row.values()))


def test_missing_column(path):
    path.write_text("class_id,taxon_id,name,rank\n")
    with pytest.raises(UserError, match="has no column status or since"):
        read_classes(path)


def test_finding_the_table(path):
    write_classes(path, CLASSES)
    assert find_classes(path) == path
    assert find_classes(path.parent) == path
    assert find_classes(path.parent / "none.csv") == path.parent / "none.csv"


def test_folders_without_classes(tmp_path):
    with pytest.raises(UserError, match=r"has no classes\.csv; give a model, a catalog or a "):
        find_classes(tmp_path)
    (tmp_path / "bundle.json").write_text("{}")
    with pytest.raises(UserError, match="is a bundle, which numbers its outputs anew; give the"):
        find_classes(tmp_path)
