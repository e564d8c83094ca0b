"""Rows for new classes in an instant: class means instead of a fit.

Weight imprinting (Qi, Brown and Lowe, "Low-shot learning with imprinted weights", CVPR 2018) makes
the mean of a class's features its row. Whitened by the covariance within classes that is linear
discriminant analysis (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning",
2009, section 4.3), which knows alike classes better apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.features.rows import Rows
from taxonvision.progress import track

_SAMPLE, _SAMPLE_OF_CLASS = 15_000, 32
"""Photographs of old and of new classes each that the covariance is estimated from."""
_JUDGED = 2_048
"""Photographs of old and of new classes each that the bias is matched on."""
_ENOUGH = 100
"""Photographs of old classes; fewer do not tell what new rows take from them."""
_TAKEN = 0.85
"""What new rows get of their own photographs where too few of old classes are at hand. More of it
finds more of the new taxa and takes more photographs from the old ones."""
_UNSEEN = -10.0
"""Bias of a new class without photographs. The logits of a softmax regression that began with zeros
are about 0 on the mean of the classes, so that the best of them is far above."""
_CHUNK = 8_192
"""Photographs whose features are read at once."""
_LOGITS = 1 << 24
"""Logits that are held at once."""


def imprint(
    kernel: np.ndarray,
    bias: np.ndarray,
    features: Rows,
    class_ids: np.ndarray,
    *,
    new: np.ndarray,
    old: np.ndarray,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Fill the columns of new classes; the others stay as they are, bit for bit.

    A new row is the whitened difference of the class mean from the mean of all classes at hand,
    made as long as old rows are on average. One class alone has no such mean: its row is its own
    whitened mean, which takes more from old classes.

    One number is added to the biases of all new rows: such that they get the probability that is
    their due in a sample in which old and new photographs count as much as they have classes;
    where fewer than 100 photographs of old classes are at hand, such that they get 85 % of the
    photographs of new classes. These are judged by the mean of the others of their class, so that
    few photographs do not look easy; where there are very few, new rows take little.

    Takes memory for two kernels and some hundred megabytes.

    Args:
        kernel: the grown head's, float32 [D, C].
        bias: the grown head's, float32 [C].
        features: of n photographs, of new classes and of as many old ones as are at hand.
        class_ids: their classes, int [n].
        new: ids of the classes to fill, int [m]; one without a photograph scores lowest.
        old: ids of the other classes that are answered, int [k]; retired ones are not.
        seed: of the samples.

    Returns:
        Kernel float32 [D, C] and bias float32 [C].

    """
    kernel, bias = kernel.copy(), bias.copy()
    seen = np.bincount(class_ids, minlength=len(bias))[new] > 0
    kernel[:, new[~seen]], bias[new[~seen]] = 0, _UNSEEN
    new = np.unique(new[seen])
    if not len(new):
        return kernel, bias
    rng = np.random.default_rng(seed)
    samples = [_sample(class_ids, ids, len(bias), rng) for ids in (old, new)]
    judged = min(_JUDGED, max(_LOGITS // len(new), 256))
    of_old, of_new = (np.sort(rng.permutation(rows)[:judged]) for rows in samples)
    sample = np.sort(np.concatenate(samples))
    statistics = _statistics(features[sample], class_ids[sample])
    means, counts = _class_means(features, class_ids, new, len(kernel))
    lengths = np.sqrt(np.einsum("ij,ij->j", kernel, kernel))[old]
    rows = _Rows.of(means, counts, statistics, lengths.mean() if len(old) else 1.0)

    values, own = features[of_new], np.searchsorted(new, class_ids[of_new])
    margins = _log_sum(rows.scores_without(values, own)) - _rivals(values, kernel, bias, old)
    if len(of_old) < _ENOUGH:
        shift = _shift(margins, np.ones(len(margins)), _TAKEN)
    else:
        values = features[of_old]
        margins_of_old = _log_sum(rows.scores(values)) - _rivals(values, kernel, bias, old)
        weights = np.repeat(
            [len(old) / len(of_old), len(new) / len(of_new)], [len(of_old), len(of_new)]
        )
        margins = np.concatenate([margins_of_old, margins])
        shift = _shift(margins, weights, len(new) / (len(old) + len(new)))
    kernel[:, new] = rows.values.T
    bias[new] = rows.offsets + shift
    return kernel, bias


@dataclass(frozen=True)
class _Statistics:
    """Of the classes at hand: the mean of their means [D], the covariance within them [D, D]."""

    centre: np.ndarray
    covariance: np.ndarray

    def whitened(self, values: np.ndarray) -> np.ndarray:
        """Float64 [n, D] of [n, D]: multiplied by the inverse of the covariance."""
        return np.linalg.solve(self.covariance, values.T).T


@dataclass(frozen=True)
class _Rows:
    """The rows of m new classes before their biases are shifted.

    Attributes:
        values: float64 [m, D].
        offsets: float64 [m], the biases.
        means, counts: of the photographs of each class, [m, D] and [m].
        scales: what whitened differences were multiplied by, [m].
        statistics: what they were whitened by.
    """

    values: np.ndarray
    offsets: np.ndarray
    means: np.ndarray
    counts: np.ndarray
    scales: np.ndarray
    statistics: _Statistics

    @classmethod
    def of(
        cls, means: np.ndarray, counts: np.ndarray, statistics: _Statistics, length: float
    ) -> _Rows:
        """Rows of one length."""
        values = statistics.whitened(means - statistics.centre)
        scales = length / np.maximum(np.linalg.norm(values, axis=1), 1e-12)
        values *= scales[:, None]
        offsets = -0.5 * ((means + statistics.centre) * values).sum(axis=1)
        return cls(values, offsets, means, counts, scales, statistics)

    def scores(self, values: np.ndarray) -> np.ndarray:
        """Logits [n, m] of features [n, D]."""
        return values @ self.values.T + self.offsets

    def scores_without(self, values: np.ndarray, own: np.ndarray) -> np.ndarray:
        """The same, each photograph scored for its `own` class as if it was not in the mean.

        The mean of the other n - 1 is n / (n - 1) times as far from it as the mean of all n. One
        alone counts as one of two.
        """
        scores = self.scores(values)
        residuals = values - self.means[own]
        distances = (residuals * self.statistics.whitened(residuals)).sum(axis=1)
        count = np.maximum(self.counts[own], 2)
        farther = (count / (count - 1)) ** 2 - 1
        scores[np.arange(len(own)), own] -= 0.5 * self.scales[own] * distances * farther
        return scores


def _sample(
    class_ids: np.ndarray, chosen: np.ndarray, classes: int, rng: np.random.Generator
) -> np.ndarray:
    """Rows of the chosen classes, no more than 32 of each and 15,000 in all, int64 [n]."""
    counts = np.minimum(np.bincount(class_ids, minlength=classes), _SAMPLE_OF_CLASS)
    some = rng.permutation(chosen)
    some = some[np.cumsum(counts[some]) <= _SAMPLE]
    rows = rng.permutation(np.flatnonzero(np.isin(class_ids, some)))
    rows = rows[np.argsort(class_ids[rows], kind="stable")]
    _, starts, sizes = np.unique(class_ids[rows], return_index=True, return_counts=True)
    return rows[np.arange(len(rows)) - np.repeat(starts, sizes) < _SAMPLE_OF_CLASS]


def _statistics(values: np.ndarray, class_ids: np.ndarray) -> _Statistics:
    """What the classes of the features [n, D] have in common; the centre of one class is 0.

    The covariance is shrunk towards a multiple of the identity by OAS (Chen, Wiesel, Eldar and
    Hero, "Shrinkage algorithms for MMSE covariance estimation", IEEE Transactions on Signal
    Processing 58, 2010, equation 23); it is the identity where no class has two photographs.
    """
    ids, own = np.unique(class_ids, return_inverse=True)
    means = _sums(values, own)[1].astype(np.float64) / np.bincount(own)[:, None]
    centre = means.mean(axis=0) if len(ids) > 1 else np.zeros(values.shape[1])
    residuals = values - means[own].astype(np.float32)
    freedom, size = len(values) - len(ids), values.shape[1]
    covariance = (residuals.T @ residuals).astype(np.float64) / max(freedom, 1)
    trace, squares = np.trace(covariance), np.square(covariance).sum()
    if not trace > 0:
        return _Statistics(centre, np.eye(size))
    unequal = (freedom + 1 - 2 / size) * (squares - trace**2 / size)
    shrunk = (1 - 2 / size) * squares + trace**2
    share = shrunk / unequal if unequal > shrunk else 1.0
    covariance *= 1 - share
    covariance[np.diag_indices(size)] += share * trace / size
    return _Statistics(centre, covariance)


def _class_means(
    features: Rows, class_ids: np.ndarray, new: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means float64 [m, size] and numbers [m] of the photographs of the classes `new`, sorted."""
    wanted = np.flatnonzero(np.isin(class_ids, new))
    own = np.searchsorted(new, class_ids[wanted])
    sums = np.zeros((len(new), size))
    spans = [slice(at, at + _CHUNK) for at in range(0, len(wanted), _CHUNK)]
    for span in track(spans, len(spans), "class means", "chunks", closing=False):
        ids, part = _sums(features[wanted[span]], own[span])
        sums[ids] += part
    counts = np.bincount(own, minlength=len(new))
    return sums / counts[:, None], counts


def _sums(values: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes among `own` [n], and the sums [k, D] of their features [n, D]."""
    from scipy.sparse import coo_array

    ids, place = np.unique(own, return_inverse=True)
    ones = np.ones(len(values), values.dtype)
    return ids, coo_array((ones, (place, np.arange(len(values))))).tocsr() @ values


def _rivals(
    values: np.ndarray, kernel: np.ndarray, bias: np.ndarray, old: np.ndarray
) -> np.ndarray:
    """What the old classes together score: the logarithm of the sum of exp(logits), [n]."""
    out = np.ones(len(bias), bool)
    out[old] = False
    scores = np.empty(len(values))
    step = max(_LOGITS // len(bias), 1)
    for at in range(0, len(values), step):
        logits = values[at : at + step] @ kernel + bias
        logits[:, out] = -np.inf
        scores[at : at + step] = _log_sum(logits)
    return scores


def _log_sum(logits: np.ndarray) -> np.ndarray:
    highest = logits.max(axis=1, keepdims=True)
    highest[~np.isfinite(highest)] = 0
    with np.errstate(divide="ignore"):
        return highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))


def _shift(margins: np.ndarray, weights: np.ndarray, share: float) -> float:
    """What is to be added to margins [n] so that the mean of their logistic function is `share`.

    Where the share is that of the new photographs this is the shift of greatest likelihood.
    """
    finite = margins[np.isfinite(margins)]
    if not len(finite):
        return 0.0
    low, high = -finite.max() - 50, -finite.min() + 50
    for _ in range(60):
        middle = (low + high) / 2
        taken = np.average(0.5 + 0.5 * np.tanh((margins + middle) / 2), weights=weights)
        low, high = (middle, high) if taken < share else (low, middle)
    return float(low + high) / 2
