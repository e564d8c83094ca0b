"""Does a compressed model say what the full one says? On golden and on validation photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.errors import GateRefusedError
from taxonvision.evaluation.calibration import expected_calibration_error
from taxonvision.evaluation.intervals import share
from taxonvision.export.golden import GoldenFile
from taxonvision.photograph import read_upright
from taxonvision.progress import track
from taxonvision.runtime.contract import Contract

Score = Callable[[np.ndarray], np.ndarray]
"""Pixels uint8 [n, S, S, 3] to probabilities float32 [n, C]."""

_BATCH = 32
_NONE = np.empty(0, np.float32)
ENOUGH = 50
"""Validation photographs from which on they, and not the few golden ones, judge 8 bits."""


@dataclass(frozen=True)
class Limits:
    """How far a bundle may be from the network that it was made of before it is refused.

    A score near one half moves far when its logit moves a little, so the limits for 8 bits on
    golden photographs are wide: they catch a broken graph, not a slightly worse one.

    Attributes:
        share: no golden score may move by more than this share of the network's best score.
        margin: a golden name must stay the same where the network's best score is further than
            this above its second.
        same_name: that share of validation photographs keep their name; less must not be proven.
        decided_by_golden: also where there are enough validation photographs.
    """

    share: float
    margin: float
    same_name: float
    decided_by_golden: bool


LIMITS = {
    "float32": Limits(0.002, 0.002, 0.99, True),
    "float16": Limits(0.05, 0.05, 0.98, True),
    "dynamic": Limits(0.6, 0.5, 0.9, False),
    "int8": Limits(0.6, 0.5, 0.9, False),
}


@dataclass(frozen=True)
class Agreement:
    """How a bundle fares against the network it was made of on the golden photographs.

    Attributes:
        photographs: how many were compared.
        same_name: how many get the same best name.
        largest_difference: of all scores, as a fraction of 1.
    """

    photographs: int
    same_name: int
    largest_difference: float


@dataclass(frozen=True)
class Named:
    """What a model calls n photographs.

    Attributes:
        best: int64 [n], positions of the best outputs.
        confidence: float32 [n], their probabilities.
        known: float32 [n], the sum of all probabilities.
    """

    best: np.ndarray
    confidence: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, batches: Iterable[np.ndarray]) -> Named:
        """From batches of probabilities [b, C]; only this is kept of them."""
        best, confidence, known = [np.empty(0, np.int64)], [_NONE], [_NONE]
        for scores in batches:
            best.append(scores.argmax(axis=1))
            confidence.append(scores.max(axis=1))
            known.append(scores.sum(axis=1))
        return cls(*(np.concatenate(column) for column in (best, confidence, known)))


def scored(score: Score, pixels: np.ndarray, description: str) -> Iterator[np.ndarray]:
    """The probabilities of photographs, uint8 [n, S, S, 3], some at a time."""
    if not len(pixels):
        return
    batches = (pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH))
    for batch in track(batches, len(pixels), description, size=len):
        yield score(batch)


def judge_golden(
    recipe: str, golden: Sequence[GoldenFile], contract: Contract, score: Score, reference: Score
) -> tuple[np.ndarray, Agreement, str]:
    """Run a compressed model on the golden files.

    Returns its scores float32 [n, C], how they compare with those of the network it was made of,
    and what speaks against it, "" for nothing: a score that is too far off, or a name that changed
    and was no close call.
    """
    pixels = np.stack([contract.apply(read_upright(file.content)) for file in golden])
    found, wanted = score(pixels), reference(pixels)
    difference = np.abs(found - wanted).max(axis=1)
    same = found.argmax(axis=1) == wanted.argmax(axis=1)
    second, best = np.sort(wanted, axis=1)[:, -2:].T
    limits = LIMITS[recipe]
    moved = ~(difference <= limits.share * best)  # also where a score is not a number
    renamed = ~same & (best - second > limits.margin)
    against = ""
    if (moved | renamed).any():
        against = (
            f"scores differ by up to {difference.max():.3f} and {int(same.sum())} of "
            f"{len(golden)} golden photographs keep their name"
        )
    return found, Agreement(len(golden), int(same.sum()), float(difference.max())), against


def refuse_broken(recipe: str, against: str, network: Named, this: Named) -> None:
    """Raise GateRefusedError where golden or validation photographs speak against a bundle.

    `network` and `this` are what the network it was made of and the bundle call the latter.
    """
    limits, n = LIMITS[recipe], len(this.best)
    same = int(((network.best == this.best) & np.isfinite(this.confidence)).sum())
    if share(same, n).high < limits.same_name:
        against = f"{same} of {n} validation photographs keep their name"
    elif n >= ENOUGH and not limits.decided_by_golden:
        return
    if against:
        raise GateRefusedError(
            f"the {recipe} model does not agree with the full one: {against}; no bundle was written"
        )


def validation_record(full: Named, this: Named, truth: np.ndarray) -> Mapping[str, Any] | None:
    """What bundle.json says of the full model and the bundle on validation photographs.

    `truth` int64 [n] are the positions of the right outputs. None where there is no photograph.
    """
    if not len(truth):
        return None
    return {
        "split": "val",
        "photographs": len(truth),
        "same_name": _rounded((full.best == this.best).mean()),
        "top1": {
            "full": _rounded((full.best == truth).mean()),
            "this": _rounded((this.best == truth).mean()),
        },
        "calibration_error": {"full": _error(full, truth), "this": _error(this, truth)},
    }


def _error(named: Named, truth: np.ndarray) -> float:
    return _rounded(expected_calibration_error(named.confidence, named.best == truth))


def _rounded(value: float) -> float:
    return round(float(value), 4)
