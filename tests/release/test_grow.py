import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from taxonvision.catalog.class_ids import grow_classes
from taxonvision.errors import UserError
from taxonvision.release.grow import grow_head
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes
from taxonvision.taxonomy.classes import TaxonClass
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TAXA = range(1, 20)
TREE = Taxonomy(Taxon.of_rank(i, None, "species", f"T{i:02}") for i in TAXA)


def classes_of(*taxon_ids, retired=()):
    return [
        TaxonClass(i, t, f"T{t:02}", "species", "retired" if t in retired else "active", "1")
        for i, t in enumerate(taxon_ids)
    ]


def changes_of(*changes):
    return Changes([Change(*change, line=line) for line, change in enumerate(changes, start=2)])


def head(classes, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(5, len(classes))).astype(np.float32),
        rng.normal(size=len(classes)).astype(np.float32),
    )


def grown(before, eligible, *lines, photographs=None, retire_absent=False):
    """The head of `before` grown; the classes, and row and origin of each taxon."""
    changes = changes_of(*lines)
    after = grow_classes(
        before, eligible, changes.apply(TREE),
        since="2", changes=changes, retire_absent=retire_absent,
    )  # fmt: skip
    result = grow_head(*head(before), before, after, photographs or {}, changes)
    rows = np.vstack([result.kernel, result.bias])
    return {c.taxon_id: (rows[:, c.class_id], result.origins[c.class_id]) for c in after}


def row(before, taxon_id):
    kernel, bias = head(before)
    (class_id,) = (c.class_id for c in before if c.taxon_id == taxon_id)
    return np.append(kernel[:, class_id], bias[class_id])


def is_row(told, origin, expected):
    """Whether row and origin are these: bit for bit, or to float32 where it is a mean."""
    equal = np.allclose if origin == "merged" else np.array_equal
    return told[1] == origin and equal(told[0], expected)


BEFORE = classes_of(1, 2, 3, 4, retired=[4])


def test_new_rows_are_zeros_and_all_others_stay():
    after = grown(BEFORE, [1, 5, 4], retire_absent=True)
    assert all(is_row(after[t], "kept", row(BEFORE, t)) for t in (1, 2, 3, 4))
    assert is_row(after[5], "new", np.zeros(6))


def test_a_first_head_is_all_zeros():
    assert is_row(grown([], [1])[1], "new", np.zeros(6))


def test_a_merged_row_is_the_mean_weighted_by_photographs():
    after = grown(BEFORE, [], ("merged", 2, 1), photographs={1: 30, 2: 10, 3: 9})
    assert is_row(after[1], "merged", 0.75 * row(BEFORE, 1) + 0.25 * row(BEFORE, 2))
    assert is_row(after[2], "kept", row(BEFORE, 2))


def test_classes_without_photographs_count_as_one():
    mean = (row(BEFORE, 1) + row(BEFORE, 2)) / 2
    for photographs in ({}, {1: 0}, {1: 1, 2: 0}):
        assert is_row(
            grown(BEFORE, [], ("merged", 2, 1), photographs=photographs)[1], "merged", mean
        )


def test_merged_into_a_taxon_without_class():
    after = grown(BEFORE, [9], ("merged", 2, 9), ("merged", 3, 9), photographs={2: 3, 3: 1})
    assert is_row(after[9], "merged", 0.75 * row(BEFORE, 2) + 0.25 * row(BEFORE, 3))
    assert is_row(after[3], "kept", row(BEFORE, 3))


def test_a_retired_row_takes_no_part_in_a_mean():
    after = grown(BEFORE, [], ("merged", 4, 1))
    assert is_row(after[1], "kept", row(BEFORE, 1))
    after = grown(BEFORE, [], ("merged", 1, 4))
    assert is_row(after[4], "merged", row(BEFORE, 1))
    assert is_row(after[1], "kept", row(BEFORE, 1))


def test_a_table_given_again_changes_nothing():
    lines = [("merged", 2, 1), ("split", 3, 7), ("split", 3, 8)]
    changes = changes_of(*lines)
    tree = changes.apply(TREE)
    second = grow_classes(BEFORE, [7, 8], tree, since="2", changes=changes)
    first = grow_head(*head(BEFORE), BEFORE, second, {}, changes)
    third = grow_classes(second, [7, 8], tree, since="3", changes=changes)
    again = grow_head(first.kernel, first.bias, second, third, {}, changes)
    assert set(again.origins) == {"kept"}
    assert np.array_equal(again.kernel, first.kernel)
    assert np.array_equal(again.bias, first.bias)


def test_parts_start_from_the_row_of_the_whole():
    after = grown(BEFORE, [7, 8, 9], ("split", 3, 7), ("split", 3, 8))
    assert is_row(after[7], "split", row(BEFORE, 3))
    assert is_row(after[8], "split", row(BEFORE, 3))
    assert is_row(after[9], "new", np.zeros(6))
    assert is_row(after[3], "kept", row(BEFORE, 3))


@pytest.mark.parametrize(
    "lines",
    [
        [("split", 3, 3), ("split", 3, 7)],
        [("split", 3, 7, "", "", 3), ("split", 3, 8, "", "", 3)],
    ],
    ids=["narrower", "complex"],
)
def test_so_do_they_where_the_whole_goes_on(lines):
    after = grown(BEFORE, [3, 7], *lines)
    assert is_row(after[7], "split", row(BEFORE, 3))
    assert is_row(after[3], "kept", row(BEFORE, 3))


def test_a_part_with_a_class_keeps_its_row():
    after = grown(BEFORE, [1, 7], ("split", 3, 1), ("split", 3, 7))
    assert is_row(after[1], "kept", row(BEFORE, 1))
    assert is_row(after[7], "split", row(BEFORE, 3))


# Chains.


def test_renamed_and_then_merged():
    after = grown(BEFORE, [], ("renamed", 2, 9), ("merged", 9, 1), photographs={1: 1, 2: 3})
    assert is_row(after[1], "merged", 0.25 * row(BEFORE, 1) + 0.75 * row(BEFORE, 2))


def test_renamed_alone_keeps_its_row():
    assert is_row(grown(BEFORE, [], ("renamed", 2, 9))[9], "kept", row(BEFORE, 2))


def test_merged_and_then_split_starts_from_the_mean():
    lines = [("merged", 2, 1), ("split", 1, 7), ("split", 1, 8), ("renamed", 8, 9)]
    after = grown(BEFORE, [7, 9], *lines, photographs={1: 30, 2: 10})
    mean = 0.75 * row(BEFORE, 1) + 0.25 * row(BEFORE, 2)
    for taxon_id in (7, 9):
        assert after[taxon_id][1] == "split"
        assert np.allclose(after[taxon_id][0], mean)


def test_what_joined_after_a_split_is_no_origin_of_what_left_before():
    lines = [("split", 1, 1), ("split", 1, 7), ("merged", 2, 1)]
    after = grown(BEFORE, [7], *lines)
    assert is_row(after[7], "split", row(BEFORE, 1))
    assert is_row(after[1], "merged", (row(BEFORE, 1) + row(BEFORE, 2)) / 2)


def test_a_part_merged_into_a_known_taxon_leaves_its_row_alone():
    after = grown(BEFORE, [7], ("split", 3, 7), ("split", 3, 8), ("merged", 8, 1))
    assert is_row(after[1], "kept", row(BEFORE, 1))
    assert is_row(after[7], "split", row(BEFORE, 3))


def test_a_part_that_another_class_was_merged_into_has_its_row():
    after = grown(BEFORE, [7, 8], ("split", 3, 7), ("split", 3, 8), ("merged", 2, 8))
    assert is_row(after[8], "kept", row(BEFORE, 2))
    assert is_row(after[7], "split", row(BEFORE, 3))


def test_part_of_a_part():
    lines = [("split", 3, 7), ("split", 3, 8), ("split", 8, 9), ("split", 8, 10)]
    after = grown(BEFORE, [7, 9, 10], *lines)
    assert all(is_row(after[t], "split", row(BEFORE, 3)) for t in (7, 9, 10))


def test_a_part_that_comes_later_starts_from_the_retired_row():
    before = classes_of(1, 3, 7, retired=[3])
    after = grown(before, [8], ("split", 3, 7), ("split", 3, 8))
    assert is_row(after[8], "split", row(before, 3))


# Errors and size.


def test_a_head_of_another_size_and_moved_ids_are_errors():
    kernel, bias = head(BEFORE)
    with pytest.raises(ValueError, match="3 rows for 4 classes"):
        grow_head(kernel[:, :3], bias[:3], BEFORE, BEFORE, {}, NO_CHANGES)
    with pytest.raises(ValueError, match="moved"):
        grow_head(kernel, bias, BEFORE, BEFORE[::-1], {}, NO_CHANGES)


def test_memory_is_that_of_the_new_kernel():
    before = classes_of(*range(1, 4001))
    changes = changes_of(
        *(("merged", i, i + 1) for i in range(1, 999, 2)),
        *(("split", i, 5000 + 2 * i + k) for i in range(1001, 2000) for k in (0, 1)),
    )
    parts = [5000 + 2 * i + k for i in range(1001, 2000) for k in (0, 1)]
    tree = Taxonomy(Taxon.of_rank(i, None, "species", f"T{i}") for i in [*range(1, 4001), *parts])
    after = grow_classes(before, parts, tree, since="2", changes=changes)
    kernel = np.ones((512, len(before)), np.float32)
    tracemalloc.start()
    result = grow_head(kernel, kernel[0], before, after, {}, changes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < result.kernel.nbytes + 4e6
    assert result.origins.count("merged") == 499
    assert result.origins.count("split") == 1998


# Whatever is known and whatever comes.


@st.composite
def cases(draw):
    """Classes, a table of changes of all kinds, the classes after it, photographs, a seed."""
    taxa = draw(st.lists(st.integers(1, 14), unique=True, max_size=9))
    before = classes_of(*taxa, retired=draw(st.sets(st.integers(1, 14), max_size=4)))
    taxon = st.integers(1, 19)
    lines = []
    for line in range(2, draw(st.integers(2, 8))):
        kind = draw(st.sampled_from(["merged", "renamed", "split", "moved"]))
        taxon_id = draw(taxon)
        if kind == "split":
            parts = draw(st.lists(taxon, min_size=2, max_size=3, unique=True))
            parent = draw(st.sampled_from([None, taxon_id]))
            lines += [Change(kind, taxon_id, p, "", "", parent, line) for p in parts]
        elif kind == "moved":
            lines.append(Change(kind, taxon_id, None, "", "", draw(taxon), line))
        else:
            in_place = kind == "renamed" and draw(st.booleans())
            new = None if in_place else draw(taxon)
            lines.append(Change(kind, taxon_id, new, "x" if in_place else "", line=line))
    try:
        changes = Changes(lines)
        tree = changes.apply(TREE)
    except UserError:
        assume(False)
    ids = [i for i in TAXA if changes.current(i) == i]
    eligible = draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
    after = grow_classes(
        before, eligible, tree,
        since="2", changes=changes, retire_absent=draw(st.booleans()),
    )  # fmt: skip
    photographs = draw(st.dictionaries(taxon, st.integers(0, 1000)))
    return before, after, changes, photographs, draw(st.integers(0, 99))


@given(cases())
def test_untouched_taxa_keep_their_logits(case):
    before, after, changes, photographs, seed = case
    kernel, bias = head(before, seed)
    result = grow_head(kernel, bias, before, after, photographs, changes)
    features = np.random.default_rng(seed + 1).normal(size=(7, 5)).astype(np.float32)
    was, now = features @ kernel + bias, features @ result.kernel + result.bias
    kept = [i for i in range(len(before)) if result.origins[i] == "kept"]
    assert np.array_equal(result.kernel[:, kept], kernel[:, kept])
    assert np.array_equal(result.bias[kept], bias[kept])
    assert np.abs(now[:, kept] - was[:, kept]).max(initial=0) <= 1e-6
    for old, new in zip(before, after, strict=False):
        alone = [c for c in before if c.active and changes.current(c.taxon_id) == new.taxon_id]
        if alone in ([], [old]):
            assert result.origins[new.class_id] == "kept"


@given(cases())
def test_every_row_is_told_right(case):
    before, after, changes, photographs, seed = case
    kernel, bias = head(before, seed)
    given_kernel, given_bias = kernel.copy(), bias.copy()
    result = grow_head(kernel, bias, before, after, photographs, changes)
    assert np.array_equal(kernel, given_kernel)
    assert np.array_equal(bias, given_bias)
    assert (result.kernel.dtype, result.bias.dtype) == (np.float32, np.float32)
    assert len(result.origins) == result.kernel.shape[1] == len(result.bias) == len(after)
    assert set(result.origins[: len(before)]) <= {"kept", "merged"}
    assert set(result.origins[len(before) :]) <= {"split", "new"}
    rows, old_rows = np.vstack([result.kernel, result.bias]), np.vstack([kernel, bias])
    for new, origin in zip(after, result.origins, strict=True):
        if origin == "merged":
            leading = [
                c for c in before if c.active and changes.current(c.taxon_id) == new.taxon_id
            ]
        else:
            leading = [c for c in before if new.taxon_id in changes.parts(c.taxon_id)]
        if origin in ("merged", "split"):
            of_leading = old_rows[:, [c.class_id for c in leading]]
            found = rows[:, new.class_id]
            assert (of_leading.min(axis=1) <= found).all()
            assert (found <= of_leading.max(axis=1)).all()
        elif origin == "new":
            assert not rows[:, new.class_id].any()
            assert not leading
        if origin == "merged":
            weights = [max(photographs.get(c.taxon_id, 0), 1) for c in leading]
            mean = np.average(of_leading.astype(float), axis=1, weights=weights)
            assert np.allclose(found, mean, atol=1e-6)
