"""Which split an observation belongs to: what it was given, else what its group's hash says.

A position is a whole number from 0 to 2⁶⁴ − 1, the hash of an id: uniform, and the same for ever.
The first 80 % of positions are train, the next 10 % val, the last 10 % test. The oldest member of
a group leads it: its position decides for all to which no split is given.

What stays when a catalog grows: whatever is added or taken away, a unit keeps a split given to it,
which is why former splits that are given (`--splits_from`) never move. Where none is given, a unit
keeps its split while its group's leader stays the same: however many younger ones join. It may move
- when a younger unit connects two groups: both follow the elder leader;
- when an older one joins, or the leader leaves: the oldest that is there leads;
- when one with a given split joins: the others follow that.
The order of rows, and what is in other groups, never matter.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from taxonvision.catalog.catalog import SPLITS
from taxonvision.catalog.duplicates import clusters

_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_VAL_FROM = -(-(2**64) * 8 // 10)  # the first position that is val
_TEST_FROM = -(-(2**64) * 9 // 10)


def split_named(word: str) -> str | None:
    """The split that a word such as `valid` or `Training` means; None when it means none."""
    return _WORDS.get(word.strip().lower())


def split_by_hash(sha256: str) -> str:
    """80 % train, 10 % val, 10 % test by the photograph's SHA-256 (hex).

    A photograph keeps its split when others come or go, and copies of it share it.
    """
    return split_of_position(int(sha256[:16], 16))


def position_of(text: str) -> int:
    """The position of an id: the last 8 bytes of its MD5, little-endian, as `position_sql` has it.

    MD5 because DuckDB hands it out as a number (10 million ids in 2 s of CPU time). Nothing else
    may be drawn by this position, or the draw and the splits would depend on each other.
    """
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[8:], "little")


def position_sql(text_sql: str) -> str:
    """DuckDB's expression (UBIGINT) for `position_of` of a VARCHAR expression; NULL for NULL."""
    return f"CAST(md5_number({text_sql}) >> 64 AS UBIGINT)"


def draw_sql(text_sql: str) -> str:
    """DuckDB's expression (UBIGINT) for drawing by an id: the first 8 bytes of its MD5."""
    return f"CAST(md5_number({text_sql}) & {2**64 - 1}::UHUGEINT AS UBIGINT)"


def split_of_position(position: int) -> str:
    """The split of a position."""
    return SPLITS[(position >= _VAL_FROM) + (position >= _TEST_FROM)]


def split_sql(position_sql: str) -> str:
    """DuckDB's expression (VARCHAR) for `split_of_position` of a UBIGINT; NULL for NULL."""
    train, val, test = SPLITS
    return (
        f"CASE WHEN {position_sql} < {_VAL_FROM}::UBIGINT THEN '{train}'"
        f" WHEN {position_sql} < {_TEST_FROM}::UBIGINT THEN '{val}'"
        f" WHEN {position_sql} IS NOT NULL THEN '{test}' END"
    )


@dataclass(frozen=True)
class Units:
    """What is split as a whole, observations as a rule, by column; all of the same length n.

    Attributes:
        position: uint64 [n], the hash position of the unit's id, or of what it is grouped by.
        age: int64 [n], the unit's rank by the number of its id, else by date and id, no two alike;
            the lowest is the oldest.
        group: int64 [n], the group of the unit as `group_units` gives it, the index of one of its
            members; near-duplicates share one.
        given: int8 [n], the split that labels or an earlier catalog give to this very unit, an
            index into SPLITS; -1 where none is given.
    """

    position: np.ndarray
    age: np.ndarray
    group: np.ndarray
    given: np.ndarray


@dataclass(frozen=True)
class Assigned:
    """The splits of n units.

    Attributes:
        split: int8 [n], indices into SPLITS.
        crossing: int64 [k], which of the near-duplicate pairs lie in two splits, ascending: of each
            one unit at least had its split given.
    """

    split: np.ndarray
    crossing: np.ndarray


def group_units(n: int, pairs: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """The group of each of n units: int64 [n], the smallest member's index.

    Units share a group when near-duplicates (`pairs`, int64 [m, 2]) or an equal key (int64 [n]:
    observer, site or date; negative where unknown, which joins nobody) connect them, be it over
    others.
    """
    edges = [pairs]
    for key in keys:
        members = np.flatnonzero(key >= 0)
        _, first, which = np.unique(key[members], return_index=True, return_inverse=True)
        edges.append(np.stack([members[first[which]], members], axis=1))
    return clusters(n, np.concatenate(edges))


def assign(units: Units, pairs: np.ndarray) -> Assigned:
    """Split units; groups and near-duplicates (`pairs`, int64 [m, 2]) stay whole unless given torn.

    1. A unit keeps the split given to it.
    2. Of near-duplicates, be it over others, those without follow those with a given split: test
       before val before train where these differ, since nothing known from test may be trained on.
    3. Others in a group with given splits take that of its oldest member that has one.
    4. All others take the split of their group's leader's position.
    """
    n = len(units.age)
    cluster = clusters(n, pairs)
    known = np.flatnonzero(units.given >= 0)

    oldest = _oldest(units, np.arange(n))
    by_position = np.full(n, -1, np.int8)
    by_position[units.group[oldest]] = _splits_of_positions(units.position[oldest])
    oldest = _oldest(units, known)
    by_group = np.full(n, -1, np.int8)
    by_group[units.group[oldest]] = units.given[oldest]
    by_cluster = np.full(n, -1, np.int8)
    np.maximum.at(by_cluster, cluster[known], units.given[known])

    split = units.given.astype(np.int8)
    for rule in (by_cluster[cluster], by_group[units.group], by_position[units.group]):
        split = np.where(split < 0, rule, split)
    return Assigned(split, np.flatnonzero(split[pairs[:, 0]] != split[pairs[:, 1]]))


def _oldest(units: Units, members: np.ndarray) -> np.ndarray:
    """The oldest of these members of each group: int64 [groups], indices of units."""
    age = np.full(len(units.age), np.iinfo(np.int64).max)
    np.minimum.at(age, units.group[members], units.age[members])
    return members[units.age[members] == age[units.group[members]]]


def _splits_of_positions(position: np.ndarray) -> np.ndarray:
    """`split_of_position` of many: int8, indices into SPLITS."""
    bounds = np.array([_VAL_FROM, _TEST_FROM], np.uint64)
    return np.searchsorted(bounds, position, side="right").astype(np.int8)
