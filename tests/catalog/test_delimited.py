"""Delimited tables: every line is a row that was read or a line in rejects, however bad it is."""

import csv
import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.catalog.sources.delimited import (
    COMMA_SEPARATED,
    TAB_SEPARATED,
    load_table,
    read_header,
    reject_rows,
)
from taxonvision.catalog.sources.records import LONGEST_ROW, STRAY_QUOTE, Dialect
from taxonvision.catalog.staging import staging_in
from taxonvision.errors import UserError

COLUMNS = {"id": "VARCHAR", "name": "VARCHAR", "value": "DOUBLE"}
FEWER = "fewer cells than the header has columns (3)"
MORE = "more cells than the header has columns (3)"


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a table: the row count, the rows read, and line -> reason of those that were not.

    `faulty` is a condition of rows to reject after reading.
    """
    folder = tmp_path_factory.mktemp("tables")
    with staging_in(folder / "work") as staging:

        def load(content, dialect=COMMA_SEPARATED, columns=COLUMNS, **options):
            staging.connection.execute("DROP TABLE IF EXISTS t; DELETE FROM rejects")
            path = folder / options.pop("name", "t.csv")
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
            return loaded(staging, path, dialect, columns, **options)

        yield load


def loaded(staging, path, dialect, columns, header=None, faulty=None):
    count = load_table(
        staging, path, "t", columns, dialect=dialect, required=["id"], header=header
    )  # fmt: skip
    execute = staging.connection.execute
    if faulty:
        execute(
            "CREATE TEMP TABLE faults AS SELECT rowid AS faulty, id, 'told' AS reason FROM t"
            f" WHERE {faulty}"
        )
        reject_rows(staging, path, "t", "id", dialect, header=header)
    rows = execute("FROM t ORDER BY rowid").fetchall()
    rejects = execute("SELECT path, line, reason FROM rejects ORDER BY line").fetchall()
    assert {name for name, _, _ in rejects} <= {path.name}
    assert len({line for _, line, _ in rejects}) == len(rejects)
    return count, rows, {line: reason for _, line, reason in rejects}


HEADER = b"id,name,value\n"
SOUND = [("1", "a", 1.5), ("2", "b", None)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_ways_to_write_the_same_table(load, end, start, last, zipped):
    content = start + end.join([b"id,name,value", b"1,a,1.5", b'"2",b,']) + end * last
    content, name = (gzip.compress(content), "t.csv.gz") if zipped else (content, "t.csv")
    assert load(content, name=name) == (2, SOUND, {})


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (b"1,a,1.5\n%s\n2,b,\n", {3: "..."}),
        (b"1,a,1.5\r\n%s\n2,b,\r\n", {3: "..."}),  # two kinds of line ends
        (b"1,a,1.5\n\n%s\n2,b,\n", {4: "..."}),
        (b"1,a,1.5\n%s\n2,b,", {3: "..."}),
    ],
)
@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"3", FEWER), (b"3,c,1,2,3", MORE), (b"3,\xff,1", "not UTF-8"),
        (b"3,c,north", "value must be a number, not 'north'"),
        (b'3,"c,1', STRAY_QUOTE), (b'3,"c"d,1', STRAY_QUOTE), (b'3,"c",1"', "value must be"),
        (b"3,c\0d,1", "a NUL byte"), (b"3\0,c,1", "a NUL byte"),
    ],
)  # fmt: skip
def test_a_bad_line_costs_nothing_but_itself(load, rows, reason, bad, why):
    count, read, rejects = load(HEADER + rows % bad)
    assert (count, read, list(rejects)) == (3, SOUND, list(reason))
    assert next(iter(rejects.values())).startswith(why)


def test_cells_of_several_lines_count_their_lines(load):
    content = HEADER + b'1,"two\nlines",1\n2,b,x\n3,"three\r\n\nlines ""quoted""",1\n4\n5,c,1\n'
    count, rows, rejects = load(content)
    assert (count, [row[0] for row in rows], rejects) == (
        5, ["1", "3", "5"], {4: "value must be a number, not 'x'", 8: FEWER},
    )  # fmt: skip


def test_a_mark_never_closed_does_not_swallow_what_follows(load):
    rows = b"".join(b"%d,name,1\n" % i for i in range(5000))
    count, read, rejects = load(HEADER + b'x,"never closed,1\n' + rows)
    assert (count, len(read), rejects) == (5001, 5000, {2: STRAY_QUOTE})
    later = b'y,"a\nb",1\n'  # whose quotation mark would close it
    count, read, rejects = load(HEADER + b'x,"never closed,1\n' + rows + later)
    assert (count, len(read), rejects) == (5002, 5001, {2: STRAY_QUOTE})


def test_a_cell_without_end(load):
    long = b"z" * (LONGEST_ROW // 4)
    content = HEADER + b'x,"' + b"\n".join([long] * 8) + b'",1\n1,a,1.5\n2,b,\n'
    count, read, rejects = load(content)
    assert (count, read) == (10, SOUND)
    assert rejects == {2: STRAY_QUOTE, **dict.fromkeys(range(3, 9), FEWER), 9: FEWER}


def test_without_quotation_marks_they_are_letters(load):
    content = b'id\tname\tvalue\n1\t"a\t1\n2\tb"c"\t\n3\tonly\n'
    count, rows, rejects = load(content, TAB_SEPARATED)
    assert (count, rows) == (3, [("1", '"a', 1.0), ("2", 'b"c"', None)])
    assert rejects == {4: FEWER}


def test_rows_told_of_later_have_their_lines(load):
    content = HEADER + b'7,"x\ny",1\n8,a,north\n7,b,2\n,c,3\n8,d,4\n7,"never\n9,e,5\n7,f,6\n'
    count, rows, rejects = load(content, faulty="value >= 2")
    assert (count, [row[0] for row in rows]) == (8, ["7"])
    assert rejects == {
        4: "value must be a number, not 'north'", 5: "told", 6: "told", 7: "told",
        8: STRAY_QUOTE, 9: "told", 10: "told",
    }  # fmt: skip


def test_names_from_elsewhere(load):
    dialect = Dialect("\t", header_lines=0)
    content = b"1\ta\t1\n2\tb\tx\n3\tc\t9\n"
    found = load(content, dialect, header=["id", "name", "value"], faulty="value = 9")
    assert found == (3, [("1", "a", 1.0)], {2: "value must be a number, not 'x'", 3: "told"})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "t.csv does not exist"),
        (b"", "t.csv, line 1: there are no names of columns"),
        (b"\n1,2,3\n", "t.csv, line 1: there are no names of columns"),
        (b"i\0d,name\n", "t.csv, line 1: there are no names of columns"),
        (b"id,n\xe4me\n", "t.csv, line 1: not UTF-8; save it as UTF-8"),
        ("id,name\n".encode("utf-16"), "t.csv, line 1: not UTF-8; save it as UTF-8"),
        (b"name,value\n", "t.csv has no column id; it has: name, value"),
        (b"id\tname\n", "t.csv is separated by tabs; this format is separated by commas"),
        (b"id;name\n", "t.csv is separated by semicolons; this format is separated by commas"),
    ],
)
def test_no_such_table(load, content, sentence):
    with pytest.raises(UserError) as refused:
        load(content)
    assert str(refused.value).endswith(sentence)


PACKED = gzip.compress(HEADER + b"".join(b"%d,name %d,1\n" % (i, i * i) for i in range(100_000)))


def flipped(place):
    damaged = bytearray(PACKED)
    damaged[place] ^= 255
    return bytes(damaged)


@pytest.mark.parametrize(
    "damaged",
    [
        PACKED[:-200], PACKED[:-1], PACKED[: len(PACKED) // 2], HEADER, PACKED + b"more",
        flipped(-6), flipped(-3), flipped(len(PACKED) // 3), flipped(len(PACKED) // 2),
    ],
)  # fmt: skip
def test_damaged_gzip(load, damaged):
    """DuckDB takes some of these for other rows, and reads some for ever."""
    with pytest.raises(UserError, match=r"t\.csv\.gz cannot be read"):
        load(damaged, name="t.csv.gz")
    assert load(PACKED, name="t.csv.gz")[0] == 100_000


def test_header_in_quotation_marks(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbf"id", "na ""me" ,b\n')
    assert read_header(tmp_path / "t.csv", COMMA_SEPARATED)[0] == "id"


CELLS = st.text(st.sampled_from('ab1 ,"\n\t;ä'), max_size=6)
ROWS = st.lists(st.tuples(st.integers(0, 9), CELLS, CELLS), max_size=12)


@settings(max_examples=20)
@given(ROWS)
def test_what_is_written_well_is_read_as_it_is(load, rows):
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([("id", "name", "value"), *rows])
    columns = {"id": "BIGINT", "name": "VARCHAR", "value": "VARCHAR"}
    content = text.getvalue().encode()
    count, read, rejects = load(content, columns=columns)
    assert (count, rejects) == (len(rows), {})
    assert read == [(number, *(cell or None for cell in cells)) for number, *cells in rows]


def is_line(data):
    return b"\n" not in data and not data.startswith(b"\xef\xbb\xbf")  # DuckDB passes marks over


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=12).filter(is_line), max_size=15))
def test_every_line_of_any_bytes_is_read_or_told_of(load, lines):
    """Rows without quotation marks are their lines; no line is counted twice, none is lost."""
    unquoted = [line.replace(b'"', b"'") for line in lines]
    content = HEADER + b"".join(line + b"\n" for line in unquoted)
    count, rows, rejects = load(content)
    assert count == len(rows) + len(rejects) == sum(bool(line.strip(b"\r")) for line in unquoted)
    quoted = HEADER + b"".join(line + b"\n" for line in lines)
    count, rows, rejects = load(quoted)
    assert count == len(rows) + len(rejects)
    assert all(2 <= line <= len(lines) + 1 for line in rejects)
