"""What a head has learned from: counts and samples, kept from release to release."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.models import trained_on
from taxonvision.models.trained_on import (
    COUNTS,
    SAMPLE,
    TrainedOn,
    read_trained_on,
    write_trained_on,
)

photographs = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 40)), max_size=30)
"""Taxon and number; 0 is a photograph whose content is not known."""


@pytest.fixture
def few(monkeypatch):
    """Three photographs of a taxon are sampled."""
    monkeypatch.setattr(trained_on, "SAMPLED", 3)


def columns(rows):
    """Taxa int64 [n] and contents uint64 [n, 2]; neighbours have the same first half."""
    taxa = np.array([taxon for taxon, _ in rows], np.int64)
    contents = np.array([(n // 4, n) for _, n in rows], np.uint64).reshape(-1, 2)
    return taxa, contents


def of(rows):
    return TrainedOn.of(*columns(rows))


def sample(found):
    return list(zip(found.taxon_ids.tolist(), found.contents[:, 1].tolist(), strict=True))


def lowest(rows, count):
    """The same, counted by hand."""
    by_taxon: dict[int, set[int]] = {}
    for taxon, number in rows:
        if number:
            by_taxon.setdefault(taxon, set()).add(number)
    return [(t, n) for t in sorted(by_taxon) for n in sorted(by_taxon[t])[:count]]


@given(photographs)
def test_all_are_counted_and_the_lowest_sampled(rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained_on, "SAMPLED", 3)
        found = of(rows)
    taxa = [taxon for taxon, _ in rows]
    assert found.photographs == {taxon: taxa.count(taxon) for taxon in set(taxa)}
    assert sample(found) == lowest(rows, 3)
    assert (found.taxon_ids.dtype, found.contents.dtype) == (np.int64, np.uint64)


@given(photographs, photographs)
def test_the_samples_of_two_sets_give_that_of_both(first, second):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained_on, "SAMPLED", 3)
        known = {number: taxon for taxon, number in first}
        second = [(known.get(number, taxon), number) for taxon, number in second]
        first = [(known[number], number) for _, number in first]  # one taxon a photograph
        assert sample(of(first).with_more(*columns(second))) == sample(of(first + second))


def test_a_photograph_that_was_named_anew_leaves_its_former_taxon():
    found = of([(1, 5), (1, 6), (2, 7)]).with_more(*columns([(2, 5), (3, 8)]))
    assert sample(found) == [(1, 6), (2, 5), (2, 7), (3, 8)]
    assert found.photographs == {1: 1, 2: 2, 3: 1}


@given(photographs, photographs)
def test_counts_of_samples_that_are_whole_are_exact(first, second):
    first, second = ([(t, n) for t, n in dict.fromkeys(rows) if n] for rows in (first, second))
    found = of(first).with_more(*columns(second)).photographs
    elsewhere = {n for t, n in first for u, m in second if n == m and t != u}
    for taxon in found:
        own = {row for row in first + second if row[0] == taxon}
        if not any(n in elsewhere for _, n in own):
            assert found[taxon] == len(own)


def test_counts_of_large_taxa_are_as_many_as_the_sample_lets_expect(few):
    before = of([(1, n) for n in range(1, 11)])
    # Of the sample 1, 2 and 3 two are seen again, so two thirds of the ten.
    assert before.with_more(*columns([(1, 1), (1, 2), (1, 50)])).photographs == {1: 10 + 3 - 7}
    # There are never fewer than come now, and none are forgotten that do not come again.
    assert before.with_more(*columns([(1, n) for n in range(1, 13)])).photographs == {1: 12}
    assert before.with_more(*columns([(2, 90)])).photographs == {1: 10, 2: 1}


def test_training_again_on_the_same_changes_nothing():
    rows = [(t, 10 * t + n) for t in (1, 2) for n in range(1, 8)]
    again = of(rows).with_more(*columns(rows))
    assert again.photographs == {1: 7, 2: 7}
    assert sample(again) == sample(of(rows))


def test_a_merged_taxon_has_the_photographs_of_both(few):
    rows = [(1, 30), (1, 31), (2, 20), (2, 32), (3, 1)]
    found = of(rows).as_of({1: 2, 2: 2, 3: None}.get)
    assert found.photographs == {2: 4}  # what 3 was split into nobody knows
    assert sample(found) == [(2, 20), (2, 30), (2, 31)]


@given(photographs, st.permutations([1, 2, 3, 4]))
def test_after_changes_it_is_as_if_they_had_been_called_so(rows, heirs):
    current = dict(zip((1, 2, 3, 4), [*heirs[:2], heirs[0], None], strict=True)).get
    renamed = [(current(taxon), number) for taxon, number in rows if current(taxon)]
    found, expected = of(rows).as_of(current), of(renamed)
    assert found.photographs == expected.photographs
    assert sample(found) == sample(expected)


@settings(max_examples=8)
@given(photographs)
def test_what_is_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("model")
    written = of(rows)
    write_trained_on(folder, written)
    found = read_trained_on(folder)
    assert found is not None
    assert found.photographs == written.photographs
    assert (found.taxon_ids == written.taxon_ids).all()
    assert (found.contents == written.contents).all()
    assert (found.taxon_ids.dtype, found.contents.dtype) == (np.int64, np.uint64)


def test_halves_of_64_bits_are_kept(tmp_path):
    contents = np.array([[2**64 - 1, 1], [1, 2**64 - 1]], np.uint64)
    write_trained_on(tmp_path, TrainedOn.of(np.array([7, 7]), contents))
    found = read_trained_on(tmp_path)
    assert found is not None
    assert found.contents.tolist() == [[1, 2**64 - 1], [2**64 - 1, 1]]


def test_an_earlier_version_says_nothing(tmp_path):
    assert read_trained_on(tmp_path) is None


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ("taxon_id,photographs\n1,many\n", f"{COUNTS}, line 2"),
        ("taxon_id,photographs\nx,1\n", f"{COUNTS}, line 2"),
        ("taxon_id\n1\n", COUNTS),
    ],
)
def test_damaged_counts(tmp_path, counts, said):
    write_trained_on(tmp_path, of([(1, 1)]))
    (tmp_path / COUNTS).write_text(counts)
    with pytest.raises(UserError, match=said):
        read_trained_on(tmp_path)


@pytest.mark.parametrize("damage", ["gone", "cut", "other columns", "empty cells"])
def test_a_damaged_sample(tmp_path, damage):
    import duckdb

    write_trained_on(tmp_path, of([(1, 1)]))
    path = tmp_path / SAMPLE
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-10])
    else:
        select = "1 AS taxon_id" + (
            "" if damage == "other columns" else ", NULL::UBIGINT AS content_high, 1 AS content_low"
        )
        duckdb.execute(f"COPY (SELECT {select}) TO '{path}' (FORMAT parquet)")
    with pytest.raises(UserError, match=SAMPLE):
        read_trained_on(tmp_path)
