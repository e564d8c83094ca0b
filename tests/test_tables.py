from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.tables import integer, read_csv, taxon_id_in, write_csv, write_parquet


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"

    def write(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def refusal(path, *arguments):
    with pytest.raises(UserError) as caught:
        read_csv(path, *arguments)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    return sentence.replace(str(path), "FILE")


def test_rows_by_column_with_stripped_cells(table):
    path = table(' file , class\n a.jpg , b \n"x, y",\n')
    assert read_csv(path) == [{"file": "a.jpg", "class": "b"}, {"file": "x, y", "class": ""}]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_mark_and_line_ends_of_spreadsheets(table, end):
    path = table(b"\xef\xbb\xbf" + f"file,class{end}ä.jpg,b{end}".encode())
    assert read_csv(path, ["file", "class"]) == [{"file": "ä.jpg", "class": "b"}]


def test_missing_cells_are_empty(table):
    assert read_csv(table("a,b,c\n1\n")) == [{"a": "1", "b": "", "c": ""}]


def test_lines_are_those_of_the_file_across_blank_lines_and_line_breaks_in_cells(table):
    rows = read_csv(table('a,b\n\n1,"x\ny"\n\n\n2,z\n'))
    assert [(row["a"], row.line) for row in rows] == [("1", 3), ("2", 7)]


def test_missing_file(tmp_path):
    assert refusal(tmp_path / "none.csv") == "FILE does not exist"


def test_folder_instead_of_a_file(tmp_path):
    assert refusal(tmp_path) == "FILE cannot be read: Is a directory"


def test_missing_column_is_named_with_those_there(table):
    assert refusal(table("file,klass\na,b\n"), ["file", "class", "split"]) == (
        "FILE has no column class or split; it has: file, klass"
    )


def test_empty_file_has_no_columns(table):
    assert "has no column a" in refusal(table(""), ["a"])
    assert read_csv(table("")) == []


def test_column_twice(table):
    assert refusal(table("a,b,a\n1,2,3\n")) == "FILE, line 1: the column a is there twice"


def test_more_cells_than_columns(table):
    sentence = refusal(table("a,b\n1,2\n\n1,2,3\n"))
    assert sentence.startswith("FILE, line 4: more cells")


def test_nul_byte(table):
    assert refusal(table(b"a,b\n1,2\n1,\x002\n")).startswith("FILE, line 3: a NUL byte")


def test_utf_16_of_spreadsheets(table):
    assert refusal(table("a,b\n1,2\n".encode("utf-16"))).startswith("FILE, line 1:")


def test_latin_1_names_its_line_in_a_long_file(table):
    path = table(b"a,b\n" + b"x,y\n" * 30_000 + b"1,\xe4\n")
    assert refusal(path) == "FILE, line 30002: not UTF-8; save it as UTF-8"


@pytest.mark.parametrize("rest", ['"x,1\n', '"x"y,1\n'])
def test_broken_quotes(table, rest):
    assert refusal(table("a,b\n1,2\n" + rest)).startswith("FILE, line 3: ")


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).map(str.strip)


@given(st.lists(st.tuples(cells, cells, cells), max_size=8))
def test_what_is_written_is_read_again(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "round_trip.csv"
    write_csv(path, ("a", "b, c", 'd"\n'), rows)
    assert [tuple(row.values()) for row in read_csv(path, ("a", "b, c"))] == rows


def test_none_is_an_empty_cell_and_lines_end_alike_everywhere(tmp_path):
    write_csv(tmp_path / "t.csv", ("a", "b"), [(1, None), ("x\ry", 'q"')])
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1,\n"x\ry","q"""\n'


@pytest.mark.parametrize("text", ["", "x", "1.5", "0x10", "99999999999999999999"])
def test_integer_names_file_line_and_cell(table, text):
    path = table(f"id,b\n\n{text},z\n")
    (row,) = read_csv(path)
    with pytest.raises(UserError, match="line 3: id ") as caught:
        integer(row, "id", path)
    assert str(path) in str(caught.value)
    assert text in str(caught.value)


def test_integer_from_the_least_up_to_63_bits(table):
    path = table(f"a,b\n0,{2**63 - 1}\n")
    (row,) = read_csv(path)
    assert (integer(row, "a", path), taxon_id_in(row, "b", path)) == (0, 2**63 - 1)
    with pytest.raises(UserError, match="line 2: a must lie between 1 and"):
        taxon_id_in(row, "a", path)


@pytest.mark.parametrize("place", ["/dev/full", "no_folder/table.parquet"])
def test_a_parquet_file_that_the_disk_does_not_take_is_one_sentence(place):
    with duckdb.connect() as connection, pytest.raises(UserError) as caught:
        write_parquet(Path(place), connection, "SELECT range AS number FROM range(10)")
    assert str(caught.value).startswith(f"{place} cannot be written: ")
    assert "\n" not in str(caught.value)
