"""The rules in SQL, one by one and all together, beside the same rules in plain Python."""

import contextlib
import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.catalog import grouping, opening
from taxonvision.catalog.eligibility import decide
from taxonvision.catalog.rules import RULES, Rules, license_name
from taxonvision.catalog.selection import choose, judge_rows
from taxonvision.catalog.splits import position_of, split_of_position
from taxonvision.catalog.staging import ListedPhoto, Staging
from taxonvision.taxonomy.tree import Taxon, Taxonomy

LIFE, FAMILY, GENUS, OTHER_GENUS = 1, 30, 20, 40
IO, URTICAE, GEISHA, HYBRID, GONE, ATALANTA = 21, 22, 23, 24, 25, 41
TREE = Taxonomy(
    [
        Taxon(LIFE, None, "kingdom", "Animalia", 70),
        Taxon(FAMILY, LIFE, "family", "Nymphalidae", 30),
        Taxon(GENUS, FAMILY, "genus", "Aglais", 20),
        Taxon(OTHER_GENUS, FAMILY, "genus", "Vanessa", 20),
        Taxon(IO, GENUS, "species", "Aglais io", 10),
        Taxon(URTICAE, GENUS, "species", "Aglais urticae", 10),
        Taxon(GEISHA, IO, "subspecies", "Aglais io geisha", 5),
        Taxon(HYBRID, GENUS, "hybrid", "Aglais io × urticae", 10),
        Taxon(GONE, GENUS, "species", "Aglais antiqua", 10),
        Taxon(ATALANTA, OTHER_GENUS, "species", "Vanessa atalanta", 10),
    ]
)
INACTIVE = {GONE}
TAXA = [taxon.taxon_id for taxon in TREE]


def observations(split, number):
    """Ids of so many observations that lie in a split."""
    ids = (str(n) for n in itertools.count(1000))
    in_split = (i for i in ids if split_of_position(position_of(i)) == split)
    return list(itertools.islice(in_split, number))


TRAIN, VAL, TEST = (observations(split, 8) for split in ("train", "val", "test"))


@dataclass(frozen=True)
class Outcome:
    """What became of photographs, by their id: the fate, and class and split of those used."""

    fates: dict
    classes: dict
    splits: dict

    @property
    def used(self):
        return sorted(self.classes)


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(scope="module")
def select(connection):
    """Select among photographs by rules; those with an id in `broken` have a faulty file."""

    def select(photos, rules, kept=(), broken=(), today=None):
        with _schema(connection):
            connection.execute(
                "CREATE TABLE listed_taxa AS SELECT unnest(?) AS taxon_id, unnest(?) AS rank_level,"
                " unnest(?) AS rank, unnest(?) AS active",
                [
                    TAXA, [t.rank_level for t in TREE], [t.rank for t in TREE],
                    [t not in INACTIVE for t in TAXA],
                ],
            )  # fmt: skip
            Staging(connection, None, None).add_photos(photos)
            connection.execute(
                "CREATE VIEW listed_files AS SELECT row, photo_id, path, license FROM listed;"
                + opening.TABLES
                + grouping.TABLES
            )
            for photo_id in broken:
                connection.execute(
                    "INSERT INTO faulty_file SELECT row, 'broken' FROM listed WHERE photo_id = ?",
                    [photo_id],
                )
            judge_rows(connection, rules, today or {})

            def classes_of(usable):
                decisions = decide(usable, TREE, rules, kept)
                return {
                    taxon_id: decision.class_taxon_id
                    for taxon_id, decision in decisions.items()
                    if decision.class_taxon_id is not None
                }

            choose(connection, rules, classes_of, grouped=False)
            return _outcome(connection)

    return select


@contextlib.contextmanager
def _schema(connection):
    """A schema of its own: a new database takes ten times as long."""
    connection.execute("CREATE SCHEMA one; USE one")
    try:
        yield
    finally:
        connection.execute("USE main; DROP SCHEMA one CASCADE")


def _outcome(connection):
    def by_photo(columns, relation):
        query = f"SELECT l.photo_id, {columns} FROM {relation} JOIN listed l ON l.row = r.row"
        return dict(connection.execute(query).fetchall())

    fates = dict.fromkeys(by_photo("0", "listed r"), "too_few")
    fates |= by_photo("r.fate::VARCHAR", "(FROM candidate WHERE fate IS NOT NULL) r")
    fates |= by_photo("'faulty'", "faulty_file r")
    capped = by_photo("r.fate::VARCHAR", "capped r")
    chosen = by_photo("r.class_taxon_id", "chosen r")
    for part in (capped, chosen):
        assert {fates[photo_id] for photo_id in part} <= {"too_few"}
    assert not set(capped) & set(chosen)
    fates |= capped | dict.fromkeys(chosen, "used")
    return Outcome(fates, chosen, by_photo("r.split::VARCHAR", "chosen r"))


def photos_of(taxon_id, observation_ids, each=1, **values):
    """So many photographs of each of these observations."""
    return [
        ListedPhoto(
            f"{taxon_id}-{observation_id}-{position}", "x.jpg", taxon_id, position=position,
            observation_id=observation_id, **values,
        )
        for observation_id in observation_ids
        for position in range(each)
    ]  # fmt: skip


# Rules that look at one photograph alone.


@pytest.mark.parametrize(
    ("changed", "rules", "fate"),
    [
        ({}, RULES["inat"], "used"),
        ({"fault": "torn"}, Rules(), "faulty"),
        ({"left_out": "duplicate"}, Rules(), "duplicate"),
        ({"fault": "torn", "left_out": "duplicate"}, Rules(), "faulty"),
        ({"path": None}, Rules(), "no_photograph"),
        ({"taxon_id": None}, Rules(), "no_taxon"),
        ({"taxon_id": 99}, Rules(), "unknown_taxon"),
        ({"quality": "needs_id"}, Rules(), "used"),
        ({"quality": "needs_id"}, Rules(quality=("research",)), "quality"),
        ({"quality": "needs_id"}, Rules(quality=("research", "needs_id")), "used"),
        ({"quality": None}, Rules(quality=("research",)), "used"),
        ({"license": None}, Rules(), "used"),
        ({"license": None}, Rules(licenses=("CC0",)), "license"),
        ({"license": "CC-BY-NC"}, Rules(licenses=("CC0", "CC-BY")), "license"),
        ({"license": "CC-BY"}, Rules(licenses=("CC-BY-NC",)), "license"),
        ({"license": "https://creativecommons.org/licenses/by/4.0/"}, Rules(licenses=("CC-BY",)),
         "used"),
        ({"license": "cc_by"}, Rules(licenses=("cc by",)), "used"),
        ({"license": "it's mine"}, Rules(licenses=("it's mine",)), "used"),
        ({"taxon_id": GONE}, Rules(), "used"),
        ({"taxon_id": GONE}, Rules(active_only=True), "inactive"),
        ({"taxon_id": HYBRID}, Rules(), "used"),
        ({"taxon_id": HYBRID}, Rules(hybrids=False), "hybrid"),
        ({"taxon_id": GENUS}, Rules(coarsest_rank="genus"), "used"),
        ({"taxon_id": GENUS}, Rules(coarsest_rank="species"), "coarse"),
        ({"taxon_id": GEISHA}, Rules(coarsest_rank="species"), "used"),
        ({"taxon_id": GONE, "quality": "casual"}, Rules(active_only=True, quality=("research",)),
         "quality"),
    ],
)  # fmt: skip
def test_the_first_reason_that_applies(select, changed, rules, fate):
    rules = replace(rules, min_photos=1)
    (photo,) = photos_of(IO, TRAIN[:1], quality="research", license="CC-BY")
    photo = replace(photo, **changed)
    assert select([photo], rules).fates == {photo.photo_id: fate}


def test_no_licence_that_is_there_is_allowed(select):
    found = select(photos_of(IO, TRAIN[:2], license="CC-BY"), Rules(licenses=("CC0",)))
    assert set(found.fates.values()) == {"license"}


def test_taxa_of_the_past_count_as_those_of_today(select):
    photos = photos_of(501, TRAIN[:2]) + photos_of(502, TRAIN[:3]) + photos_of(503, VAL[:1])
    found = select(photos, Rules(active_only=True), today={501: IO, 502: GONE, 503: None})
    fates = Counter((photo_id[:3], fate) for photo_id, fate in found.fates.items())
    assert fates == {("501", "used"): 2, ("502", "inactive"): 3, ("503", "split_taxon"): 1}
    assert set(found.classes.values()) == {IO}


def test_no_photographs(select):
    assert select([], RULES["inat"]) == Outcome({}, {}, {})


# Rules that look at many.


@pytest.mark.parametrize(("photographs", "fate"), [(2, "too_few"), (3, "used")])
def test_the_minimum_is_enough(select, photographs, fate):
    found = select(photos_of(IO, TRAIN[:photographs]), Rules(min_photos=3))
    assert set(found.fates.values()) == {fate}


def test_faulty_files_do_not_count(select):
    photos = photos_of(IO, TRAIN[:3])
    found = select(photos, Rules(min_photos=3), broken=[photos[0].photo_id])
    assert sorted(found.fates.values()) == ["faulty", "too_few", "too_few"]


def test_five_of_an_observation_in_train_and_one_held_out(select):
    rules = Rules(per_observation=5, per_observation_held_out=1)
    found = select(photos_of(IO, [TRAIN[0], VAL[0], TEST[0]], each=7), rules)
    assert found.used == sorted(
        [f"{IO}-{TRAIN[0]}-{n}" for n in range(5)] + [f"{IO}-{VAL[0]}-0", f"{IO}-{TEST[0]}-0"]
    )
    assert Counter(found.splits.values()) == {"train": 5, "val": 1, "test": 1}
    assert Counter(found.fates.values()) == {"used": 7, "per_observation": 14}


def test_only_held_out_observations_may_be_limited(select):
    found = select(photos_of(IO, [TRAIN[0], VAL[0]], each=7), Rules(per_observation_held_out=2))
    assert Counter(found.splits.values()) == {"train": 7, "val": 2}


def test_the_first_photographs_of_an_observation_are_those_of_the_lowest_position(select):
    photos = photos_of(IO, TRAIN[:1], each=4)
    photos[3] = replace(photos[3], position=None)  # not told: the last
    found = select(photos[::-1], Rules(per_observation=3))
    assert found.used == [photo.photo_id for photo in photos[:3]]


def test_what_an_observation_has_too_many_of_does_not_count_towards_the_minimum(select):
    rules = Rules(min_photos=6, per_observation=5)
    found = select(photos_of(IO, TRAIN[:1], each=9), rules)
    assert Counter(found.fates.values()) == {"too_few": 5, "per_observation": 4}


def test_the_photographs_of_a_class_are_of_as_many_observations_as_possible(select):
    """Eight observations with three each: with a maximum of ten, all have one and two have two."""
    found = select(photos_of(IO, TRAIN, each=3), Rules(max_photos=10))
    assert Counter(found.fates.values()) == {"used": 10, "per_class": 14}
    of_observations = Counter(photo_id.split("-")[1] for photo_id in found.used)
    assert sorted(of_observations.values()) == [1] * 6 + [2] * 2
    assert all(f"{IO}-{observation}-0" in found.classes for observation in TRAIN)


def test_which_photographs_a_full_class_has_does_not_depend_on_their_order(select):
    photos = photos_of(IO, TRAIN, each=3)
    first = select(photos, Rules(max_photos=10))
    assert select(photos[::-1], Rules(max_photos=10)).used == first.used


def test_a_full_class_keeps_most_of_its_photographs_when_others_come(select):
    photos = photos_of(IO, TRAIN + VAL)
    before = set(select(photos[:12], Rules(max_photos=6)).used)
    after = set(select(photos, Rules(max_photos=6)).used)
    assert before & {p.photo_id for p in photos[:12]} >= after & {p.photo_id for p in photos[:12]}


# Roll-up.


def test_too_few_of_a_species_train_its_genus(select):
    photos = photos_of(IO, TRAIN[:2]) + photos_of(URTICAE, TRAIN[:1]) + photos_of(GEISHA, VAL[:1])
    rules = Rules(min_photos=4, roll_up_to="genus")
    found = select(photos, rules)
    assert set(found.classes.values()) == {GENUS}
    assert len(found.used) == 4
    assert set(select(photos, replace(rules, roll_up_to=None)).fates.values()) == {"too_few"}


def test_a_genus_is_a_class_beside_its_species(select):
    photos = photos_of(IO, TRAIN[:5]) + photos_of(URTICAE, TRAIN[:3]) + photos_of(GENUS, VAL[:2])
    found = select(photos, Rules(min_photos=5, roll_up_to="family"))
    assert Counter(found.classes.values()) == {IO: 5, GENUS: 5}
    assert {photo_id[:2] for photo_id, c in found.classes.items() if c == GENUS} == {"22", "20"}


def test_the_limit_of_a_class_holds_for_what_rolled_up_into_it(select):
    photos = photos_of(IO, TRAIN[:3], each=2) + photos_of(URTICAE, TRAIN[:3], each=2)
    found = select(photos, Rules(min_photos=8, max_photos=8, roll_up_to="genus"))
    assert set(found.classes.values()) == {GENUS}
    assert Counter(found.fates.values()) == {"used": 8, "per_class": 4}
    # The same observation of two species: its first photographs go before its later ones.
    turns = Counter(photo_id.split("-")[1] for photo_id in found.used)
    assert sorted(turns.values()) == [2, 3, 3]


def test_a_class_of_before_keeps_its_few_photographs(select):
    photos = photos_of(IO, TRAIN[:2]) + photos_of(URTICAE, TRAIN[:2])
    rules = Rules(min_photos=3, roll_up_to="genus")
    assert set(select(photos, rules).classes.values()) == {GENUS}
    kept = select(photos, rules, kept={IO})
    assert set(kept.classes.values()) == {IO}
    assert {p for p, fate in kept.fates.items() if fate == "too_few"} == {
        f"{URTICAE}-{TRAIN[0]}-0", f"{URTICAE}-{TRAIN[1]}-0",
    }  # fmt: skip


# All of it beside plain Python.


def oracle(photos, rules, kept, broken):
    """The same rules, written as they are told."""
    fates = {photo.photo_id: fate_of_row(photo, rules) for photo in photos}
    fates |= dict.fromkeys(broken & {p for p, fate in fates.items() if fate is None}, "faulty")
    live = [photo for photo in photos if fates[photo.photo_id] is None]
    split = {p.photo_id: split_of_position(position_of(p.observation_id)) for p in photos}

    by_observation = defaultdict(list)
    for photo in live:
        by_observation[photo.observation_id, photo.taxon_id].append(photo)
    for of_one in by_observation.values():
        train = split[of_one[0].photo_id] == "train"
        limit = rules.per_observation if train else rules.per_observation_held_out
        for photo in in_order(of_one)[limit or len(of_one) :]:
            fates[photo.photo_id] = "per_observation"
    live = [photo for photo in live if fates[photo.photo_id] is None]

    class_of = oracle_classes(Counter(photo.taxon_id for photo in live), rules, kept)
    classes = {}
    for photo in live:
        if class_of[photo.taxon_id] is None:
            fates[photo.photo_id] = "too_few"
        else:
            fates[photo.photo_id] = "used"
            classes[photo.photo_id] = class_of[photo.taxon_id]

    turns = {}
    by_observation = defaultdict(list)
    for photo in live:
        by_observation[photo.observation_id, class_of[photo.taxon_id]].append(photo)
    for of_one in by_observation.values():
        turns |= {photo.photo_id: turn for turn, photo in enumerate(in_order(of_one))}
    for class_taxon_id in set(classes.values()):
        of_class = [p for p in live if classes.get(p.photo_id) == class_taxon_id]
        of_class.sort(key=lambda p: (turns[p.photo_id], drawn(p.photo_id)))
        for photo in of_class[rules.max_photos or len(of_class) :]:
            fates[photo.photo_id] = "per_class"
            del classes[photo.photo_id]
    return Outcome(fates, classes, {photo_id: split[photo_id] for photo_id in classes})


def fate_of_row(photo, rules):
    reasons = [
        ("faulty", photo.fault),
        (photo.left_out, photo.left_out),
        ("no_photograph", photo.path is None),
        ("no_taxon", photo.taxon_id is None),
        ("unknown_taxon", photo.taxon_id not in TREE),
        ("quality", rules.quality and photo.quality and photo.quality not in rules.quality),
        ("license", rules.licenses and license_name(photo.license or "") not in rules.licenses),
        ("inactive", rules.active_only and photo.taxon_id in INACTIVE),
        ("hybrid", not rules.hybrids and photo.taxon_id == HYBRID),
        ("coarse", rules.coarsest_rank and photo.taxon_id in (LIFE, FAMILY, GENUS, OTHER_GENUS)),
    ]
    return next((reason for reason, applies in reasons if applies), None)


def in_order(photos):
    """By position, the unknown last, then as listed."""
    return sorted(photos, key=lambda p: (p.position is None, p.position or 0))


def drawn(photo_id):
    import hashlib

    return int.from_bytes(hashlib.md5(photo_id.encode()).digest()[:8], "little")


def oracle_classes(counts, rules, kept):
    """Go up from each taxon to the first that is a class, with photographs from below."""
    limit = {None: -1, "genus": 20, "family": 30}[rules.roll_up_to]
    counts = Counter({taxon_id: counts.get(taxon_id, 0) for taxon_id in TREE_UPWARDS})
    up = {}
    for taxon_id in TREE_UPWARDS:
        parent = TREE[taxon_id].parent_taxon_id
        needed = 1 if taxon_id in kept else rules.min_photos
        if counts[taxon_id] >= needed:
            up[taxon_id] = taxon_id
        elif parent is None or TREE[parent].rank_level > limit:
            up[taxon_id] = None
        else:
            up[taxon_id] = parent
            counts[parent] += counts[taxon_id]

    def climb(taxon_id):
        above = up[taxon_id]
        return above if above in (None, taxon_id) else climb(above)

    return {taxon_id: climb(taxon_id) for taxon_id in TREE_UPWARDS}


TREE_UPWARDS = [GEISHA, IO, URTICAE, HYBRID, GONE, ATALANTA, GENUS, OTHER_GENUS, FAMILY, LIFE]

rules_drawn = st.builds(
    Rules,
    min_photos=st.integers(1, 6),
    max_photos=st.one_of(st.none(), st.integers(6, 9)),
    quality=st.sampled_from([(), ("research",), ("research", "needs_id")]),
    licenses=st.sampled_from([(), ("CC0",), ("CC0", "CC-BY")]),
    active_only=st.booleans(),
    hybrids=st.booleans(),
    coarsest_rank=st.sampled_from([None, "species"]),
    roll_up_to=st.sampled_from([None, "genus", "family"]),
    per_observation=st.sampled_from([None, 1, 2, 3]),
    per_observation_held_out=st.sampled_from([None, 1, 2]),
)
listed = st.lists(
    st.tuples(
        st.sampled_from(TRAIN[:3] + VAL[:2] + TEST[:2]),
        st.sampled_from([IO, IO, IO, *TAXA, None, 99]),
        st.sampled_from(["research", "research", "needs_id", "casual", None]),
        st.sampled_from(["CC0", "CC-BY", "cc-by", "http://creativecommons.org/licenses/by-nc/4.0/",
                         None]),
        st.sampled_from([0, 1, 2, None]),
        st.sampled_from([None] * 12 + ["fault", "duplicate", "no path", "broken"]),
    ),
    max_size=40,
)  # fmt: skip


@given(listed, rules_drawn, st.sets(st.sampled_from(TAXA), max_size=3))
@settings(max_examples=60)
def test_all_rules_are_those_of_plain_python(select, rows, rules, kept):
    photos, broken = [], set()
    for number, (observation_id, taxon_id, quality, license, position, wrong) in enumerate(rows):
        photos.append(
            ListedPhoto(
                str(number), None if wrong == "no path" else "x.jpg", taxon_id, license=license,
                fault="torn" if wrong == "fault" else None, observation_id=observation_id,
                position=position, quality=quality,
                left_out="duplicate" if wrong == "duplicate" else None,
            )
        )  # fmt: skip
        if wrong == "broken":
            broken.add(str(number))
    expected = oracle(photos, rules, kept, broken)
    assert select(photos, rules, kept, expected_broken(expected, broken)) == expected


def expected_broken(expected, broken):
    """Only photographs that no rule left out before are ever opened."""
    return {photo_id for photo_id in broken if expected.fates[photo_id] == "faulty"}
