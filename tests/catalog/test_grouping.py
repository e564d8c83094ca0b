"""Splits that depend on more than the photograph's own observation."""

import contextlib
import itertools

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.catalog import grouping, opening
from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.grouping import (
    NEAR_DUPLICATE_COLUMNS,
    needs_grouping,
    read_earlier_splits,
    split_units,
    write_near_duplicates,
)
from taxonvision.catalog.rules import Rules
from taxonvision.catalog.selection import choose, judge_rows
from taxonvision.catalog.splits import position_of, split_by_hash, split_of_position
from taxonvision.catalog.staging import ListedPhoto, Staging
from taxonvision.errors import UserError
from taxonvision.tables import read_csv

IO, URTICAE = 21, 22


def split_of(text):
    return split_of_position(position_of(text))


def ids_in(split, number=4, start=1000):
    """Numbers, as text, whose own split is this one."""
    found = (str(n) for n in itertools.count(start) if split_of(str(n)) == split)
    return list(itertools.islice(found, number))


TRAIN, VAL, TEST = map(ids_in, SPLITS)


def one(observation_id, name="", **values):
    """A photograph of an observation."""
    values = {"taxon_id": IO, "observation_id": observation_id} | values
    return ListedPhoto(name or f"p{observation_id}", "x.jpg", **values)


def alone(name, **values):
    return ListedPhoto(name, name, **({"taxon_id": IO} | values))


def content(split, start=0):
    """A SHA-256 by which a photograph without an observation lies in this split."""
    digests = (f"{n:x}".rjust(64, "0")[::-1] for n in itertools.count(start))
    return next(digest for digest in digests if split_by_hash(digest) == split)


class Splits:
    """The splits of photographs, and the near-duplicates that are told of."""

    def __init__(self, by_photo, torn, told):
        self.by_photo, self.torn, self.told = by_photo, torn, told

    def __getitem__(self, photo_id):
        return self.by_photo[photo_id]


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def split(connection, tmp_path_factory):
    """Split photographs; `opened` tells SHA-256 and perceptual hash of those that were opened."""
    folder = tmp_path_factory.mktemp("split")

    def split(photos, split_by="observation", opened=None, earlier=(), near_duplicates=True):
        with _schema(connection):
            _fill(connection, photos, opened or {}, folder, earlier)
            split_units(connection, split_by, near_duplicates=near_duplicates)
            choose(connection, Rules(), lambda usable: {t: t for t in usable}, grouped=True)
            rows = connection.execute(
                "SELECT photo_id, u.split FROM unit_split u JOIN listed USING (row)"
            ).fetchall()
            assert len(dict(rows)) == len(rows) == len(photos)
            torn = write_near_duplicates(connection, folder / "near.csv")
            return Splits(dict(rows), torn, read_csv(folder / "near.csv", NEAR_DUPLICATE_COLUMNS))

    return split


@contextlib.contextmanager
def _schema(connection):
    connection.execute("CREATE SCHEMA one; USE one")
    try:
        yield
    finally:
        connection.execute("USE main; DROP SCHEMA one CASCADE")


def _fill(connection, photos, opened, folder, earlier):
    connection.execute(
        f"CREATE TABLE listed_taxa AS SELECT unnest([{IO}, {URTICAE}]) AS taxon_id,"
        " 10.0 AS rank_level, 'species' AS rank, true AS active"
    )
    Staging(connection, None, None).add_photos(photos)
    connection.execute(
        "CREATE VIEW listed_files AS SELECT row, photo_id, path, license FROM listed;"
        + opening.TABLES
        + grouping.TABLES
    )
    for photo_id, (sha256, perceptual_hash) in opened.items():
        connection.execute(
            "INSERT INTO opened SELECT row, ?, 8, 8, 1, ? FROM listed WHERE photo_id = ?",
            [sha256, perceptual_hash, photo_id],
        )
    if earlier:
        rows = ", ".join(str(tuple(row)).replace("None", "NULL") for row in earlier)
        connection.execute(
            f"COPY (FROM (VALUES {rows}) AS e (observation_id, sha256, split))"
            f" TO '{folder / 'photos.parquet'}' (FORMAT parquet)"
        )
        read_earlier_splits(connection, folder / "photos.parquet")
    judge_rows(connection, Rules(), {})


# When it is needed.


@pytest.mark.parametrize(
    ("photos", "options", "needed"),
    [
        ([one("1")], {}, False),
        ([one("1")], {"near_duplicates": True}, True),
        ([one("1"), one("2", observer="ada")], {"split_by": "observer"}, True),
        ([one("1", taxon_id=None)], {"split_by": "site"}, True),
        ([one("1"), one("2", split="val")], {}, True),
        ([one("1"), alone("a.jpg")], {}, True),
        ([one("1"), alone("a.jpg", taxon_id=None)], {}, False),
    ],
)
def test_when_a_split_depends_on_more_than_the_observation(
    connection, tmp_path, photos, options, needed
):
    with _schema(connection):
        _fill(connection, photos, {}, tmp_path, ())
        options = {"split_by": "observation", "near_duplicates": False} | options
        by = options.pop("split_by")
        assert needs_grouping(connection, by, **options) is needed


def test_with_an_earlier_catalog_it_does(connection, tmp_path):
    with _schema(connection):
        _fill(connection, [one("1")], {}, tmp_path, [("9", None, "val")])
        assert needs_grouping(connection, "observation", near_duplicates=False)


@pytest.mark.parametrize("split_by", ["observer", "site", "date"])
def test_what_is_known_of_no_photograph_splits_none(connection, tmp_path, split_by):
    with _schema(connection):
        known = {"observer": "ada", "site": "hill", "observed_on": "2020-01-01"}
        photos = [one("1"), one("2", taxon_id=None, **known)]
        _fill(connection, photos, {}, tmp_path, ())
        with pytest.raises(UserError, match=f"^--split_by={split_by}: the {split_by} is known of "):
            needs_grouping(connection, split_by, near_duplicates=True)


# By the hash of an id, or of the content.


def test_an_observation_is_never_torn_and_lies_where_its_id_says(split):
    ids = TRAIN + VAL + TEST
    found = split([one(i, f"{i}-{n}") for n in range(3) for i in ids])
    assert found.by_photo == {f"{i}-{n}": split_of(i) for n in range(3) for i in ids}


def test_a_photograph_without_an_observation_lies_where_its_content_says(split):
    opened = {f"{s}.jpg": (content(s), None) for s in SPLITS}
    found = split([alone(name) for name in opened], opened=opened)
    assert found.by_photo == {f"{s}.jpg": s for s in SPLITS}


def test_or_where_its_name_says_while_it_is_not_opened(split):
    names = [f"{n}.jpg" for n in range(20)]
    assert split([alone(name) for name in names]).by_photo == {n: split_of(n) for n in names}


# By observer, site or date.


@pytest.mark.parametrize(
    ("split_by", "column", "values"),
    [
        ("observer", "observer", ["ada", "flo", "cy", "jo"]),
        ("site", "site", ["hill", "lake", "moor", "dune"]),
        ("date", "observed_on", ["2020-01-01", "2020-01-02", "2021-01-01", "2021-07-01"]),
    ],
)
def test_what_is_of_one_observer_site_or_date_lies_where_its_key_says(
    split, split_by, column, values
):
    photos = [one(str(n), **{column: values[n % 4]}) for n in range(40)]
    found = split(photos, split_by)
    assert {split_of(value) for value in values} > {"train"}
    assert found.by_photo == {f"p{n}": split_of(values[n % 4]) for n in range(40)}


def test_observations_of_unknown_observers_are_split_each_by_itself(split):
    ids = TRAIN + VAL + TEST
    found = split([one(i) for i in ids], "observer")
    assert found.by_photo == {f"p{i}": split_of(i) for i in ids}


def test_a_group_stays_whoever_joins_or_leaves(split):
    ids = [str(n) for n in range(500, 530)]
    photos = [one(i, observer="jo") for i in ids]
    whole = split(photos, "observer")
    assert set(whole.by_photo.values()) == {split_of("jo")}
    for part in (photos[:3], photos[20:], photos[::-1]):
        assert set(split(part, "observer").by_photo.values()) == {split_of("jo")}


def test_an_observation_whose_photographs_name_two_sites_joins_the_first_by_name(split):
    photos = [one("1", "a", site="moor"), one("1", "b", site="hill"), one("2", "c", site="hill")]
    assert set(split(photos, "site").by_photo.values()) == {split_of("hill")}
    assert split(photos[::-1], "site").by_photo == split(photos, "site").by_photo


# Splits that are given.


def test_a_given_split_wins_and_may_tear_an_observation(split):
    i = TRAIN[0]
    found = split([one(i, "a", split="val"), one(i, "b", split="test"), one(i, "c")])
    assert (found["a"], found["b"]) == ("val", "test")
    assert found["c"] in ("val", "test")  # never where neither lies


def test_others_of_a_group_follow_the_given_split_of_its_oldest(split):
    photos = [
        one("3", observer="ada", split="val"), one("2", observer="ada", split="test"),
        one("1", observer="ada"), one(TRAIN[0]),
    ]  # fmt: skip
    found = split(photos, "observer")
    assert found.by_photo == {"p3": "val", "p2": "test", "p1": "test", f"p{TRAIN[0]}": "train"}


# Splits of an earlier catalog.


def other(split):
    return SPLITS[(SPLITS.index(split) + 1) % 3]


def test_an_observation_keeps_its_former_split_also_with_new_photographs(split):
    ids = TRAIN[:2] + VAL[:2] + TEST[:2]
    earlier = [(i, None, other(split_of(i))) for i in ids]
    photos = [one(i, f"{i}-{n}") for i in [*ids, TRAIN[3]] for n in range(2)]
    expected = {i: other(split_of(i)) for i in ids} | {TRAIN[3]: "train"}
    found = split(photos, earlier=earlier)
    assert found.by_photo == {p.photo_id: expected[p.observation_id] for p in photos}


def test_a_renamed_photograph_keeps_the_split_of_its_content(split):
    sha256 = content("train")
    found = split(
        [alone("new.jpg"), one(TRAIN[0])],
        opened={"new.jpg": (sha256, None), f"p{TRAIN[0]}": (content("val"), None)},
        earlier=[("old.jpg", sha256, "test"), ("gone", content("val"), "test")],
    )
    assert found.by_photo == {"new.jpg": "test", f"p{TRAIN[0]}": "test"}


def test_photographs_that_were_numbered_anew_keep_their_splits(split):
    """1.jpg is gone and 2.jpg is called so now: the content goes before the path."""
    first, second = content("train"), content("train", 10_000)
    found = split(
        [alone("1.jpg")],
        opened={"1.jpg": (second, None)},
        earlier=[("1.jpg", first, "train"), ("2.jpg", second, "test")],
    )
    assert found["1.jpg"] == "test"


def test_a_photograph_that_was_edited_in_its_place_keeps_its_split(split):
    found = split(
        [alone("1.jpg")],
        opened={"1.jpg": (content("train"), None)},
        earlier=[("1.jpg", content("train", 10_000), "val")],
    )
    assert found["1.jpg"] == "val"


def test_an_observation_that_was_torn_stays_torn(split):
    shas = {name: content("train", 10_000 * n) for n, name in enumerate("abc")}
    found = split(
        [one("7", "a"), one("7", "b"), one("7", "c")],
        opened={name: (sha, None) for name, sha in shas.items()},
        earlier=[("7", shas["a"], "train"), ("7", shas["b"], "val")],
    )
    assert (found["a"], found["b"]) == ("train", "val")
    assert found["c"] == "val"  # what was held out in part is not trained on


def test_an_observation_goes_before_a_copy_of_its_photograph_elsewhere(split):
    sha = content("train")
    found = split(
        [one("7", "a"), one("8", "b")],
        opened={"a": (sha, None), "b": (sha, None)},
        earlier=[("7", sha, "train"), ("8", sha, "test")],
        near_duplicates=False,
    )
    assert found.by_photo == {"a": "train", "b": "test"}


def test_a_label_goes_before_the_earlier_catalog(split):
    found = split([one("7", split="val")], earlier=[("7", None, "test")])
    assert found["p7"] == "val"


def test_words_that_are_no_split_give_none(split):
    found = split([one(TRAIN[0])], earlier=[(TRAIN[0], None, "holdout")])
    assert found[f"p{TRAIN[0]}"] == "train"


def test_a_damaged_earlier_catalog_is_one_sentence(connection, tmp_path):
    (tmp_path / "photos.parquet").write_bytes(b"PAR1 no more")
    with _schema(connection):
        connection.execute(grouping.TABLES)
        with pytest.raises(UserError, match=r"^--splits_from: .*photos\.parquet cannot be read \("):
            read_earlier_splits(connection, tmp_path / "photos.parquet")


# Near-duplicates.

HASH = 0xF0F0_1234_5678_9ABC


def near(bits):
    """A hash that differs in so many bits."""
    return HASH ^ (2**bits - 1)


def looks(**hashes):
    return {name: (content("train", n * 999), h) for n, (name, h) in enumerate(hashes.items())}


def test_photographs_that_look_alike_lie_where_the_first_observation_says(split):
    older, younger = TEST[0], ids_in("train", 1, start=int(TEST[0]))[0]
    found = split(
        [one(younger, "a", observed_on="1999-01-01"), one(older, "b", observed_on="2020-01-01")],
        opened=looks(a=HASH, b=near(3)),
    )
    assert found.by_photo == {"a": "test", "b": "test"}
    assert (found.torn, found.told) == (0, [])


@pytest.mark.parametrize("form", ["{}", "https://www.inaturalist.org/observations/{}"])
def test_ids_that_count_tell_the_first_else_dates_do(split, form):
    """9 came before 10, whatever the order of their letters; a late upload does not lead."""
    ids = [form.format(9), form.format(10)]
    found = split(
        [one(ids[0], "a", observed_on="2020-01-01"), one(ids[1], "b", observed_on="1980-01-01")],
        opened=looks(a=HASH, b=HASH),
    )
    assert set(found.by_photo.values()) == {split_of(ids[0])}


def test_without_numbers_the_oldest_date_tells_the_first(split):
    dates = {"x-b": "2020-01-02", "x-c": "2020-01-01", "x-a": None}
    found = split(
        [one(i, i, observed_on=day) for i, day in dates.items()],
        opened=looks(**dict.fromkeys(dates, HASH)),
    )
    assert set(found.by_photo.values()) == {split_of("x-c")}


def test_likeness_is_handed_on_and_ends(split):
    found = split(
        [one(TEST[0], "a"), one(TRAIN[1], "b"), one(TRAIN[2], "c"), one(TRAIN[3], "d")],
        opened=looks(a=HASH, b=near(4), c=near(8), d=near(20)),
    )
    first = min((TEST[0], TRAIN[1], TRAIN[2]), key=int)
    assert {found[n] for n in "abc"} == {split_of(first)}
    assert found["d"] == "train"


def test_without_looking_for_them_each_lies_by_itself(split):
    found = split(
        [one(TEST[0], "a"), one(TRAIN[1], "b")],
        opened=looks(a=HASH, b=HASH), near_duplicates=False,
    )  # fmt: skip
    assert found.by_photo == {"a": "test", "b": "train"}


def test_alike_across_given_splits_is_told_and_not_moved(split):
    found = split(
        [
            one("1", "a", split="train"),
            one("2", "b", split="test", taxon_id=URTICAE),
            one("3", "c"),
        ],
        opened=looks(a=HASH, b=near(2), c=near(1)),
    )
    assert found.by_photo == {"a": "train", "b": "test", "c": "test"}
    assert found.torn == 2
    assert [tuple(row.values()) for row in found.told] == [
        ("a", "train", "21", "b", "test", "22", "2"),
        ("a", "train", "21", "c", "test", "21", "1"),
        ("b", "test", "22", "c", "test", "21", "1"),
    ]


def test_alike_across_an_earlier_catalogs_splits_too(split):
    found = split(
        [one("1", "a"), one("2", "b")],
        opened=looks(a=HASH, b=HASH),
        earlier=[("1", None, "train"), ("2", None, "val")],
    )
    assert (found.by_photo, found.torn) == ({"a": "train", "b": "val"}, 1)


def test_one_picture_of_two_taxa_is_told_though_it_lies_in_one_split(split):
    found = split(
        [one("1", "a"), one("2", "b", taxon_id=URTICAE), one("3", "c")],
        opened=looks(a=HASH, b=HASH, c=near(30)),
    )
    assert found["a"] == found["b"]
    assert found.torn == 0
    assert [(row["photo_id"], row["near_photo_id"]) for row in found.told] == [("a", "b")]


def test_a_picture_used_by_two_observers_joins_all_that_they_have(split):
    photos = [one(f"{n}", observer="ada") for n in range(1, 9)]
    photos += [one(f"{n}", observer="bo") for n in range(9, 17)]
    found = split(photos, "observer", opened=looks(p3=HASH, p12=HASH))
    assert set(found.by_photo.values()) == {split_of("ada")}  # who was there first


# Whatever comes.

drawn = st.lists(
    st.tuples(
        st.integers(1, 12),  # observation
        st.sampled_from([None, None, "train", "val", "test"]),
        st.sampled_from([None, "ada", "bo"]),
        st.sampled_from([None, HASH, near(2), near(30), near(33)]),
    ),
    min_size=1,
    max_size=25,
)


@given(drawn, st.sampled_from(["observation", "observer"]), st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_all_are_split_in_whatever_order_they_come(split, rows, split_by, random):
    photos = [
        one(str(i), f"p{n}", split=given_split, observer=observer)
        for n, (i, given_split, observer, _) in enumerate(rows)
    ]
    opened = {f"p{n}": (content("train", n), h) for n, (*_, h) in enumerate(rows)}
    found = split(photos, split_by, opened)
    for photo in photos:
        assert found[photo.photo_id] == (photo.split or found[photo.photo_id])
    if not any(photo.split for photo in photos):
        assert found.torn == 0
        by_observation = {}
        for photo in photos:
            by_observation.setdefault(photo.observation_id, set()).add(found[photo.photo_id])
        assert all(len(splits) == 1 for splits in by_observation.values())
    random.shuffle(photos)
    assert split(photos, split_by, opened).by_photo == found.by_photo


@given(st.sets(st.integers(1, 400), max_size=30), st.sets(st.integers(1, 400), max_size=30))
@settings(max_examples=10)
def test_an_observation_keeps_its_split_when_a_catalog_grows(split, before, added):
    photos = [one(str(i)) for i in sorted(before | added)]
    hashes = np.random.default_rng(0).integers(0, 2**63, 401, np.uint64)
    opened = {p.photo_id: ("0" * 64, int(hashes[int(p.observation_id)])) for p in photos}
    grown = split(photos, opened=opened).by_photo if photos else {}
    few = [p for p in photos if int(p.observation_id) in before]
    small = split(few, opened={p.photo_id: opened[p.photo_id] for p in few}).by_photo if few else {}
    assert small.items() <= grown.items()
