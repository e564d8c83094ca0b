"""A head becomes two thinner ones in a row, which together hold far fewer numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from taxonvision.errors import UserError
from taxonvision.features.rows import Rows, moments

_RIDGE = 0.1
"""Of the features' mean variance, added to each: what the photographs at hand do not vary in others
may, and directions that a phone's int8 cannot resolve are not worth a rank."""
_MOST_FOR_COVARIANCE = 20_000
_MOST_FOR_SHARES = 4_000
_ROWS, _COLUMNS = 256, 2_048
"""Photographs, and classes, at a time: blocks of tens of megabytes at 60,000 classes."""
_NOTHING = 1e-12
"""Below this share of the largest eigenvalue there is only rounding."""


@dataclass(frozen=True)
class Factors:
    """A head of lower rank: features times `down` times `up`, plus `bias`.

    Attributes:
        down: float32 [D, R].
        up: float32 [R, C].
        bias: float32 [C].
    """

    down: np.ndarray
    up: np.ndarray
    bias: np.ndarray

    @property
    def rank(self) -> int:
        """R, how many numbers lie between the two."""
        return self.down.shape[1]

    def kernel(self) -> np.ndarray:
        """The one kernel float32 [D, C] that both together stand for."""
        return self.down @ self.up

    def logits(self, features: np.ndarray) -> np.ndarray:
        """The scores float32 [n, C] of features float32 [n, D]."""
        return (features @ self.down) @ self.up + self.bias


def most_rank(dimension: int, classes: int) -> int:
    """The largest rank R with which R × (D + C) numbers are fewer than D × C; 0: there is none.

    It is below both D and C.
    """
    return (dimension * classes - 1) // (dimension + classes)


def check_rank(rank: int, dimension: int, classes: int) -> None:
    """Raise UserError for a rank that makes a head of [D, C] no smaller."""
    most = most_rank(dimension, classes)
    if 1 <= rank <= most:
        return
    head = f"a head of {dimension:,} features and {classes:,} classes"
    if most < 2:  # `with_common_logit` takes one
        raise UserError(f"{head} is too small to be factorised: leave --head_rank out")
    raise UserError(f"--head_rank={rank} does not make {head} smaller: give at most {most}")


def factorise(kernel: np.ndarray, bias: np.ndarray, features: Rows, rank: int) -> Factors:
    """The head of a rank whose scores are nearest to the full head's, on photographs' features.

    What is minimised is the mean over the photographs of the sum over classes of w (s - s')², for
    the scores s = x W + b and s' = x A B + b'. It has an answer in closed form: with the features'
    covariance S = L Lᵀ and the classes' weights V, the best A B is the truncated singular value
    decomposition of Lᵀ W √V, taken back to the features (Chen et al., "DRONE: Data-aware low-rank
    compression for large NLP models", NeurIPS 2021, theorem 1; Wang et al., "SVD-LLM", 2024,
    section 3.2; weights of outputs: Hsu et al., "Language model compression with weighted low-rank
    factorization", ICLR 2022, section 3). Of the singular vectors only the left ones are needed,
    which are the eigenvectors U of the D × D matrix Lᵀ W V Wᵀ L; B = Uᵀ Lᵀ W, and A = W V Wᵀ L U
    divided by the eigenvalues, for which no covariance is inverted. The features reduced to R
    numbers, x A, then have no correlation and about unit variance, so that neither factor holds
    weights that int8 would drown the others with.

    - The mean of the features goes into b': a constant needs no rank.
    - A class weighs as much as the full head's mean probability of it, each class counted as seen
      once more: few photographs tell little of many classes. To the second order the sum is then
      the divergence of the probabilities, averages taken for each photograph's own.
    - From the kernel its weighted mean over classes is subtracted, for good: it moves all scores of
      a photograph alike, which softmax and order do not see, and would cost a rank. The scores
      that come back differ from the full head's by such a number a photograph.

    At 1,280 features and 60,000 classes 20 s on two cores, and 0.5 GB beside kernel and features.

    Args:
        kernel: float32 [D, C].
        bias: float32 [C].
        features: of n photographs [n, D] like those that the head will see; those it was trained
            on are best. Of more than 20,000 so many are taken, evenly spaced.
        rank: R.

    Raises:
        UserError: the rank makes the head no smaller (`check_rank`), or there is no photograph.
    """
    check_rank(rank, *kernel.shape)
    if not len(features):
        raise UserError("a head can only be factorised by photographs, and there are none")
    from scipy.linalg import eigh

    mean, root = _mean_and_root(features)
    weights = _class_weights(kernel, bias, features)
    # float64 all along: eigenvalues are squares of singular values, which span many magnitudes.
    centre, gram = np.zeros(len(kernel)), np.zeros((len(kernel), len(kernel)))
    for at, block in _blocks(kernel):
        weighted = block * weights[at]
        centre += weighted.sum(axis=1)
        gram += weighted @ block.T
    gram -= np.outer(centre, centre)  # of the kernel without its mean: the weights add up to 1
    last = len(kernel) - 1
    values, vectors = eigh(root.T @ gram @ root, subset_by_index=(last - rank + 1, last))
    values, vectors = values[::-1], root @ vectors[:, ::-1]
    some = values > _NOTHING * max(values[0], 0)
    down = gram @ vectors * np.divide(1, values, where=some, out=np.zeros(rank))
    up = np.empty((rank, kernel.shape[1]), np.float32)
    offset = bias - weights @ bias
    for at, block in _blocks(kernel):
        block -= centre[:, None]
        part = vectors.T @ block
        up[:, at] = part
        offset[at] += mean @ block - (mean @ down) @ part
    return Factors(down.astype(np.float32), up, offset.astype(np.float32))


def truncate(factors: Factors, rank: int, features: Rows) -> Factors:
    """What `factorise` gives for a lower rank, from the factors of a higher one.

    Args:
        factors: as they came from `factorise`, of at least that rank.
        rank: R.
        features: those that they were made with.
    """
    # What is cut off is replaced by its mean over the photographs.
    gone = moments(features)[0] @ factors.down[:, rank:].astype(np.float64)
    bias = factors.bias + gone @ factors.up[rank:]
    return Factors(factors.down[:, :rank], factors.up[:rank], bias.astype(np.float32))


def with_common_logit(
    factors: Factors, kernel: np.ndarray, bias: np.ndarray, features: Rows
) -> Factors:
    """The factors and one column more, which says how high all logits of a photograph are.

    The softmax does not need it, and factors fitted to it alone forget it; but it tells organisms
    from scenes without (`evaluation.unknown`). Afterwards the mean logit, in which each class
    counts by its share of the photographs, is that of the full head. The rank becomes R + 1.

    Args:
        factors: of rank R.
        kernel: float32 [D, C] of the full head.
        bias: float32 [C] of the full head.
        features: of photographs, [n, D].
    """
    share = _class_weights(kernel, bias, features)
    column = kernel @ share - factors.down @ (factors.up @ share)
    offset = float((bias - factors.bias) @ share)
    heights = np.concatenate([b @ column for b in some_rows(features, _MOST_FOR_SHARES)])
    deviation = float(heights.std()) or 1.0
    return Factors(
        np.column_stack([factors.down, column / deviation]).astype(np.float32),
        np.vstack([factors.up, np.full(len(bias), deviation)]).astype(np.float32),
        (factors.bias + offset).astype(np.float32),
    )


def some_rows(features: Rows, most: int) -> Iterator[np.ndarray]:
    """Blocks float32 [b, D] of at most so many photographs, evenly spaced among all."""
    count = min(len(features), most)
    chosen = np.linspace(0, len(features) - 1, count).round().astype(np.int64)
    for start in range(0, count, _ROWS):
        yield features[chosen[start : start + _ROWS]]


def _mean_and_root(features: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The mean [D] and a square root L [D, D] of the covariance L Lᵀ with the ridge, float64."""
    mean = moments(features)[0].astype(np.float64)
    count, squares = 0, np.zeros((len(mean), len(mean)))
    for block in some_rows(features, _MOST_FOR_COVARIANCE):
        count += len(block)
        squares += (block - mean).T @ (block - mean)
    covariance = squares / count
    variance = float(np.trace(covariance)) / len(mean)
    ridge = _RIDGE * variance if variance > 0 else 1.0
    return mean, np.linalg.cholesky(covariance + ridge * np.eye(len(mean)))


def _class_weights(kernel: np.ndarray, bias: np.ndarray, features: Rows) -> np.ndarray:
    """How much each class counts, float64 [C]; they add up to 1."""
    from scipy.special import softmax

    seen = np.ones(kernel.shape[1])
    for block in some_rows(features, _MOST_FOR_SHARES):
        seen += softmax(block @ kernel + bias, axis=1).sum(axis=0)
    return seen / seen.sum()


def _blocks(kernel: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Some classes at a time: which, and a copy float64 [D, c] of their columns."""
    for start in range(0, kernel.shape[1], _COLUMNS):
        at = slice(start, start + _COLUMNS)
        yield at, kernel[:, at].astype(np.float64)
