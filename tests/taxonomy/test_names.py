import pytest

from taxonvision.errors import UserError
from taxonvision.tables import write_csv
from taxonvision.taxonomy.names import read_names, write_names


def test_round_trip_ordered_by_language_and_taxon(tmp_path):
    path = tmp_path / "names.csv"
    names = {"en": {7: "Monarch", 3: 'Comma, "the"'}, "de": {7: "Monarchfalter", 12: "Füchse"}}
    write_names(path, names)
    assert path.read_text(encoding="utf-8") == (
        "taxon_id,language,name\n"
        "7,de,Monarchfalter\n"
        "12,de,Füchse\n"
        '3,en,"Comma, ""the"""\n'
        "7,en,Monarch\n"
    )
    assert read_names(path) == names


def test_no_names(tmp_path):
    write_names(tmp_path / "names.csv", {})
    assert read_names(tmp_path / "names.csv") == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("taxon_id,name\n1,A\n", "has no column language"),
        ("taxon_id,language,name\n1,en,A\nx,en,B\n", "line 3: taxon_id must be a whole number"),
    ],
)
def test_faults_name_the_file(tmp_path, text, sentence):
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(UserError, match=sentence) as caught:
        read_names(tmp_path / "names.csv")
    assert str(tmp_path / "names.csv") in str(caught.value)


@pytest.mark.parametrize("language", ["", "../../outside", "a/b", "de.json", "1"])
def test_a_language_that_could_be_another_file_is_refused(tmp_path, language):
    path = tmp_path / "names.csv"
    write_csv(path, ("taxon_id", "language", "name"), [(1, language, "fox")])
    with pytest.raises(UserError, match="line 2: a language is a code"):
        read_names(path)
