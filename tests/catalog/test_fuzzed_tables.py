"""Whatever is in the four tables: an ingest refuses them in one sentence, or its counts add up."""

import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_data_tables import Tables, made, photo, write_bytes

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.rules import Rules
from taxonvision.errors import UserError
from taxonvision.text import for_screen

NAMES = ("observations", "photos", "taxa", "observers")
NASTY = [
    b"", b"0", b"-1", b"1", b"21", b"20", b"48460", b"1.5", b"1e400", b"nan", b"-inf", b"9" * 11,
    str(2**63).encode(), b"infinity", b"-infinity", b"2999-01-01", b"0000-00-00", b"1-1-1",
    b"epoch", b"true", b"None", b"research", b'"', b"'", b"''; --", b"\\", b"\\N", b"NULL", b" ",
    b"\xc3\xa9", b"\xff", b"\0", b"\r", b"\xe2\x80\xa8", b"48460/1/30/20", b"20/21", b"//",
    b"a" * 300, b"../x", b"00000001-0000-4000-8000-000000000001", b"CC0", b"jpg", b"species",
    b"hybrid",
]  # fmt: skip
SPLIT_UNITS = ("observation", "observer", "date")
RULES = [
    Rules(),
    Rules(min_photos=2, max_photos=3, roll_up_to="family", per_observation=2,
          per_observation_held_out=1, quality=("research",), active_only=True, hybrids=False,
          coarsest_rank="species", licenses=("CC0", "CC-BY")),
]  # fmt: skip


def base():
    tables = Tables()
    for taxon_id, photos in (
        (21, 3),
        (21, 1),
        (22, 1),
        (23, 1),
        (24, 1),
        (25, 1),
        (41, 2),
        (20, 1),
    ):
        tables.see(taxon_id, photos)
    tables.see(41, quality_grade="casual", photo_license="CC0")
    tables.photos.append(photo(1, of=2))
    return {name: tables.text(name).encode() for name in NAMES}


BASE = base()
places = st.integers(0, 10_000)
names = st.sampled_from(NAMES)
cells = st.one_of(
    st.sampled_from(NASTY), st.binary(max_size=6), st.text(max_size=6).map(str.encode)
)


def changed_lines(change):
    """What a change of the lines (without line ends), the header among them, does to a table."""

    def mutate(content, *arguments):
        lines = content.split(b"\n")
        change(lines, *arguments)
        return b"\n".join(lines)

    return mutate


@changed_lines
def set_cell(lines, line, column, value):
    row = lines[line % len(lines)].split(b"\t")
    row[column % len(row)] = value
    lines[line % len(lines)] = b"\t".join(row)


@changed_lines
def add_cell(lines, line, column, value):
    lines[line % len(lines)] += b"\t" + value


@changed_lines
def drop_cell(lines, line, column, value):
    row = lines[line % len(lines)].split(b"\t")
    del row[column % len(row)]
    lines[line % len(lines)] = b"\t".join(row)


@changed_lines
def repeat(lines, line, column, value):
    lines.insert(column % len(lines), lines[line % len(lines)])


@changed_lines
def drop(lines, line, column, value):
    del lines[line % len(lines)]


@changed_lines
def insert_line(lines, line, column, value):
    lines.insert(line % (len(lines) + 1), value)


def set_bytes(content, line, column, value):
    start = (line * 97 + column) % (len(content) + 1)
    return content[:start] + value + content[start + len(value) :]


def insert_bytes(content, line, column, value):
    start = (line * 97 + column) % (len(content) + 1)
    return content[:start] + value + content[start:]


def cut(content, line, column, value):
    return content[: (line * 97 + column) % (len(content) + 1)]


def windows(content, line, column, value):
    return content.replace(b"\n", b"\r\n")


COUNTS = ("photographs", "rejected", "left_out", "usable", *SPLITS)
MUTATIONS = [
    set_cell, set_cell, set_cell, add_cell, drop_cell, repeat, drop, insert_line, set_bytes,
    insert_bytes, cut, windows,
]  # fmt: skip
mutations = st.lists(
    st.tuples(st.sampled_from(MUTATIONS), names, places, places, cells), min_size=1, max_size=6
)


def data_lines(content):
    """How many lines below the header are not blank, counted in no clever way."""
    return sum(bool(line.strip(b"\r")) for line in content.split(b"\n")[1:])


def check(mutated, rules, split_by, suffix):
    contents = dict(BASE)
    for mutate, name, line, column, value in mutated:
        contents[name] = mutate(contents[name], line, column, value)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "tables")
        folder.mkdir()
        for name, content in contents.items():
            write_bytes(folder / f"{name}{suffix}", content)
        try:
            found = made(folder, Path(place, "catalog"), rules, split_by=split_by)
        except UserError as error:
            said = str(error)
            assert said == for_screen(said)
            assert len(said.splitlines()) == 1
            assert not re.search(r"Error:|Traceback|SELECT ", said), said
            assert sorted(path.name for path in Path(place).iterdir()) == ["tables"]
            return
        told = found.rejects
        for name, content in contents.items():
            table = found.counts["tables"][f"{name}{suffix}"]
            assert table["rows"] == data_lines(content), name
            lines = [int(line) for path, line, _ in told if path == f"{name}{suffix}"]
            assert len(lines) == table["faulty"], name
            assert len(set(lines)) == len(lines)
        assert found.counts["photographs"] == data_lines(contents["photos"])
        assert all(reason for _, _, reason in told)
        check_taxa(found, found.counts["tables"][f"photos{suffix}"]["faulty"])


def check_taxa(found, rejected):
    """What eligibility.csv counts is what is listed and used."""
    rows, photos = found.eligibility, found.photos
    assert len(photos) == found.counts["used"]
    left_out = found.counts["left_out"]
    without_taxon = {"no_taxon", "no_observation", "duplicate"}
    listed = found.counts["photographs"] - rejected
    seen = sum(int(row["photographs"]) for row in rows.values())
    assert listed - sum(left_out.get(fate, 0) for fate in without_taxon) <= seen <= listed
    class_of = {class_id: taxon_id for class_id, taxon_id, _ in found.classes}
    used = Counter((row["taxon_id"], row["split"]) for row in photos.values())
    for taxon_id, row in rows.items():
        number = {name: int(row[name] or 0) for name in COUNTS}
        assert number["photographs"] == number["rejected"] + number["left_out"] + number["usable"]
        assert [number[s] for s in SPLITS] == [used.pop((taxon_id, s), 0) for s in SPLITS]
        assert (row["included"] == "true") == (row["class_taxon_id"] == str(taxon_id))
        assert row["reason"].startswith("included: " if row["included"] == "true" else "not ")
    assert not used
    for row in photos.values():
        assert rows[row["taxon_id"]]["class_taxon_id"] == str(class_of[row["class_id"]])


@given(mutations, st.sampled_from(RULES), st.sampled_from(SPLIT_UNITS))
@settings(max_examples=8)
def test_fuzzed_tables(mutated, rules, split_by):
    check(mutated, rules, split_by, ".csv")


@pytest.mark.slow
@given(mutations, st.sampled_from(RULES), st.sampled_from(SPLIT_UNITS), st.booleans())
@settings(max_examples=60)
def test_many_fuzzed_tables(mutated, rules, split_by, compressed):
    check(mutated, rules, split_by, ".csv.gz" if compressed else ".csv")
