"""Taxonomic distance: how far up the tree the truth and what is named instead come together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.taxonomy.ranks import MAIN_RANKS, RANK_LEVELS
from taxonvision.taxonomy.tree import Taxonomy

NOTHING_SHARED = len(MAIN_RANKS) + 1
"""The distance of taxa without a common ancestor."""
_LEVELS = tuple(RANK_LEVELS[rank] for rank in MAIN_RANKS)


def taxonomic_distance(taxonomy: Taxonomy, first: int, second: int) -> int:
    """The number of main ranks at which two taxa are not the same, from species to kingdom.

    These are the ranks below the lowest common ancestor, but not those below both taxa: 1 for two
    species of a genus or two genera of a family, 2 for two species of two genera of a family. It
    is 1 at least for different taxa, as a subspecies and its species; `NOTHING_SHARED`, one more
    than in two kingdoms under one root, for taxa without a common ancestor; 0 for a taxon and
    itself.

    Args:
        taxonomy: the tree; a taxon that is not in it shares nothing.
        first: a taxon id.
        second: another, in any order.
    """
    if first == second:
        return 0
    if first not in taxonomy or second not in taxonomy:
        return NOTHING_SHARED
    above = {taxon.taxon_id for taxon in taxonomy.lineage(first)}
    shared = next((t for t in taxonomy.lineage(second) if t.taxon_id in above), None)
    if shared is None:
        return NOTHING_SHARED
    finest = min(taxonomy[first].rank_level, taxonomy[second].rank_level)
    return max(1, sum(finest <= level < shared.rank_level for level in _LEVELS))


@dataclass(frozen=True)
class Distances:
    """How far off the mistakes are, ready for weights.

    Attributes:
        mistakes: bool [n], which photographs are named wrong.
        distances: float64 [n], between the truth and the name; 0 where it is right.
    """

    mistakes: np.ndarray
    distances: np.ndarray

    @classmethod
    def of(cls, taxonomy: Taxonomy, truth: np.ndarray, named: np.ndarray) -> Distances:
        """Prepare n photographs; every pair of taxa is looked up once.

        Args:
            taxonomy: the tree of both.
            truth: int64 [n], taxon ids.
            named: int64 [n], the taxon of each photograph's best class.
        """
        mistakes = truth != named
        confused = np.stack([truth[mistakes], named[mistakes]], axis=1)
        pairs, pair_of = np.unique(confused, axis=0, return_inverse=True)
        of_pairs = [taxonomic_distance(taxonomy, *pair) for pair in pairs.tolist()]
        distances = np.zeros(len(truth))
        distances[mistakes] = np.array(of_pairs, np.float64)[pair_of.ravel()]
        return cls(mistakes, distances)

    def mean(self, weights: np.ndarray | None = None) -> float:
        """The mean over the mistakes, NaN where there are none; weights are float64 [n]."""
        w = self.mistakes if weights is None else np.where(self.mistakes, weights, 0)
        total = float(w.sum())
        return float((w * self.distances).sum()) / total if total > 0 else float("nan")
