"""The factors of a head learn the full head's answers; how small they can be before it shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from taxonvision.errors import UserError
from taxonvision.export.factorise import (
    Factors,
    check_rank,
    factorise,
    most_rank,
    some_rows,
    truncate,
    with_common_logit,
)
from taxonvision.features.rows import Rows, moments
from taxonvision.models.engine import load_keras
from taxonvision.progress import say, track

LADDER = (16, 32, 48, 64, 96, 128, 192, 256, 384, 512)
"""The ranks that `smallest_rank` chooses from."""
_BATCH = 256
_RATE = 3e-4
"""With ten times as much, factors that were close to the full head end further away."""
_MOST_PRODUCTS = 5e11
"""Multiplications of a refit, about half a minute on two idle cores: large heads, or very many
photographs, take fewer steps than their epochs have."""
_MIN_DEVIATION = 0.1
"""As in `training.head`: features that hardly vary are not blown up."""
_MOST_TO_JUDGE = 1_000
_ROUNDING = 1e-9
"""Shares of photographs are no exact numbers: five of 500 are a hundredth."""


def refit(
    factors: Factors,
    kernel: np.ndarray,
    bias: np.ndarray,
    features: Rows,
    *,
    epochs: int = 40,
    seed: int,
    held_out: Rows | None = None,
) -> Factors:
    """Factors whose probabilities are nearer to the full head's.

    What is minimised is the cross-entropy between the probabilities of the full head and those of
    the factors (Hinton et al., "Distilling the knowledge in a neural network", 2015, section 2, at
    temperature 1), by Adam with a rate that falls along a cosine, on standardised features; the
    standardisation is folded into what comes back. Factors that do not gain come back as they were.
    Deterministic by seed on a CPU.

    Args:
        factors: to start from, as `factorise` makes them.
        kernel: float32 [D, C] of the full head.
        bias: float32 [C] of the full head.
        features: of photographs, [n, D], to learn from.
        epochs: how often each photograph is seen; less often where the head is so large, or the
            photographs so many, that it would take minutes.
        seed: of the order of the photographs.
        held_out: features of other photographs [m, D], which tell whether anything was gained: few
            photographs of many classes can be learned by heart. None: `features` themselves.
    """
    keras = load_keras()
    mean, deviation = moments(features)
    deviation = np.maximum(deviation, _MIN_DEVIATION)
    steps = _steps(factors, len(features), epochs)
    network = keras.Sequential(
        [
            keras.Input(mean.shape),
            keras.layers.Dense(factors.rank, use_bias=False, dtype="float32"),
            keras.layers.Dense(len(bias), dtype="float32"),
        ]
    )
    offset = factors.bias + (mean @ factors.down) @ factors.up
    network.set_weights([factors.down * deviation[:, None], factors.up, offset])
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(_RATE, steps)),
        keras.losses.CategoricalCrossentropy(from_logits=True),
        jit_compile=False,  # XLA takes seconds to begin and gains nothing on a CPU
    )
    batches = _batches(len(features), steps, seed)
    for rows in track(batches, steps, "refit of the factors", "steps", closing=False):
        values = features[rows]
        network.train_on_batch((values - mean) / deviation, _probabilities(values @ kernel + bias))
    down, up, offset = network.get_weights()
    down /= deviation[:, None]
    found = Factors(down, up, offset - (mean @ down) @ up)
    judges = features if held_out is None else held_out
    before, after = _divergences((factors, found), kernel, bias, judges)
    return found if after < before else factors


def smallest_rank(
    kernel: np.ndarray,
    bias: np.ndarray,
    features: Rows,
    held_out: Rows,
    truth: np.ndarray | None,
    max_loss: float,
    *,
    epochs: int = 40,
    seed: int,
) -> Factors | None:
    """The factors of the smallest rank of `LADDER` that cost hardly any right answers.

    A binary search, which holds that a higher rank loses no more: three or four refits.

    Args:
        kernel: float32 [D, C] of the full head.
        bias: float32 [C] of the full head.
        features: of photographs, [n, D], to factorise and refit with.
        held_out: features of others, [m, D], to judge by.
        truth: the classes int [m] of those others, and what is lost is top-1 against them. None:
            the share of photographs to which the factors give another name than the full head.
        max_loss: how much may be lost at most, a fraction of 1: 0.01 is a point.
        epochs: of each refit.
        seed: of each refit.

    Returns:
        The factors, refitted and with the column of `with_common_logit`, which is one of the rank;
        or None, and a line that says so, where no rank that makes the head smaller is good enough.

    Raises:
        UserError: the head is too small to be factorised, or there are no photographs.
    """
    if not len(held_out):
        raise UserError("--head_rank=auto is judged by validation photographs, and there are none")
    most = most_rank(*kernel.shape)
    ranks = [rank for rank in LADDER if rank <= most]
    check_rank(ranks[-1] if ranks else most, *kernel.shape)
    found, low, high = None, 0, len(ranks)
    if ranks:
        whole = factorise(kernel, bias, features, ranks[-1] - 1)
    while low < high:
        middle = (low + high) // 2
        start = truncate(whole, ranks[middle] - 1, features)
        factors = refit(start, kernel, bias, features, epochs=epochs, seed=seed, held_out=held_out)
        lost = _loss(factors, kernel, bias, held_out, truth)
        say(f"rank {ranks[middle]}: {100 * lost:.1f} points lost")
        if lost <= max_loss + _ROUNDING:
            found, high = factors, middle
        else:
            low = middle + 1
    if found is None:
        say(
            f"no rank below {most + 1} loses at most {100 * max_loss:g} points: "
            "the head stays as it is"
        )
        return None
    return with_common_logit(found, kernel, bias, features)


def _steps(factors: Factors, photographs: int, epochs: int) -> int:
    """How many batches a refit takes."""
    dimension, classes = len(factors.down), len(factors.bias)
    # The full head once; the factors forwards, and backwards for both weights and inputs.
    products = dimension * classes + 3 * factors.rank * (dimension + classes)
    batch = min(_BATCH, photographs)
    wanted = epochs * -(-photographs // batch)
    return min(wanted, max(1, round(_MOST_PRODUCTS / (products * batch))))


def _batches(photographs: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Some numbers of photographs at a time, int64 [b]; each comes once before any comes again."""
    rng = np.random.default_rng(seed)
    batch = min(_BATCH, photographs)
    order = np.empty(0, np.int64)
    for _ in range(steps):
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(photographs)])
        yield np.sort(order[:batch])  # in order they are read faster
        order = order[batch:]


def _divergences(
    candidates: Sequence[Factors], kernel: np.ndarray, bias: np.ndarray, features: Rows
) -> np.ndarray:
    """The distillation loss of each, summed over photographs: float64 [k]."""
    from scipy.special import log_softmax

    total = np.zeros(len(candidates))
    for block in some_rows(features, _MOST_TO_JUDGE):
        opinion = _probabilities(block @ kernel + bias)
        for number, each in enumerate(candidates):
            total[number] -= np.vdot(opinion, log_softmax(each.logits(block), axis=1))
    return total


def _loss(
    factors: Factors,
    kernel: np.ndarray,
    bias: np.ndarray,
    features: Rows,
    truth: np.ndarray | None,
) -> float:
    """What share of right answers the factors lose; without the truth the full head is right."""
    full, ours = (
        np.concatenate(
            [score(block).argmax(axis=1) for block in some_rows(features, len(features))]
        )
        for score in (lambda block: block @ kernel + bias, factors.logits)
    )
    right = full if truth is None else truth
    return float((full == right).mean() - (ours == right).mean())


def _probabilities(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))
