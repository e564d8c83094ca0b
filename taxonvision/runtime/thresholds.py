"""The numbers that decide what a model says of a photograph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_LARGE = 2**53  # whole numbers below it are floats without loss


@dataclass(frozen=True)
class Thresholds:
    """What is kept, what is named as sure, and when nothing is known.

    Scores and shares are fractions of 1. The defaults are those of iNaturalist's clients (kept
    share: its camera plugin; shown: Seek, which shows score × 100 > 70) and of its server (common
    ancestor). ValueError for a fraction outside 0 to 1, fewer leaves than one, or levels that are
    not in order.

    Attributes:
        kept_share: leaves below this share of the best leaf's score are dropped.
        shown: a taxon whose rolled-up score is above this is named as sure.
        ancestor_score: a common ancestor's score has to be above this.
        ancestor_leaves: a common ancestor is sought among so many of the best leaves.
        ancestor_share: of these, leaves below this share of the best leaf's score do not count.
        ancestor_rank_levels: the lowest and the highest level of a common ancestor, both included.
        unknown: a photograph whose leaves' scores add up to less shows nothing that the model
            knows; 0 where this is never said.
        by_taxon: taxa, by their ids, that have another threshold of their own instead of `shown`;
            scores are at most 1, so that a taxon whose threshold is 1 is never sure.
    """

    kept_share: float = 0.001
    shown: float = 0.7
    ancestor_score: float = 0.78
    ancestor_leaves: int = 15
    ancestor_share: float = 0.01
    ancestor_rank_levels: tuple[float, float] = (20, 33)
    unknown: float = 0.0
    by_taxon: Mapping[int, float] = field(default_factory=dict, repr=False, hash=False)

    def __post_init__(self) -> None:
        names = ("kept_share", "shown", "ancestor_score", "ancestor_share", "unknown")
        for value in (*(getattr(self, name) for name in names), *self.by_taxon.values()):
            if not 0 <= value <= 1:  # neither is NaN
                raise ValueError(f"{value!r} is no fraction of 1")
        if self.ancestor_leaves < 1:
            raise ValueError(f"a common ancestor of {self.ancestor_leaves} leaves")
        low, high = self.ancestor_rank_levels
        if not (math.isfinite(low) and math.isfinite(high) and low <= high):
            raise ValueError(f"rank levels from {low} to {high} are no range")

    def shown_of(self, taxon_id: int) -> float:
        """The score above which this taxon is named as sure."""
        return self.by_taxon.get(taxon_id, self.shown)

    def as_json(self) -> dict[str, Any]:
        """The object `thresholds` of bundle.json, all but `by_taxon`, which is a table."""
        return {
            "kept_share": self.kept_share,
            "shown": self.shown,
            "common_ancestor": {
                "score": self.ancestor_score,
                "leaves": self.ancestor_leaves,
                "share": self.ancestor_share,
                "rank_levels": list(self.ancestor_rank_levels),
            },
            "unknown": self.unknown,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Thresholds:
        """Read what `as_json` gives, or version 1's, which has only `shown`.

        Raises KeyError, TypeError or ValueError where it lacks or garbles a field.
        """
        shown = _number(value["shown"])
        if value.keys().isdisjoint({"kept_share", "common_ancestor", "unknown"}):
            return cls(shown=shown)
        ancestor = value["common_ancestor"]
        leaves = ancestor["leaves"]
        if type(leaves) is not int:
            raise ValueError(f"{leaves!r} is no number of leaves")
        low, high = ancestor["rank_levels"]
        return cls(
            kept_share=_number(value["kept_share"]),
            shown=shown,
            ancestor_score=_number(ancestor["score"]),
            ancestor_leaves=leaves,
            ancestor_share=_number(ancestor["share"]),
            ancestor_rank_levels=(_number(low), _number(high)),
            unknown=_number(value["unknown"]),
        )


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not abs(value) < _LARGE:  # NaN is not below it
        raise ValueError(f"{str(value)[:50]!r} is no number as thresholds have")
    return float(value)
