import hashlib
from collections import Counter
from dataclasses import dataclass, replace

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.splits import (
    Units,
    assign,
    group_units,
    position_of,
    position_sql,
    split_by_hash,
    split_named,
    split_of_position,
    split_sql,
)

TRAIN, VAL, TEST = range(3)
positions = st.integers(0, 2**64 - 1)
# The last position of one split and the first of the next.
BOUNDS = [2**64 * 8 // 10, 2**64 * 8 // 10 + 1, 2**64 * 9 // 10, 2**64 * 9 // 10 + 1]


@pytest.fixture(scope="module")
def in_sql():
    """Run a query with parameters and return the one row."""
    with duckdb.connect() as connection:
        yield lambda query, *values: connection.execute(query, values).fetchone()


# Words, positions, shares.


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("Training", "train"),
        (" valid ", "val"),
        ("dev", "val"),
        ("TEST", "test"),
        ("Papilio", None),
    ],
)
def test_words_for_splits(word, split):
    assert split_named(word) == split


@given(st.text())
def test_positions_are_the_same_in_python_and_sql(in_sql, text):
    query = f"SELECT p, typeof(p) FROM (SELECT {position_sql('t')} AS p FROM (SELECT ? AS t))"
    assert in_sql(query, text) == (position_of(text), "UBIGINT")


def test_positions_never_change():
    assert position_of("") == 9098107892288553193
    assert position_of("12345") == 8885312418257908812
    assert position_of("Ä") == int.from_bytes(hashlib.md5("Ä".encode()).digest()[8:], "little")


@given(st.one_of(positions, st.sampled_from([0, *BOUNDS, 2**64 - 1])))
def test_splits_are_the_same_in_python_sql_and_exact_arithmetic(in_sql, position):
    exact = "train" if position * 10 < 2**64 * 8 else "val" if position * 10 < 2**64 * 9 else "test"
    assert split_of_position(position) == exact
    assert in_sql(f"SELECT {split_sql('p')} FROM (SELECT ?::UBIGINT AS p)", position) == (exact,)


def test_sql_of_null_is_null(in_sql):
    query = f"SELECT {position_sql('t')}, {split_sql(position_sql('t'))} FROM (SELECT NULL AS t)"
    assert in_sql(query) == (None, None)


def test_shares_of_the_splits():
    with duckdb.connect() as connection:
        counts = dict(
            connection.execute(
                f"SELECT {split_sql(position_sql('range::VARCHAR'))}, count(*)"
                " FROM range(100_000) GROUP BY 1"
            ).fetchall()
        )
    assert counts == Counter(split_of_position(position_of(str(n))) for n in range(100_000))
    # Five standard deviations: sqrt(100,000 · 0.8 · 0.2) = 126 and sqrt(100,000 · 0.1 · 0.9) = 95.
    assert abs(counts["train"] - 80_000) < 630
    assert abs(counts["val"] - 10_000) < 475
    assert abs(counts["test"] - 10_000) < 475


@given(st.binary(max_size=20))
def test_a_photographs_content_is_a_position_too(in_sql, content):
    digest = hashlib.sha256(content).hexdigest()
    position = int(digest[:16], 16)
    assert split_by_hash(digest) == split_of_position(position)
    assert in_sql("SELECT ('0x' || left(sha256(?::BLOB), 16))::UBIGINT", content) == (position,)


# Groups and given splits.


@dataclass(frozen=True)
class World:
    """Units by id: position, age, given split and observer of each; near-duplicate pairs of ids."""

    position: dict
    age: dict
    given: dict
    observer: dict
    pairs: list

    def without(self, ids):
        rest = [
            {k: v for k, v in column.items() if k not in ids}
            for column in (self.position, self.age, self.given, self.observer)
        ]
        return World(*rest, [pair for pair in self.pairs if not ids & set(pair)])

    def assigned(self, order=None):
        """Split of each id, and the pairs that cross, as `assign` has it; rows in this order."""
        ids = order or list(self.position)
        row = {unit: k for k, unit in enumerate(ids)}
        pairs = np.array([[row[a], row[b]] for a, b in self.pairs], np.int64).reshape(-1, 2)
        observer = np.array([self.observer[unit] for unit in ids], np.int64)
        units = Units(
            np.array([self.position[unit] for unit in ids], np.uint64),
            np.array([self.age[unit] for unit in ids], np.int64),
            group_units(len(ids), pairs, observer),
            np.array([self.given[unit] for unit in ids], np.int8),
        )
        found = assign(units, pairs)
        assert found.split.dtype == np.int8
        return (
            dict(zip(ids, found.split.tolist(), strict=True)),
            [self.pairs[k] for k in found.crossing.tolist()],
        )

    def groups(self, by_observer=True):
        """The group of each id, a frozenset of ids, found the slow way."""
        group = {unit: {unit} for unit in self.position}

        def join(one, other):
            if group[one] is not group[other]:
                group[one] |= group[other]
                for member in group[other]:
                    group[member] = group[one]

        for one, other in self.pairs:
            join(one, other)
        for one in self.position:
            for other in self.position:
                if by_observer and self.observer[one] == self.observer[other] >= 0:
                    join(one, other)
        return {unit: frozenset(members) for unit, members in group.items()}

    def expected(self):
        """The split of each id by the rules, one unit at a time."""
        groups, clusters = self.groups(), self.groups(by_observer=False)
        split = {}
        for unit, given_split in self.given.items():
            members = sorted(groups[unit], key=self.age.__getitem__)
            near = [self.given[k] for k in clusters[unit]]
            known = [self.given[k] for k in members if self.given[k] >= 0]
            leader = split_of_position(self.position[members[0]])
            if given_split >= 0:
                split[unit] = given_split
            elif max(near) >= 0:
                split[unit] = max(near)
            else:
                split[unit] = known[0] if known else SPLITS.index(leader)
        return split


@st.composite
def worlds(draw, most_given=TEST):
    n = draw(st.integers(1, 14))

    def column(values):
        return dict(enumerate(draw(st.lists(values, min_size=n, max_size=n))))

    # The number of a split decides in which third a position lies, so that all are as frequent.
    starts = [0, BOUNDS[1], BOUNDS[3]]
    position = {k: starts[third] + 7 for k, third in column(st.integers(0, 2)).items()}
    age = dict(enumerate(draw(st.permutations(range(n)))))
    member = st.integers(0, n - 1)
    pairs = draw(st.lists(st.tuples(member, member), max_size=8))
    given_splits, observers = st.integers(-1, most_given), st.integers(-1, 5)
    return World(position, age, column(given_splits), column(observers), pairs)


nothing_given = worlds(most_given=-1)


@given(worlds())
def test_splits_follow_the_rules(world):
    split, crossing = world.assigned()
    assert split == world.expected()
    assert crossing == [(a, b) for a, b in world.pairs if split[a] != split[b]]
    assert all(max(world.given[a], world.given[b]) >= 0 for a, b in crossing)


@given(worlds())
def test_near_duplicates_of_a_test_photograph_are_never_trained_on(world):
    split, _ = world.assigned()
    for unit, cluster in world.groups(by_observer=False).items():
        if world.given[unit] < 0 and any(world.given[k] == TEST for k in cluster):
            assert split[unit] == TEST


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(world, random):
    ids = list(world.position)
    random.shuffle(ids)
    assert world.assigned(ids) == world.assigned()


@given(nothing_given)
def test_without_given_splits_groups_stay_whole(world):
    split, crossing = world.assigned()
    assert not crossing
    for members in world.groups().values():
        assert len({split[k] for k in members}) == 1


@given(nothing_given, st.integers(0, 13))
def test_younger_units_change_no_older_ones_unless_they_connect_groups(world, kept):
    younger = {unit for unit, age in world.age.items() if age >= max(kept, 1)}
    before = world.without(younger)
    old, _ = before.assigned()
    new, _ = world.assigned()
    groups_before, groups_after = before.groups(), world.groups()
    for unit, split in old.items():
        if groups_after[unit] - younger == groups_before[unit]:
            assert new[unit] == split
        else:  # two old groups are one: it follows the elder leader
            assert new[unit] == old[min(groups_after[unit], key=world.age.__getitem__)]


@given(worlds(), st.sets(st.integers(0, 13)))
def test_former_splits_that_are_given_never_move(world, added):
    before = world.without(added)
    old, _ = before.assigned()
    frozen = replace(world, given={k: old.get(k, world.given[k]) for k in world.given})
    new, _ = frozen.assigned()
    assert old.items() <= new.items()


@given(worlds(), worlds())
def test_other_groups_do_not_matter(world, other):
    n = len(world.position)
    joined = World(
        *(
            one | {n + k: v + shift for k, v in two.items()}
            for one, two, shift in (
                (world.position, other.position, 0),
                (world.age, other.age, n),
                (world.given, other.given, 0),
            )
        ),
        world.observer | {n + k: v if v < 0 else v + 10 for k, v in other.observer.items()},
        world.pairs + [(n + a, n + b) for a, b in other.pairs],
    )
    assert world.assigned()[0].items() <= joined.assigned()[0].items()


def one_group(ages, splits_of_positions, given_splits):
    starts = [0, BOUNDS[1], BOUNDS[3]]
    n = len(ages)
    return World(
        {k: starts[split] for k, split in enumerate(splits_of_positions)},
        dict(enumerate(ages)),
        dict(enumerate(given_splits)),
        dict.fromkeys(range(n), 0),
        [],
    )


def test_the_oldest_leads():
    split, _ = one_group([5, 3, 9], [TRAIN, VAL, TEST], [-1, -1, -1]).assigned()
    assert split == {0: VAL, 1: VAL, 2: VAL}


def test_the_oldest_given_split_of_an_observer_is_followed():
    split, _ = one_group([5, 3, 9, 1], [TRAIN] * 4, [TEST, VAL, TRAIN, -1]).assigned()
    assert split == {0: TEST, 1: VAL, 2: TRAIN, 3: VAL}


def test_near_duplicates_across_given_splits_are_reported_and_not_moved():
    world = one_group([0, 1, 2], [TRAIN] * 3, [TRAIN, TEST, -1])
    split, crossing = replace(world, pairs=[(0, 1), (1, 2)]).assigned()
    assert split == {0: TRAIN, 1: TEST, 2: TEST}
    assert crossing == [(0, 1)]


@given(worlds())
def test_units_share_a_group_by_near_duplicates_and_keys(world):
    n = len(world.position)
    pairs = np.array(world.pairs, np.int64).reshape(-1, 2)
    found = group_units(n, pairs, np.array([world.observer[k] for k in range(n)], np.int64))
    assert found.tolist() == [min(world.groups()[k]) for k in range(n)]


def test_several_keys_and_unknown_ones():
    nothing = np.empty((0, 2), np.int64)
    sites = np.array([4, -1, 4, -1, 7], np.int64)
    dates = np.array([1, 2, 3, 2, -1], np.int64)
    assert group_units(5, nothing, sites, dates).tolist() == [0, 1, 0, 1, 4]
    assert group_units(5, nothing).tolist() == [0, 1, 2, 3, 4]


def test_nothing_to_split():
    empty = Units(np.empty(0, np.uint64), *(np.empty(0, np.int64),) * 2, np.empty(0, np.int8))
    found = assign(empty, np.empty((0, 2), np.int64))
    assert (len(found.split), len(found.crossing)) == (0, 0)
