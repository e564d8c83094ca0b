"""Which flips a page shows: so many that it stays small, the surest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taxonvision.evaluation.comparison.comparison import LOST, WON, Comparison, Flip

_MOST_SHOWN = 96
_MOST_OF_A_KIND = 24
_FEWEST_OF_A_KIND = 6


@dataclass(frozen=True)
class Gallery:
    """The flips of one candidate.

    Attributes:
        name: of the candidate.
        lost: those shown that the reference named right.
        won: those shown that the candidate named right.
        lost_more: how many lost ones are not shown.
        won_more: how many won ones are not shown.
    """

    name: str
    lost: Sequence[Flip]
    won: Sequence[Flip]
    lost_more: int
    won_more: int


def galleries(comparison: Comparison) -> list[Gallery]:
    """The flips that are shown of each candidate, at most about `_MOST_SHOWN` of all together."""
    equal = _MOST_SHOWN // (2 * len(comparison.candidates))
    most = min(max(equal, _FEWEST_OF_A_KIND), _MOST_OF_A_KIND)
    found = []
    for candidate in comparison.candidates:
        lost, won = (
            [flip for flip in candidate.flips if flip.kind == kind] for kind in (LOST, WON)
        )
        more = (max(0, len(flips) - most) for flips in (lost, won))
        found.append(Gallery(candidate.model.name, lost[:most], won[:most], *more))
    return found
