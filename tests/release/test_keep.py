"""What guards old taxa whose photographs are not at hand, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.models.trained_on import TrainedOn
from taxonvision.release.keep import (
    AUTO,
    DISTILL,
    KEEPS,
    NONE,
    REPLAY,
    KeepOptions,
    Listed,
    keep_old_taxa,
)

OLD = {10: 0, 20: 3}
"""Class ids by taxon."""


def contents(*numbers):
    return np.array([(7, n) for n in numbers], np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Numbered:
    """Stands in for the features of photographs with these numbers."""

    numbers: list[int]

    def take(self, chosen):
        return Numbered([self.numbers[n] for n in chosen])


class Store:
    """Has the features of some photographs; each is told by its number."""

    root = "the cache"

    def __init__(self, *numbers):
        self._numbers = numbers

    def kept(self, asked):
        there = np.isin(asked[:, 1], self._numbers)
        return there, Numbered(asked[there, 1].tolist())


def trained_on(**numbers):
    """By taxon: t10=(1, 2)."""
    rows = [(int(taxon[1:]), n) for taxon, of_taxon in numbers.items() for n in of_taxon]
    return TrainedOn.of(np.array([t for t, _ in rows], np.int64), contents(*(n for _, n in rows)))


def listed(*rows, held_out=()):
    """Class and number of those to train on."""
    classes = np.array([class_id for class_id, _ in rows], np.int32)
    return Listed(classes, contents(*(n for _, n in rows)), contents(*held_out))


BEFORE = trained_on(t10=(1, 2, 3), t20=(4, 5), t99=(6,))
"""99 is not a taxon of today."""
EVERYTHING = listed((0, 1), (0, 2), (0, 3), (3, 4), (3, 5))
CACHE = Store(*range(1, 7))


def kept(how=AUTO, before=BEFORE, now=None, store=CACHE, photos=20):
    return keep_old_taxa(KeepOptions(how, photos), before, OLD, now or listed((5, 50)), store)


@pytest.mark.parametrize("how", KEEPS)
def test_nothing_is_needed_when_all_is_at_hand(how):
    found = kept(how, now=EVERYTHING, store=Store())
    assert (found.how, found.reason) == (NONE, "all photographs of old taxa are at hand")
    assert found.features is None


@pytest.mark.parametrize("how", [AUTO, REPLAY])
def test_old_photographs_are_replayed(how):
    found = kept(how)
    assert (found.how, found.features.numbers) == (REPLAY, [1, 2, 3, 4, 5])
    assert found.class_ids.tolist() == [0, 0, 0, 3, 3]
    assert found.class_ids.dtype == np.int32
    assert found.reason == (
        "2 old taxa have no photographs to train on in the catalog: kept features of 5 old "
        "photographs of 2 taxa are replayed"
    )


def test_no_more_than_asked_for_of_a_taxon():
    assert kept(photos=2).features.numbers == [1, 2, 4, 5]
    assert kept(photos=1).features.numbers == [1, 4]


def test_photographs_at_hand_are_not_replayed():
    found = kept(now=listed((0, 1), (0, 2)))
    assert found.features.numbers == [3, 4, 5]
    assert found.reason.startswith("1 old taxon has no photographs to train on in the catalog")
    found = kept(now=listed((0, 1), (3, 4), (3, 5)))
    assert found.features.numbers == [2, 3]
    assert found.reason.startswith("2 or more photographs of old taxa are not in the catalog")


def test_what_is_held_out_is_never_trained_on():
    assert kept(now=listed((5, 50), held_out=(2, 4))).features.numbers == [1, 3, 5]
    found = kept(now=listed((5, 50), held_out=(1, 2, 3, 4, 5)))
    assert (found.how, found.features) == (DISTILL, None)


def test_what_is_not_kept_is_not_replayed():
    assert kept(store=Store(2, 5)).features.numbers == [2, 5]
    assert kept(store=Store(2), photos=1).features.numbers == [2]


def test_the_parents_opinion_where_no_features_are_kept():
    found = kept(store=Store())
    assert (found.how, found.features) == (DISTILL, None)
    assert found.reason == (
        "2 old taxa have no photographs to train on in the catalog, nor are features of them "
        "kept: the parent's opinion is held on to"
    )


def test_a_replay_that_is_asked_for_and_cannot_be_had():
    with pytest.raises(UserError) as told:
        kept(REPLAY, store=Store())
    assert str(told.value) == (
        "2 old taxa have no photographs to train on in the catalog, and the cache holds no "
        "features of them to replay; name the parent's --cache, ingest all photographs, or take "
        "--keep=distill"
    )


def test_distillation_and_nothing_as_asked_for():
    found = kept(DISTILL)
    assert (found.how, found.features) == (DISTILL, None)
    assert found.reason.endswith(": the parent's opinion is held on to")
    found = kept(NONE)
    assert (found.how, found.features) == (NONE, None)
    assert found.reason.startswith("warning: 2 old taxa have no photographs")
    assert found.reason.endswith(", and nothing guards them (--keep=none)")


def test_of_a_parent_that_does_not_say_what_it_was_trained_on():
    nothing = TrainedOn.nothing()
    assert kept(before=nothing, now=listed((0, 1))).how == DISTILL
    found = kept(before=nothing, now=listed((0, 1), (3, 4)))
    assert found.how == NONE
    assert "at hand" not in found.reason  # nobody knows


numbers = st.sets(st.integers(1, 30))


@given(numbers, numbers, numbers, numbers, st.integers(1, 5))
def test_what_is_replayed_may_be_replayed(before, at_hand, held_out, cached, most):
    old = trained_on(t10=tuple(before), t20=(40,))
    now = listed(*((0, n) for n in at_hand), (5, 50), held_out=held_out)
    found = kept(before=old, now=now, store=Store(*cached), photos=most)
    usable = sorted((before - at_hand - held_out) & cached)
    assert (found.how == REPLAY) == bool(usable)
    assert (found.features.numbers if usable else []) == usable[:most]


MANY = trained_on(t10=range(1, 41), t20=range(41, 81))


@pytest.mark.parametrize(("missing", "how"), [(8, NONE), (9, DISTILL)])
def test_a_few_missing_photographs_do_not_outweigh_the_others(missing, how):
    now = listed(*((0, n) for n in range(1 + missing, 41)), *((3, n) for n in range(41, 81)))
    found = kept(before=MANY, now=now, store=Store())
    assert found.how == how
    assert found.reason.startswith(f"{missing} or more photographs of old taxa are not in")
    assert found.reason.endswith("too few to guard old taxa for") == (how == NONE)
    # What can be replayed is.
    assert kept(before=MANY, now=now, store=Store(*range(81))).how == REPLAY
