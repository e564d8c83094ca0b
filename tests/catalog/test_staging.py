"""What sources hand over to an ingest."""

import datetime
import threading
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taxonvision.catalog import staging as staging_module
from taxonvision.catalog.splits import position_of
from taxonvision.catalog.staging import LISTED, ListedPhoto, Reject, staging_in
from taxonvision.errors import UserError
from taxonvision.taxonomy.tree import Taxon, Taxonomy


@pytest.fixture
def staging(tmp_path):
    with staging_in(tmp_path / "work") as staging:
        yield staging


def listed(staging, columns="*"):
    return staging.connection.execute(f"SELECT {columns} FROM listed ORDER BY row").fetchall()


def test_the_work_database_lies_in_a_new_folder_and_spills_there(tmp_path):
    folder = tmp_path / "deep" / "work"
    with staging_in(folder) as staging:
        assert staging.folder.is_dir()
        assert staging.folder.parent == folder
        assert not staging.photographs.exists()
        (spilled,) = staging.connection.execute(
            "SELECT current_setting('temp_directory')"
        ).fetchone()
        assert spilled == str(folder / "spilled")
    with staging_in(tmp_path / "other", tmp_path / "photos") as staging:
        assert staging.photographs == tmp_path / "photos"
    with pytest.raises(FileExistsError), staging_in(folder):
        pass


FULL = ListedPhoto(
    "p1", "a/b.jpg", 7, split="val", license="CC0", attribution="Ada", fault="torn",
    url="https://example.org/b.jpg", observation_id="o1", position=3, quality="research",
    observer="ada", site="hill", latitude=-48.25, longitude=16.5, observed_on="2020-02-29",
    width=640, height=480, left_out="duplicate",
)  # fmt: skip


def test_every_column_of_a_photograph_arrives_with_its_type(staging):
    assert {field.name for field in fields(ListedPhoto)} <= set(LISTED)
    staging.add_photos([FULL, ListedPhoto("p2", None, None)])
    described = staging.connection.execute("DESCRIBE listed").fetchall()
    assert {row[0]: row[1] for row in described} == LISTED
    full, bare = (dict(zip(LISTED, row, strict=True)) for row in listed(staging))
    for field in fields(ListedPhoto):
        if field.name not in ("observed_on", "observation_id"):
            assert full[field.name] == getattr(FULL, field.name)
            assert bare[field.name] == (None if field.name != "photo_id" else "p2")
    assert full["observed_on"] == datetime.date(2020, 2, 29)
    assert (full["row"], full["observation_id"]) == (0, "o1")
    assert full["split_position"] == full["observation_key"] == position_of("o1")
    # Without an observation it is its own, and its split will follow from its content.
    assert (bare["row"], bare["observation_id"], bare["split_position"]) == (1, "p2", None)
    assert bare["observation_key"] == position_of("p2")


@given(st.lists(st.tuples(st.text(), st.one_of(st.none(), st.integers(1, 2**63 - 1))), max_size=9))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_and_id_arrive_as_they_are(staging, rows):
    staging.connection.execute("DROP TABLE IF EXISTS listed")
    photos = [ListedPhoto(text, text, taxon_id) for text, taxon_id in rows if "\0" not in text]
    staging.add_photos(photos)
    assert listed(staging, "photo_id, path, taxon_id") == [
        (photo.photo_id, photo.path, photo.taxon_id) for photo in photos
    ]


def test_photographs_come_in_chunks_whose_columns_may_be_empty(staging, monkeypatch):
    monkeypatch.setattr(staging_module, "_CHUNK", 3)
    photos = [
        ListedPhoto(str(n), "x", 1, observed_on=None if n < 3 else "2020-01-01", latitude=n or None)
        for n in range(8)
    ]
    staging.add_photos(iter(photos))
    expected = [(n, str(n), None if n < 3 else datetime.date(2020, 1, 1)) for n in range(8)]
    assert listed(staging, "row, photo_id, observed_on") == expected


def test_no_photographs_are_an_empty_table(staging):
    staging.add_photos([])
    assert listed(staging) == []


def test_trees_names_rejects_and_tables(staging):
    taxa = [Taxon(1, None, "genus", "Aglais", 20), Taxon(2, 1, "species", "Aglais io", 10)]
    staging.add_taxonomy(Taxonomy(taxa))
    staging.add_names({"de": {2: "Tagpfauenauge"}, "en": {2: "peacock"}})
    staging.add_rejects([Reject("a.csv", "torn", 7), Reject("b", "x", is_photograph=False)])
    staging.add_table_read("a.csv", 9, used=5, faulty=3, duplicates=1)
    staging.add_names({})
    staging.add_rejects([])

    def rows(table):
        return staging.connection.execute(f"FROM {table} ORDER BY ALL").fetchall()

    assert rows("listed_taxa") == [
        (1, None, 20.0, "genus", "Aglais", True), (2, 1, 10.0, "species", "Aglais io", True),
    ]  # fmt: skip
    assert rows("listed_names") == [(2, "de", "Tagpfauenauge"), (2, "en", "peacock")]
    assert rows("rejects") == [("a.csv", 7, "torn", True), ("b", None, "x", False)]
    assert rows("tables_read") == [("a.csv", 9, 5, 3, 1)]


# Two at once.


def test_tasks_at_once_see_one_database(staging):
    both = threading.Barrier(2, timeout=20)

    def task(number):
        def run(own):
            both.wait()  # they do run at once
            own.connection.execute(f"CREATE TABLE t{number} AS SELECT {number} AS n")
            own.add_rejects([Reject(f"{number}", "why")])
            assert own.folder == staging.folder

        return run

    staging.at_once(task(1), task(2))
    execute = staging.connection.execute
    assert execute("FROM t1 UNION FROM t2 ORDER BY ALL").fetchall() == [(1,), (2,)]
    assert execute("SELECT path FROM rejects ORDER BY ALL").fetchall() == [("1",), ("2",)]


def test_when_one_fails_the_others_stop_and_its_exception_is_raised(staging):
    began, ended = threading.Event(), []

    def endless(own):
        began.set()
        try:
            own.connection.execute(
                "SELECT sum(a.i + b.i) FROM range(10000000) a(i), range(10000000) b(i)"
            )
        finally:
            ended.append(True)

    def failing(own):
        began.wait(20)
        raise UserError("no such table")

    with pytest.raises(UserError, match="no such table"):
        staging.at_once(endless, failing)
    assert ended == [True]
    assert staging.connection.execute("SELECT 1").fetchall() == [(1,)]


def test_ids_beyond_a_double_stay_exact(staging):
    ids = [2**53 + 1, 2**63 - 1, None]
    staging.add_photos([ListedPhoto(str(n), "x", taxon_id) for n, taxon_id in enumerate(ids)])
    assert [row[0] for row in listed(staging, "taxon_id")] == ids
    assert np.uint64(position_of("0")) == listed(staging, "observation_key")[0][0]
