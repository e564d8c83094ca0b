"""A loss of top 1 on the same photographs, judged by two one-sided bounds.

One place for the gates of `update` and `compare`. All shares, differences and bounds are fractions
of 1; `POINT` is one point of percent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import one_sided
from taxonvision.text import several

POINT = 0.01
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Loss:
    """What is lost of top 1 on n photographs, and how much may be.

    Attributes:
        photographs: n, at least 1.
        taxa: how many taxa they show.
        lost: right before and wrong after.
        won: wrong before and right after.
        low: the loss is above this with 95 % confidence.
        high: the loss is below this with 95 % confidence.
        limit: the loss that is let pass.
        strict: whether a loss must be ruled out, not only unproven.
    """

    photographs: int
    taxa: int
    lost: int
    won: int
    low: float
    high: float
    limit: float
    strict: bool

    @property
    def loss(self) -> float:
        """Top 1 before minus after."""
        return (self.lost - self.won) / self.photographs

    @property
    def passed(self) -> bool:
        """Whether the bound that counts is within the limit."""
        return (self.high if self.strict else self.low) <= self.limit

    def in_words(self, flag: str, photographs: str) -> str:
        """What was lost and how it is judged; both bounds are in it whatever is judged.

        Args:
            flag: the flag that sets the limit, as `--max_drop`.
            photographs: what there should be more of, as `test photographs of old taxa`.
        """
        judgement = self._judgement(f"{flag}={self.limit / POINT:g}", photographs)
        low, high = _points(self.low, self.limit), _points(self.high, self.limit)
        kind = "loss" if self.loss >= 0 else "gain"
        return (
            f"a {kind} of {abs(self.loss) / POINT:.2f} points "
            f"({several(self.photographs, 'photograph')} of {several(self.taxa, 'taxon')}, "
            f"{self.lost} lost, {self.won} won); the loss, at least {low} and at most {high} "
            f"points with 95% confidence each, is {judgement}"
        )

    def _judgement(self, limit: str, photographs: str) -> str:
        if self.low > self.limit:
            return f"proven to be more than {limit}"
        if self.high <= self.limit:
            return f"proven to be no more than {limit}"
        if self.strict:
            return (
                f"not proven to be within {limit}, as --strict asks; more {photographs} "
                "would bring the bounds closer"
            )
        return f"not proven to be more than {limit}"


def check_limit(name: str, limit: float) -> None:
    """Raise ValueError when a limit is no fraction."""
    if not 0 <= limit <= 1:
        raise ValueError(f"{name} is a fraction from 0 to 1, not {limit}")


def loss_of(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, limit: float, *, strict: bool
) -> Loss | None:
    """The loss on n photographs; None where there are none, so that nothing can be judged.

    Args:
        truth: int64 [n], the taxon on each photograph.
        before: bool [n], whether each was right.
        after: bool [n], the same photographs later.
        limit: the loss that is let pass, from 0 to 1.
        strict: whether a loss must be ruled out, not only unproven.
    """
    if not len(truth):
        return None
    bounds = one_sided(before, after).reversed
    return Loss(
        photographs=len(truth),
        taxa=len(np.unique(truth)),
        lost=int((before & ~after).sum()),
        won=int((after & ~before).sum()),
        low=bounds.low,
        high=bounds.high,
        limit=limit,
        strict=strict,
    )


def _points(bound: float, limit: float) -> str:
    """A bound in points, with as many decimals as it takes to tell it from the limit."""
    for decimals in range(2, _MOST_DECIMALS):
        if round(bound / POINT, decimals) != round(limit / POINT, decimals):
            break
    return f"{bound / POINT:z.{decimals}f}"
