"""Logits become probabilities, of which some may be left for nothing that a model knows."""

from __future__ import annotations

import numpy as np

_ROUNDING = 0.02  # of probabilities that were quantised


def probabilities_of(logits: np.ndarray, unknown_logit: float | None = None) -> np.ndarray:
    """Their softmax, float32 [n, C].

    Args:
        logits: float32 [n, C].
        unknown_logit: of one class more, "nothing that I know", the same for every photograph: the
            rows then add up to less than 1 by its probability, the sigmoid of
            log Σ exp(logits) - unknown_logit. None: they add up to 1.
    """
    from scipy.special import softmax

    if unknown_logit is None:
        return np.asarray(softmax(logits, axis=1), np.float32)
    one_more = np.pad(logits, ((0, 0), (0, 1)), constant_values=np.float32(unknown_logit))
    return np.asarray(softmax(one_more, axis=1)[:, :-1], np.float32)


def are_shares(scores: np.ndarray) -> bool:
    """Whether a photograph's scores, float [C], are shares of 1, of which some may be left over."""
    return bool(scores.min() >= 0 and scores.sum() <= 1 + _ROUNDING)
