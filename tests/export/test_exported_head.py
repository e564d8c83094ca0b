from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.export.head import ExportHead


def head(seed: int = 0, classes: int = 6, rank: int | None = None) -> ExportHead:
    rng = np.random.default_rng(seed)
    sizes = [(4, classes)] if rank is None else [(4, rank), (rank, classes)]
    kernels = tuple(rng.normal(size=size).astype(np.float32) for size in sizes)
    return ExportHead(tuple(range(10, 10 + classes)), kernels, rng.normal(size=classes))


FEATURES = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)


def all_of(batches) -> np.ndarray:
    return np.concatenate(list(batches))


def test_two_factors_are_one_kernel():
    two = head(rank=3)
    one = ExportHead(two.taxon_ids, (two.kernels[0] @ two.kernels[1],), two.bias)
    assert (two.rank, one.rank) == (3, None)
    np.testing.assert_allclose(
        all_of(two.logits(FEATURES)), all_of(one.logits(FEATURES)), 1e-4, 1e-5
    )


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=6, unique=True),
    st.sampled_from([None, 3]),
    st.integers(0, 5),
)
def test_what_is_cut_away_does_not_touch_the_rest(positions, rank, seed):
    whole = head(seed, rank=rank)
    cut = whole.cut(positions)
    assert cut.taxon_ids == tuple(whole.taxon_ids[at] for at in positions)
    logits = all_of(whole.logits(FEATURES))[:, positions]
    np.testing.assert_allclose(all_of(cut.logits(FEATURES)), logits, rtol=1e-4, atol=1e-5)
    shares = all_of(whole.probabilities(FEATURES))[:, positions]
    shares /= shares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(all_of(cut.probabilities(FEATURES)), shares, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rank", [None, 3])
def test_a_temperature_divides_the_logits(rank):
    whole = head(rank=rank)
    expected = all_of(whole.logits(FEATURES)) / 0.5
    found = all_of(whole.tempered(0.5).logits(FEATURES))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert whole.tempered(1.0) is whole
