"""Where a model says that a photograph shows no organism that it knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.progress import say
from taxonvision.text import several

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

    def in_words(self, threshold: float, kind: str = "") -> str:
        """What a threshold for the sum of all probabilities does; `kind` of scenes."""
        scenes = several(self.scenes, f"{kind} scene".strip())
        return (
            f"scores that add up to less than {threshold:.3f} mean no organism that it knows: "
            f"{self.kept:.1%} of {several(self.photographs, 'photograph')} keep their name, "
            f"{self.false_names:.1%} of {scenes} get one"
        )

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


def tell_apart(named: np.ndarray, scenes: np.ndarray, whose: str) -> Unknown | None:
    """`fit_unknown`; why it is not to be had is said of `whose`, "the model" or "the bundle"."""
    if len(named) < FEWEST:
        say_too_few(f"{several(len(named), 'validation photograph')} named rightly", whose)
        return None
    found = fit_unknown(named, scenes)
    if found is None:
        say("warning: the scores do not tell organisms from scenes without")
    return found


def say_too_few(photographs: str, whose: str) -> None:
    """Say why `whose` model or bundle will never say that it knows nothing."""
    say(
        f"warning: {photographs} are too few to tell organisms from scenes without; {whose} will "
        "have a name for everything"
    )


def unknown_logit_of(energy: float) -> float:
    """The logit of one class more, with which the others add up to `KNOWN` at log Σ exp(logits)."""
    return energy - math.log(KNOWN / (1 - KNOWN))


def _reaching(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The share of sorted scores that are not below each threshold."""
    return (len(scores) - np.searchsorted(scores, thresholds)) / len(scores)
