"""iNaturalist Open Data: as the bucket has it, and with everything wrong that can be."""

import datetime
import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_data_tables import Tables, made, observer, photo, taxon, uuid, write_bytes

from taxonvision.catalog.catalog import open_catalog
from taxonvision.catalog.rules import Rules
from taxonvision.catalog.sources.open_data import stage_open_data
from taxonvision.catalog.staging import LISTED, staging_in
from taxonvision.errors import UserError
from taxonvision.synthetic.dataset import SynthOptions, write_dataset
from taxonvision.synthetic.metadata import MetadataOptions, write_metadata
from taxonvision.tables import read_csv

SAMPLE = (
    Path(__file__).resolve().parents[2].parent
    / "shared" / "data" / "inat_formats" / "inaturalist-open-data"
)  # fmt: skip
FUTURE = (datetime.date.today() + datetime.timedelta(days=3)).isoformat()
BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"
NAMES = ("observations", "photos", "taxa", "observers")


class Staged:
    """What the source hands over."""

    def __init__(self, staging):
        def rows(query):
            return staging.connection.execute(query).fetchall()

        columns = list(LISTED)
        self.photos = [dict(zip(columns, row, strict=True)) for row in rows(
            f"SELECT {', '.join(columns)} FROM listed ORDER BY row")]  # fmt: skip
        self.files = rows("SELECT row, photo_id, path, license FROM listed_files ORDER BY row")
        self.parents = dict(rows("SELECT taxon_id, parent_taxon_id FROM listed_taxa"))
        self.rejects = rows("SELECT path, line, reason FROM rejects ORDER BY ALL")
        self.photographs_rejected = rows("SELECT count(*) FROM rejects WHERE is_photograph")[0][0]
        self.tables = {name: tuple(counts) for name, *counts in rows("FROM tables_read")}


@pytest.fixture
def stage(tmp_path):
    """Stage a folder of tables, and say what came of it."""

    def stage(folder, photos=None):
        work = tmp_path / "work"
        shutil.rmtree(work, ignore_errors=True)
        with staging_in(work) as staging:
            source = stage_open_data(staging, folder, photos)
            found = Staged(staging)
        assert source.root == (photos or folder)
        for rows, used, faulty, duplicates in found.tables.values():
            assert rows == used + faulty + duplicates
        assert [tuple(file) for file in found.files] == [
            (p["row"], p["photo_id"], p["path"], p["license"]) for p in found.photos
        ]
        return found

    return stage


@pytest.fixture
def tables():
    """Two observations of one species, of two photographs and one, and one of a genus."""
    tables = Tables()
    tables.see(21, photos=2)
    tables.see(21)
    tables.see(20)
    return tables


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "tables"


# The files as they are.


def test_the_sample_of_the_bucket_as_it_is(stage):
    found = stage(SAMPLE)
    assert found.tables == {
        "observations.csv": (50, 48, 2, 0),
        "observers.csv": (50, 50, 0, 0),
        "photos.csv": (50, 50, 0, 0),
        "taxa.csv": (50, 50, 0, 0),
    }
    extra = "more cells than the header has columns (8)"
    assert found.rejects == [("observations.csv", line, extra) for line in (27, 28)]
    first = found.photos[0]
    assert first["path"] == "photos/35927/medium.jpg"
    assert first["url"] == f"{BUCKET}/35927/medium.jpg"
    assert (first["taxon_id"], first["quality"]) == (53137, "research")
    assert (first["latitude"], first["longitude"]) == (38.60974, -122.767302)
    assert (first["observed_on"], first["observer"]) == (datetime.date(2011, 5, 30), "505")
    assert (first["license"], first["attribution"]) == ("CC-BY", "Don Loarie")
    assert (first["width"], first["height"], first["position"]) == (2048, 1356, 0)


@pytest.mark.parametrize("rules", [None, Rules()])
def test_no_taxon_of_the_sample_is_in_its_table_and_that_is_the_reason(tmp_path, rules):
    from taxonvision.catalog.rules import RULES

    found = made(SAMPLE, tmp_path / "catalog", rules or RULES["inat"])
    assert found.counts["photographs"] == 50
    left_out = found.counts["left_out"]
    assert set(left_out) == {"no_observation", "unknown_taxon"}
    assert (found.counts["used"], found.classes) == (0, [])
    reasons = Counter(row["reason"] for row in found.eligibility.values())
    assert set(reasons) == {"not included: not in the taxa table"}
    seen = sum(int(row["photographs"]) for row in found.eligibility.values())
    assert seen == left_out["unknown_taxon"]
    assert open_catalog(tmp_path / "catalog").classes == []


# What synth writes, in the layouts in which photographs lie.


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three species, eight photographs each, as in the bucket."""
    folder = tmp_path_factory.mktemp("drawn")
    write_dataset(folder, SynthOptions("open_data", taxa=3, photos_per_taxon=8, size=32, seed=4))
    return folder


@pytest.fixture(scope="module")
def checked(drawn, tmp_path_factory):
    return made(drawn, tmp_path_factory.mktemp("catalog") / "c", check_photos=True)


def test_photographs_in_the_layout_of_the_bucket(drawn, checked):
    assert (checked.counts["photographs"], checked.counts["used"]) == (24, 24)
    assert checked.manifest["photos_checked"] is True
    for photo_id, row in checked.photos.items():
        assert row["path"] == f"photos/{photo_id}/medium.jpg"
        assert (drawn / row["path"]).is_file()
        assert (row["width"], row["height"], row["orientation"]) == (32, 32, 1)
        assert len(row["sha256"]) == 64
    by_observation = {}
    for row in checked.photos.values():
        by_observation.setdefault(row["observation_id"], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in by_observation.values())
    assert len(checked.classes) == 3


LAYOUTS = {
    "bucket, large": "photos/{id}/large.jpg",
    "bucket, below its folder": "{id}/medium.jpg",
    "flat, in photos": "photos/{id}.jpg",
    "flat": "{id}.jpg",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_photographs_in_other_layouts_beside_and_away_from_the_tables(
    drawn, stage, tmp_path, layout
):
    for place in (tmp_path / "beside", tmp_path / "away"):
        for file in drawn.glob("photos/*/medium.jpg"):
            path = place / layout.format(id=file.parent.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, path)
    for table in drawn.glob("*.csv"):
        shutil.copy(table, tmp_path / "beside")
    for found in (stage(tmp_path / "beside"), stage(drawn, tmp_path / "away")):
        assert {p["path"] for p in found.photos} == {
            layout.format(id=p["photo_id"]) for p in found.photos
        }
        size = "large" if "large" in layout else "medium"
        assert found.photos[0]["url"] == f"{BUCKET}/{found.photos[0]['photo_id']}/{size}.jpg"


def test_the_layout_is_found_where_few_of_many_photographs_are_there(stage, tables, folder):
    tables.photos += [photo(number, 1) for number in range(1000, 6000)]
    tables.write(folder)
    (folder / "4711.jpg").write_bytes(b"there")
    assert {p["path"] for p in stage(folder).photos} >= {"4711.jpg", "5000.jpg"}


def test_a_photograph_that_is_listed_but_absent_is_told_with_its_path(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "tables")
    files = sorted((tmp_path / "tables").glob("photos/*/medium.jpg"))
    files[0].unlink()
    files[1].write_bytes(b"")
    found = made(tmp_path / "tables", tmp_path / "catalog", check_photos=True)
    assert (found.counts["used"], found.counts["rejected"]) == (22, 2)
    assert found.rejects == [
        (f"photos/{files[0].parent.name}/medium.jpg", "", "no such file"),
        (f"photos/{files[1].parent.name}/medium.jpg", "", "empty file"),
    ]


def test_unchecked_the_catalog_lists_what_to_fetch(drawn, checked, tmp_path):
    tables = tmp_path / "tables"
    shutil.copytree(drawn, tables, ignore=shutil.ignore_patterns("photos"))
    found = made(tables, tmp_path / "catalog")
    assert found.manifest["photos_checked"] is False
    assert list(found.photos) == list(checked.photos)
    for photo_id, row in found.photos.items():
        assert row["url"] == f"{BUCKET}/{photo_id}/medium.jpg"
        assert row["path"] == f"photos/{photo_id}/medium.jpg"
        assert (row["sha256"], row["orientation"]) == (None, None)
        assert (row["width"], row["height"]) == (32, 32)
    assert found.classes == checked.classes


@pytest.mark.parametrize("compress", [False, True])
def test_tables_without_photographs_plain_and_gzipped(tmp_path, compress):
    tables = tmp_path / "tables"
    tables.mkdir()
    counts = write_metadata(tables, MetadataOptions(3000, 30, compress=compress))
    found = made(tables, tmp_path / "catalog", Rules(per_observation=5))
    assert found.counts["photographs"] == counts["photos"] == 3000
    suffix = ".csv.gz" if compress else ".csv"
    rows = {name: table["rows"] for name, table in found.counts["tables"].items()}
    assert set(rows) == {name + suffix for name in NAMES}
    assert rows["observations" + suffix] == counts["observations"]
    assert rows["observers" + suffix] == counts["observers"]
    assert sum(
        int(row["photographs"]) for row in found.eligibility.values()
    ) == 3000 - found.counts["left_out"].get("no_taxon", 0)


# Cells.


def test_what_a_photograph_gets_from_the_four_tables(stage, tables, folder):
    tables.observers = [observer(1, "ada", "Ada Lovelace"), observer(2, "bo", "None")]
    tables.photos[1]["observer_id"] = 2
    tables.photos[2]["observer_id"] = 3
    tables.write(folder)
    first, second, third, _ = stage(folder).photos
    assert first["observation_id"] == second["observation_id"] == uuid(1)
    assert first["observation_key"] == second["observation_key"] != third["observation_key"]
    assert first["split_position"] == second["split_position"]
    assert [p["attribution"] for p in (first, second, third)] == ["Ada Lovelace", "bo", None]
    assert [p["position"] for p in (first, second)] == [0, 1]


def test_observers_are_not_needed(stage, tables, folder):
    tables.write(folder)
    (folder / "observers.csv").unlink()
    found = stage(folder)
    assert "observers.csv" not in found.tables
    assert {p["attribution"] for p in found.photos} == {None}


def test_other_columns_and_another_order_of_columns(stage, tables, folder):
    tables.write(folder)
    lines = (folder / "photos.csv").read_text().splitlines()
    (folder / "photos.csv").write_text(
        "".join("\t".join(["x", *reversed(line.split("\t"))]) + "\n" for line in lines)
    )
    assert [p["photo_id"] for p in stage(folder).photos] == ["1", "2", "3", "4"]


def test_windows_line_ends_and_a_byte_order_mark(stage, tables, folder):
    tables.write(folder)
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    found = stage(folder)
    assert [p["taxon_id"] for p in found.photos] == [21, 21, 21, 20]
    assert found.rejects == []


def test_quotation_marks_are_letters(stage, tables, folder):
    tables.observers = [observer(1, 'a"da', '"Ada" L')]
    tables.taxa[0]["name"] = '"Life'
    tables.write(folder)
    found = stage(folder)
    assert found.photos[0]["attribution"] == '"Ada" L'
    assert found.rejects == []


def test_uuids_may_be_in_capitals(stage, tables, folder):
    for row in tables.photos:
        row["observation_uuid"] = row["observation_uuid"].upper()
    tables.write(folder)
    assert {p["left_out"] for p in stage(folder).photos} == {None}


# Tables that cannot be read at all: one sentence.


def refusal(stage, folder):
    with pytest.raises(UserError) as refused:
        stage(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_no_folder_and_no_table(stage, folder):
    assert refusal(stage, folder).startswith(f"{folder} is not a folder; --input names the folder")
    folder.mkdir()
    assert (
        refusal(stage, folder) == f"{folder} has neither observations.csv nor observations.csv.gz"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_a_column(stage, tables, folder, name):
    tables.write(folder)
    path = folder / f"{name}.csv"
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    path.write_text("".join("\t".join(cells[1:-1]) + "\n" for cells in lines))
    said = refusal(stage, folder)
    assert said.startswith(f"{path} has no column ")
    assert f"it has: {lines[0][1]}" in said


@pytest.mark.parametrize(
    ("name", "separator", "word"),
    [("photos", ",", "commas"), ("taxa", ";", "semicolons"), ("observers", "|", "bars")],
)
def test_a_table_with_another_separator(stage, tables, folder, name, separator, word):
    tables.write(folder)
    path = folder / f"{name}.csv"
    path.write_text(path.read_text().replace("\t", separator))
    assert refusal(stage, folder) == (
        f"{path} is separated by {word}; this format is separated by tabs"
    )


@pytest.mark.parametrize(
    ("name", "header", "reason"),
    [
        ("photos", b"", "there are no names of columns"),
        ("observers", b"\n", "there are no names of columns"),
        ("taxa", b"a\0b\tc\n", "there are no names of columns"),
        ("observations", b"\xff\xfe\n", "not UTF-8; save it as UTF-8"),
    ],
)
def test_a_table_without_a_header(stage, tables, folder, name, header, reason):
    tables.write(folder)
    (folder / f"{name}.csv").write_bytes(header)
    assert refusal(stage, folder) == f"{folder / name}.csv, line 1: {reason}"


@pytest.mark.parametrize("name", ["photos", "taxa"])
def test_a_damaged_gzip_file(stage, tables, folder, name):
    tables.write(folder, ".csv.gz")
    path = folder / f"{name}.csv.gz"
    whole = path.read_bytes()
    for damaged in (whole[:-12], b"no gzip", whole[:20] + b"????" + whole[24:]):
        path.write_bytes(damaged)
        assert str(path) in refusal(stage, folder)


def test_a_folder_where_a_table_should_be(stage, tables, folder):
    tables.write(folder)
    (folder / "taxa.csv").unlink()
    (folder / "taxa.csv").mkdir()
    assert refusal(stage, folder) == f"{folder} has neither taxa.csv nor taxa.csv.gz"


# Rows that cannot be read or used: a line in rejects each.

ROW_FAULTS = {
    "observations": [
        ({"observation_uuid": ""}, "no observation_uuid"),
        ({"observation_uuid": "x1"}, "observation_uuid must be a UUID, not 'x1'"),
        ({"latitude": "90.5"}, "latitude must lie between -90 and 90, not 90.5"),
        ({"latitude": "nan"}, "latitude must lie between -90 and 90, not nan"),
        ({"latitude": "north"}, "latitude must be a number, not 'north'"),
        ({"longitude": "-180.1"}, "longitude must lie between -180 and 180, not -180.1"),
        ({"taxon_id": "wolf"}, "taxon_id must be a whole number, not 'wolf'"),
        ({"taxon_id": str(2**63)}, f"taxon_id must be a whole number, not '{2**63}'"),
        ({"observed_on": FUTURE}, f"observed_on lies in the future: {FUTURE}"),
        ({"observed_on": "May 5"}, "observed_on must be a date as 2024-05-31, not 'May 5'"),
        ({"observed_on": "2020-02-30"},
         "observed_on must be a date as 2024-05-31, not '2020-02-30'"),
        ({"observed_on": "infinity"}, "observed_on lies in the future: infinity"),
    ],
    "photos": [
        ({"photo_id": ""}, "no photo_id"),
        ({"photo_id": "-7"}, "photo_id must not be negative"),
        ({"photo_id": "seven"}, "photo_id must be a whole number, not 'seven'"),
        ({"extension": ""}, "no extension"),
        ({"extension": "heic"}, "photographs of the kind heic are not read"),
        ({"extension": "../x.jpg"}, "photographs of the kind ../x.jpg are not read"),
        ({"width": "wide"}, "width must be a whole number, not 'wide'"),
    ],
    "taxa": [
        ({"taxon_id": "0"}, "taxon_id must be 1 or more"),
        ({"taxon_id": ""}, "taxon_id must be 1 or more"),
        ({"ancestry": "48460/x"}, "ancestry must be ids with / between them, not 48460/x"),
        ({"ancestry": "48460//1"}, "ancestry must be ids with / between them, not 48460//1"),
        ({"ancestry": "1.5"}, "ancestry must be ids with / between them, not 1.5"),
        ({"ancestry": f"{2**70}"}, f"ancestry must be ids with / between them, not {2**70}"),
        ({"ancestry": "48460/99"}, "taxon 99 is its own ancestor"),
        ({"rank_level": ""}, "no rank_level"),
        ({"rank_level": "inf"}, "no rank_level"),
        ({"rank": ""}, "no rank"),
        ({"active": "perhaps"}, "active must be true or false, not 'perhaps'"),
    ],
    "observers": [({"observer_id": "me"}, "observer_id must be a whole number, not 'me'")],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_faulty_row_is_told_with_file_line_and_reason(stage, folder, name):
    tables = Tables()
    tables.see(21)
    sound = len(getattr(tables, name))
    base = {
        "observations": lambda n: tables.observations[0] | {"observation_uuid": uuid(n)},
        "photos": lambda n: photo(n, 1),
        "taxa": lambda n: taxon(n, "48460/1", 10, "species", "Xus yus"),
        "observers": lambda n: observer(n),
    }[name]
    faults = ROW_FAULTS[name]
    rows = [base(99) | cells for cells, _ in faults]
    tables.__dict__[name] += rows
    tables.write(folder)
    found = stage(folder)
    first = sound + 2  # below the header and the sound rows
    assert found.rejects == [
        (f"{name}.csv", first + number, reason) for number, (_, reason) in enumerate(faults)
    ]
    assert found.tables[f"{name}.csv"] == (sound + len(faults), sound, len(faults), 0)
    assert found.photographs_rejected == (len(faults) if name == "photos" else 0)
    assert len(found.photos) == 1


TEXT_COLUMNS = {
    "observations": "quality_grade", "photos": "license", "taxa": "name", "observers": "login",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "suffix"), [*((name, ".csv") for name in NAMES), ("photos", ".csv.gz")]
)
def test_lines_that_are_no_rows(stage, folder, name, suffix):
    tables = Tables()
    tables.see(21)
    sound = len(getattr(tables, name))
    tables.write(folder, suffix)
    header, first, *rest = tables.text(name).encode().splitlines()
    columns, cells = header.decode().split("\t"), first.split(b"\t")
    text = columns.index(TEXT_COLUMNS[name])

    def with_text(value):
        return b"\t".join([*cells[:text], value, *cells[text + 1 :]])

    lines = [
        header, first + b"\tx", first.rpartition(b"\t")[0], with_text(b"a\xff"),
        with_text(b"a\0"), *rest, first,
    ]  # fmt: skip
    write_bytes(folder / f"{name}{suffix}", b"\n".join(lines) + b"\n")
    found = stage(folder)
    assert [(path, line) for path, line, _ in found.rejects] == [
        (f"{name}{suffix}", line) for line in (2, 3, 4, 5)
    ]
    reasons = [reason for _, _, reason in found.rejects]
    assert reasons[:2] == [
        f"more cells than the header has columns ({len(columns)})",
        f"fewer cells than the header has columns ({len(columns)})",
    ]
    assert reasons[2:] == ["not UTF-8", "a NUL byte"]
    assert found.tables[name + suffix] == (sound + 4, sound, 4, 0)


def test_a_carriage_return_within_a_row(stage, tables, folder):
    tables.photos[0]["license"] = "CC\rBY"
    tables.photos[2]["photo_id"] = "three"
    tables.write(folder)
    found = stage(folder)
    assert found.tables["photos.csv"] == (4, 3, 1, 0)
    assert found.rejects == [("photos.csv", 4, "photo_id must be a whole number, not 'three'")]


def test_blank_lines_are_no_rows_and_shift_no_numbers(stage, tables, folder):
    tables.write(folder)
    lines = (folder / "observations.csv").read_text().splitlines()
    lines[2:2] = ["", "", lines[1].replace("0", "x", 1), "x", ""]
    (folder / "observations.csv").write_text("\n".join(lines) + "\n\n")
    found = stage(folder)
    assert [line for _, line, _ in found.rejects] == [5, 6]
    assert found.tables["observations.csv"] == (5, 3, 2, 0)


def test_ids_listed_twice(stage, tables, folder):
    tables.observations.append(tables.observations[0] | {"taxon_id": 41})
    tables.taxa.append(taxon(21, "48460", 10, "species", "Another"))
    tables.observers.append(observer(1, "somebody else"))
    tables.photos.append(photo(1, 2))
    tables.write(folder)
    found = stage(folder)
    assert found.rejects == [
        ("observations.csv", 5, f"the observation {uuid(1)} is listed before"),
        ("observers.csv", 3, "the observer 1 is listed before"),
        ("taxa.csv", 13, "the taxon 21 is listed before"),
    ]
    assert {p["attribution"] for p in found.photos} == {"ada"}
    assert [p["left_out"] for p in found.photos] == [None] * 4 + ["duplicate"]
    assert [p["taxon_id"] for p in found.photos][:2] == [21, 21]
    assert found.parents[21] == 20


def test_photographs_without_an_observation_taxon_or_tree(tmp_path, tables, folder):
    tables.photos.append(photo(9, of=77))
    tables.photos.append(photo(10, of=1, observation_uuid=""))
    tables.see(999)
    tables.see("")
    tables.write(folder)
    found = made(folder, tmp_path / "catalog")
    assert found.counts["left_out"] == {"no_observation": 2, "no_taxon": 1, "unknown_taxon": 1}
    assert found.eligibility[999]["reason"] == "not included: not in the taxa table"
    assert found.counts["used"] == 4


# Trees.


def test_a_taxon_hangs_below_its_nearest_ancestor_that_is_listed(stage, tables, folder, capsys):
    tables.taxa.append(taxon(60, "48460/1/30/555/556", 10, "species", "Xus yus"))
    tables.taxa.append(taxon(61, "555/556", 10, "species", "Xus zus"))
    tables.write(folder)
    found = stage(folder)
    assert (found.parents[60], found.parents[61], found.rejects) == (30, None, [])
    assert (
        "warning: taxa.csv lists 2 taxa without their parents, as Xus yus (60); "
        "they hang below the nearest ancestor that it lists" in capsys.readouterr().err
    )


def test_taxa_that_are_each_others_ancestors_are_told_and_what_is_below_them_stays(
    stage, tables, folder
):
    tables.taxa.append(taxon(60, "48460/62", 30, "family", "A"))
    tables.taxa.append(taxon(61, "48460/60", 20, "genus", "B"))
    tables.taxa.append(taxon(62, "48460/61", 10, "species", "C"))
    tables.taxa.append(taxon(63, "48460/1/61", 10, "species", "D"))
    tables.write(folder)
    found = stage(folder)
    assert found.rejects == [
        ("taxa.csv", 13 + i, f"taxon {60 + i} is among the ancestors of its own ancestors")
        for i in range(3)
    ]
    assert found.parents[63] == 1


def test_a_circle_over_parents_that_are_not_listed(stage, tables, folder):
    """Each hangs below the other, for the parents in between are missing."""
    tables.taxa.append(taxon(60, "61/555", 10, "species", "A"))
    tables.taxa.append(taxon(61, "60/556", 10, "species", "B"))
    tables.write(folder)
    found = stage(folder)
    assert [(line, reason) for _, line, reason in found.rejects] == [
        (13, "taxon 60 is among the ancestors of its own ancestors"),
        (14, "taxon 61 is among the ancestors of its own ancestors"),
    ]


@pytest.mark.slow
@given(st.lists(st.tuples(*[st.integers(0, 9)] * 4), min_size=1, max_size=9))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_ancestry_gives_a_tree(stage, tmp_path_factory, paths):
    """Every taxon is in the tree below its nearest listed ancestor, or is told to be circular."""
    tables = Tables(taxa=[])
    tables.see(1)
    for number, path in enumerate(paths, start=1):
        ancestry = "/".join(str(above) for above in path if above)
        tables.taxa.append(taxon(number, ancestry, 10, "species", f"T{number}"))
    found = stage(tables.write(tmp_path_factory.mktemp("any") / "tables"))
    told = {line - 1 for _, line, _ in found.rejects}
    assert set(found.parents) == set(range(1, len(paths) + 1)) - told
    for taxon_id, parent in found.parents.items():
        listed = [above for above in paths[taxon_id - 1] if above in found.parents]
        assert parent == (listed[-1] if listed else None)
        seen = set()
        while parent is not None:
            assert parent not in seen
            seen.add(parent)
            parent = found.parents[parent]


@pytest.mark.slow
def test_ten_thousand_taxa_with_one_photograph_each(tmp_path, folder):
    tables = Tables()
    for number in range(10_000):
        tables.taxa.append(
            taxon(1000 + number, "48460/1/30/20", 10, "species", f"Aglais x{number}")
        )
        tables.see(1000 + number)
    tables.write(folder)
    found = made(folder, tmp_path / "catalog", Rules(min_photos=100))
    assert (found.counts["used"], found.counts["left_out"]) == (0, {"too_few": 10_000})
    reasons = Counter(row["reason"] for row in found.eligibility.values())
    assert reasons == {"not included: 1 photograph of 100 needed, 99 missing": 10_000}
    rolled = made(folder, tmp_path / "catalog", Rules(min_photos=100, roll_up_to="family"))
    assert rolled.classes == [(0, 20, "Aglais")]
    assert rolled.counts["used"] == 10_000
    assert read_csv(tmp_path / "catalog" / "taxonomy.csv")[-1]["rank"] == "species"
