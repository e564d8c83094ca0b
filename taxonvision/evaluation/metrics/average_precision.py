"""Average precision: does a taxon's score put its own photographs before all others?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.scores import NO_TAXON, Scores

_AT_ONCE = 4096
"""Photographs whose kept scores are looked at together."""


@dataclass(frozen=True)
class AveragePrecision:
    """What the average precision of every taxon with photographs is made of, ready for weights.

    For one taxon it is Σ (R_k - R_(k-1)) P_k over its distinct scores from the highest to the
    lowest, where P_k and R_k are precision and recall of the photographs with the score k or more:
    the definition of scikit-learn's `average_precision_score`, without interpolation. As a recall
    only grows at the taxon's own photographs, it is the mean over these of the precision at the
    score of each. Kept scores count, of a taxon's own photographs also those that were not kept;
    any other score is 0.

    Attributes:
        taxon_ids: int64 [T], taxa with photographs, ascending.
        taxa: int64 [p], of each photograph that shows a taxon its index in `taxon_ids`.
        own: int64 [p], the photographs themselves.
        entries: int64 [e], photographs by taxon, and by its score from the highest on; those below
            the lowest score of the taxon's own photographs are left out, as they count nowhere.
        is_own: bool [e], which of them are the taxon's own.
        firsts: int64 [p], where in `entries` the taxon begins.
        ends: int64 [p], where in `entries` the photographs end whose score is that of the own one
            or more; -1 where it is 0, which all photographs have or exceed.
        photographs: n.
    """

    taxon_ids: np.ndarray
    taxa: np.ndarray
    own: np.ndarray
    entries: np.ndarray
    is_own: np.ndarray
    firsts: np.ndarray
    ends: np.ndarray
    photographs: int

    @classmethod
    def of(cls, scores: Scores) -> AveragePrecision:
        """Prepare the scores of n photographs; those of no taxon count as others for all taxa."""
        own = np.flatnonzero(scores.truth != NO_TAXON)
        taxon_ids, taxa = np.unique(scores.truth[own], return_inverse=True)
        own_scores = scores.truth_scores[own].astype(np.float64)
        lowest = np.full(len(taxon_ids), np.inf)
        scored = own_scores > 0
        np.minimum.at(lowest, taxa[scored], own_scores[scored])
        parts = [(taxa[scored], own[scored], own_scores[scored], np.ones(scored.sum(), bool))]
        parts += _others(scores, taxon_ids, lowest)
        taxon_of, entries, values, is_own = (
            np.concatenate(part) for part in zip(*parts, strict=True)
        )
        order = np.lexsort((-values, taxon_of))
        taxon_of, values = taxon_of[order], values[order]
        firsts = np.searchsorted(taxon_of, taxa)
        ends = np.full(len(own), -1)
        ends[scored] = _last_of_ties(taxon_of, values)[_place_of(order, scored.sum())] + 1
        return cls(taxon_ids, taxa, own, entries[order], is_own[order], firsts, ends, len(scores))

    def by_taxon(self, weights: np.ndarray | None = None) -> np.ndarray:
        """The average precision of every taxon, float64 [T]; NaN where its weights are all 0.

        Args:
            weights: float64 [n], of the photographs; all 1 if not given.
        """
        w = np.ones(self.photographs) if weights is None else np.asarray(weights, np.float64)
        of_entries = w[self.entries]
        all_until = np.concatenate([[0.0], np.cumsum(of_entries)])
        own_until = np.concatenate([[0.0], np.cumsum(of_entries * self.is_own)])
        of_taxon = np.bincount(self.taxa, w[self.own], len(self.taxon_ids))
        everywhere = self.ends < 0
        found = np.where(
            everywhere, of_taxon[self.taxa], own_until[self.ends] - own_until[self.firsts]
        )
        looked_at = np.where(everywhere, w.sum(), all_until[self.ends] - all_until[self.firsts])
        precision = np.divide(found, looked_at, out=np.zeros(len(found)), where=looked_at > 0)
        sums = np.bincount(self.taxa, w[self.own] * precision, len(self.taxon_ids))
        nothing = np.full(len(sums), np.nan)
        return np.divide(sums, of_taxon, out=nothing, where=of_taxon > 0)

    def mean(self, weights: np.ndarray | None = None) -> float:
        """The mean over all taxa that have photographs of a weight above 0; NaN without any."""
        by_taxon = self.by_taxon(weights)
        there = by_taxon[~np.isnan(by_taxon)]
        return float(there.mean()) if len(there) else float("nan")


def _others(
    scores: Scores, taxon_ids: np.ndarray, lowest: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Kept scores of photographs of other taxa: index of the taxon, photograph, score, False.

    Only those that are not below `lowest`, float64 [T], of their taxon.
    """
    if not len(taxon_ids):
        return
    for start in range(0, len(scores), _AT_ONCE):
        block = np.arange(start, min(start + _AT_ONCE, len(scores)))
        kept = scores.classes.take(block)
        photographs = block[kept.photographs]
        taxa = np.minimum(np.searchsorted(taxon_ids, kept.taxon_ids), len(taxon_ids) - 1)
        counts = (
            (taxon_ids[taxa] == kept.taxon_ids)
            & (kept.taxon_ids != scores.truth[photographs])
            & (kept.scores >= lowest[taxa])
        )
        values = kept.scores[counts].astype(np.float64)
        yield taxa[counts], photographs[counts], values, np.zeros(len(values), bool)


def _last_of_ties(taxa: np.ndarray, values: np.ndarray) -> np.ndarray:
    """int64 [e]: the last of those that have the taxon and the value of each, both in order."""
    if not len(taxa):
        return np.zeros(0, np.int64)
    changes = np.flatnonzero((np.diff(taxa) != 0) | (np.diff(values) != 0))
    lasts = np.append(changes, len(taxa) - 1)
    return np.repeat(lasts, np.diff(lasts, prepend=-1))


def _place_of(order: np.ndarray, count: int) -> np.ndarray:
    """int64 [count]: where in `order` the first ones, from 0 on, have gone."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places[:count]
