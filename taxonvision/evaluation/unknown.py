"""Where a model says that a photograph shows no organism that it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

KNOWN = 0.95
"""What probabilities add up to where `unknown_logit_of` draws the line.

With a half, those of photographs near the line would be halved, and no longer say how often a name
is right.
"""
_KEPT = 0.95
"""Share of rightly named photographs that keep their name, at least."""
FEWEST = 20
"""Photographs that scores are fitted on, at least: one in 20 may lose its name."""


@dataclass(frozen=True)
class Unknown:
    """A threshold for a score of photographs, and what it does.

    Attributes:
        threshold: below it, no organism is known.
        photographs: of organisms, rightly named without it.
        kept: share of them whose score is not below it.
        scenes: photographs without an organism.
        false_names: share of them whose score is not below it, so that they get a name.
    """

    threshold: float
    photographs: int
    kept: float
    scenes: int
    false_names: float

    def as_json(self) -> dict[str, Any]:
        """As manifests hold it."""
        return {
            "threshold": self.threshold,
            "photographs": self.photographs,
            "kept": self.kept,
            "scenes": self.scenes,
            "false_names": self.false_names,
        }


def fit_unknown(named: np.ndarray, scenes: np.ndarray) -> Unknown | None:
    """The threshold that tells rightly named photographs from scenes without an organism.

    The score is log Σ exp(logits), the negative free energy, or what rises with it: it tells what a
    network was trained on from the rest better than its best probability does, which forgets how
    high all logits were (Liu et al. 2020, Energy-based Out-of-distribution Detection). The
    threshold maximises kept - false_names, Youden's index (1950), among those that keep 95 % of
    `named` or more; of equals it keeps the most, and lies midway between the scores beside it.

    Args:
        named: float [n], of photographs that are named rightly.
        scenes: float [m], the same of photographs without an organism.

    Returns:
        None where no threshold is better than none.

    Raises:
        ValueError: one of them is empty.
    """
    if not len(named) or not len(scenes):
        raise ValueError("a threshold is fitted on photographs of both kinds")
    organisms, empty = (np.sort(np.asarray(each, np.float64)) for each in (named, scenes))
    tried = np.unique(organisms)  # from one to the next, only false names become fewer
    kept = _reaching(organisms, tried)
    false_names = _reaching(empty, tried)
    index = np.where(kept >= _KEPT, kept - false_names, -np.inf)
    best = int(index.argmax())  # the lowest of equals
    if index[best] <= 0:
        return None
    at = float(tried[best])
    below = np.concatenate([organisms[organisms < at], empty[empty < at]])
    return Unknown(
        threshold=(float(below.max()) + at) / 2,
        photographs=len(organisms),
        kept=float(kept[best]),
        scenes=len(empty),
        false_names=float(false_names[best]),
    )


def unknown_logit_of(energy: float) -> float:
    """The logit of one class more, with which the others add up to `KNOWN` at log Σ exp(logits)."""
    return energy - math.log(KNOWN / (1 - KNOWN))


def _reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of sorted scores that are not below each threshold."""
    return (len(scores) - np.searchsorted(scores, thresholds)) / len(scores)
