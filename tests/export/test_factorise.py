from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from taxonvision.errors import UserError
from taxonvision.export import refit_factors
from taxonvision.export.factorise import (
    check_rank,
    factorise,
    most_rank,
    truncate,
    with_common_logit,
)
from taxonvision.export.refit_factors import refit, smallest_rank


def head(rng, dimension=24, classes=40, rank=None):
    """A kernel, of some rank, and a bias."""
    rank = rank or min(dimension, classes)
    kernel = rng.normal(size=(dimension, rank)) @ rng.normal(size=(rank, classes))
    return kernel.astype(np.float32), rng.normal(size=classes).astype(np.float32)


def anisotropic(rng, count, dimension=24):
    """Features that vary much in some directions and hardly in others, off the origin."""
    scales = np.geomspace(3, 0.03, dimension)
    turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(dimension, dimension)))
    return (5 + rng.normal(size=(count, dimension)) * scales @ turn).astype(np.float32)


def centred(logits):
    """Scores without what is the same for all classes of a photograph, which softmax ignores."""
    return logits - logits.mean(axis=1, keepdims=True)


def divergence(factors, kernel, bias, features):
    full = log_softmax(features @ kernel + bias, axis=1)
    ours = log_softmax(factors.logits(features), axis=1)
    return float((np.exp(full) * (full - ours)).sum(axis=1).mean())


def plain_svd(kernel, bias, features, rank):
    """Scores of the truncated SVD, which knows nothing of the features."""
    left, values, right = np.linalg.svd(kernel, full_matrices=False)
    return features @ (left[:, :rank] * values[:rank]) @ right[:rank] + bias


@given(st.integers(2, 30), st.integers(2, 50), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_shapes_and_exactness_from_the_true_rank_on(dimension, classes, rank, seed):
    most = most_rank(dimension, classes)
    if not 1 <= rank <= most:
        with pytest.raises(UserError):
            check_rank(rank, dimension, classes)
        return
    rng = np.random.default_rng(seed)
    kernel, bias = head(rng, dimension, classes, rank)
    features = anisotropic(rng, 7, dimension)  # fewer than directions
    factors = factorise(kernel, bias, features, rank)
    assert factors.down.shape == (dimension, rank) and factors.up.shape == (rank, classes)
    assert factors.kernel().shape == kernel.shape and factors.bias.shape == bias.shape
    assert {a.dtype for a in (factors.down, factors.up, factors.bias)} == {np.dtype(np.float32)}
    others = anisotropic(rng, 50, dimension)
    full = centred(others @ kernel + bias)
    np.testing.assert_allclose(
        centred(factors.logits(others)), full, atol=2e-3 * np.abs(full).max() + 1e-4
    )


def test_directions_that_the_features_vary_in_come_first():
    rng = np.random.default_rng(0)
    kernel, bias = head(rng)
    train, others = anisotropic(rng, 400), anisotropic(rng, 400)
    factors = factorise(kernel, bias, train, 8)
    full = others @ kernel + bias
    ours = np.square(centred(factors.logits(others)) - centred(full)).mean()
    plain = np.square(centred(plain_svd(kernel, bias, others, 8)) - centred(full)).mean()
    assert ours < plain / 10
    assert (others @ factors.down).std(axis=0).min() > 0.5
    assert (others @ factors.down).std(axis=0).max() < 1.5


def test_classes_that_are_never_probable_give_way():
    rng = np.random.default_rng(1)
    kernel, bias = head(rng, 24, 60)
    bias[10:] -= 1000
    train, others = (rng.normal(size=(4000, 24)).astype(np.float32) for _ in range(2))
    names = (others @ kernel + bias).argmax(axis=1)
    assert set(names) == set(range(10))
    factors = factorise(kernel, bias, train, 9)
    assert (factors.logits(others).argmax(axis=1) == names).mean() > 0.97
    assert (plain_svd(kernel, bias, others, 9).argmax(axis=1) == names).mean() < 0.9


def test_a_lower_rank_is_cut_from_a_higher_one():
    rng = np.random.default_rng(2)
    kernel, bias = head(rng)
    features = anisotropic(rng, 100)
    direct = factorise(kernel, bias, features, 5)
    cut = truncate(factorise(kernel, bias, features, 12), 5, features)
    np.testing.assert_allclose(cut.kernel(), direct.kernel(), atol=1e-3)
    np.testing.assert_allclose(cut.bias, direct.bias, atol=1e-3)


def test_features_that_never_vary_are_no_fault():
    rng = np.random.default_rng(3)
    kernel, bias = head(rng)
    features = np.repeat(anisotropic(rng, 1), 5, axis=0)
    factors = factorise(kernel, bias, features, 4)
    np.testing.assert_allclose(
        centred(factors.logits(features)), centred(features @ kernel + bias), atol=1e-3
    )
    zero = factorise(np.zeros_like(kernel), bias, features, 4)
    np.testing.assert_allclose(
        centred(zero.logits(features)), centred(bias[None]).repeat(5, 0), atol=1e-5
    )


@pytest.mark.parametrize("rank", [-1, 0, 15, 24, 1000])
def test_a_rank_that_saves_nothing_is_refused(rank):
    with pytest.raises(UserError, match=r"give at most 14$"):
        check_rank(rank, 24, 40)


def test_a_tiny_head_and_no_photographs_are_refused():
    rng = np.random.default_rng(4)
    with pytest.raises(UserError, match="too small"):
        check_rank(1, 2, 2)
    with pytest.raises(UserError, match="photographs"):
        factorise(*head(rng), np.empty((0, 24), np.float32), 3)


@pytest.fixture(scope="module")
def refitted():
    """A head, its features, factors before and after a refit, and what judges them."""
    rng = np.random.default_rng(5)
    kernel, bias = head(rng)
    train, others = anisotropic(rng, 300), anisotropic(rng, 300)
    kernel *= 0.3
    bias -= 5 * kernel.sum(axis=0)  # or one class would win everywhere
    start = factorise(kernel, bias, train, 6)
    return kernel, bias, train, others, start, refit(start, kernel, bias, train, epochs=20, seed=0)


def test_a_refit_comes_nearer_to_the_full_head(refitted):
    kernel, bias, train, others, start, found = refitted
    for features in (train, others):
        assert divergence(found, kernel, bias, features) < divergence(start, kernel, bias, features)


def test_a_refit_is_the_same_by_seed(refitted, eager):
    kernel, bias, train, _, start, _ = refitted
    first, second, other = (
        refit(start, kernel, bias, train, epochs=2, seed=seed, held_out=train) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.kernel(), second.kernel())
    assert not np.array_equal(first.kernel(), other.kernel())


def test_a_refit_that_gains_nothing_leaves_the_factors(refitted, eager, monkeypatch):
    kernel, bias, train, _, start, _ = refitted
    monkeypatch.setattr(refit_factors, "_RATE", 10.0)
    assert refit(start, kernel, bias, train, epochs=1, seed=0) is start


def test_large_heads_take_fewer_steps(refitted, monkeypatch):
    start = refitted[4]
    assert refit_factors._steps(start, 300, 40) == 80
    monkeypatch.setattr(refit_factors, "_MOST_PRODUCTS", 1e6)
    assert refit_factors._steps(start, 300, 40) == 2


@pytest.fixture(scope="module")
def of_rank_four():
    """A head that needs rank 4 for its answers, features, others, and the classes of these."""
    rng = np.random.default_rng(6)
    kernel, bias = head(rng, 24, 40, 4)
    kernel = (kernel + 0.001 * rng.normal(size=kernel.shape)).astype(np.float32)
    train, others = (rng.normal(size=(200, 24)).astype(np.float32) for _ in range(2))
    return kernel, bias, train, others, (others @ kernel + bias).argmax(axis=1)


@pytest.mark.parametrize("given_truth", [True, False])
def test_the_smallest_rank_that_loses_little_is_found(
    of_rank_four, given_truth, eager, monkeypatch, capsys
):
    *parts, truth = of_rank_four
    monkeypatch.setattr(refit_factors, "LADDER", (2, 3, 5, 7, 9, 13, 600))
    factors = smallest_rank(*parts, truth if given_truth else None, 0.02, epochs=1, seed=0)
    assert factors is not None and factors.rank == 5  # one of them says how high all logits are
    assert "rank 3: " in capsys.readouterr().err


def test_no_rank_good_enough_leaves_the_full_head(of_rank_four, eager, monkeypatch, capsys):
    *parts, _ = of_rank_four
    monkeypatch.setattr(refit_factors, "LADDER", (2, 3))
    assert smallest_rank(*parts, None, 0.0, epochs=1, seed=0) is None
    assert "the head stays as it is" in capsys.readouterr().err


def test_a_search_wants_photographs_to_judge_by(of_rank_four):
    kernel, bias, train, *_ = of_rank_four
    with pytest.raises(UserError, match="validation"):
        smallest_rank(kernel, bias, train, train[:0], None, 0.01, seed=0)


def test_how_high_all_logits_are_survives_being_left_out():
    rng = np.random.default_rng(5)
    features = rng.normal(1, 1, (400, 12)).astype(np.float32)
    kernel = rng.normal(size=(12, 30)).astype(np.float32) + rng.normal(size=(12, 1)) * 3
    bias = rng.normal(size=30).astype(np.float32)
    factors = factorise(kernel, bias, features, 6)
    found = with_common_logit(factors, kernel, bias, features)
    assert found.rank == 7
    share = softmax(features @ kernel + bias, axis=1).sum(axis=0) + 1
    share /= share.sum()
    expected = (features @ kernel + bias) @ share
    assert np.abs(factors.logits(features) @ share - expected).max() > 1
    np.testing.assert_allclose(found.logits(features) @ share, expected, rtol=1e-3, atol=1e-3)
    same = softmax(factors.logits(features), axis=1)
    np.testing.assert_allclose(softmax(found.logits(features), axis=1), same, atol=1e-5)
