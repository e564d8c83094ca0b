"""Figures of one model on the photographs of one split, from its kept scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class TaxonAccuracy:
    """How many of a taxon's photographs were named right."""

    taxon_id: int
    name: str
    photographs: int
    right: int

    @property
    def top1(self) -> float:
        """The share named right."""
        return self.right / self.photographs


def best_classes(scores: Scores) -> np.ndarray:
    """int64 [n]: the taxon that each photograph's best class names."""
    return scores.classes.taxon_ids[scores.classes.starts[:-1]]


def is_right(scores: Scores, top: int = 1) -> np.ndarray:
    """Bool [n]: whether the truth is among the `top` best classes, `top` at most 5."""
    right = np.zeros(len(scores), bool)
    starts, stops = scores.classes.starts[:-1], scores.classes.starts[1:]
    for place in range(top):
        there = starts + place < stops
        at = np.where(there, starts + place, 0)
        right |= there & (scores.classes.taxon_ids[at] == scores.truth)
    return right


def accuracy_by_taxon(scores: Scores, taxonomy: Taxonomy) -> list[TaxonAccuracy]:
    """Top-1 of every taxon that has photographs, in order of its name."""
    taxa, inverse = np.unique(scores.truth, return_inverse=True)
    photographs = np.bincount(inverse)
    right = np.bincount(inverse, weights=is_right(scores)).astype(int)
    rows = zip(taxa.tolist(), photographs.tolist(), right.tolist(), strict=True)
    return sorted(
        (TaxonAccuracy(taxon, taxonomy[taxon].name, n, r) for taxon, n, r in rows),
        key=lambda row: (row.name, row.taxon_id),
    )


def accuracy_at_rank(scores: Scores, taxonomy: Taxonomy, rank: str) -> float | None:
    """Share of photographs whose best node at `rank`, by rolled-up score, is the truth's.

    Only photographs whose truth has a taxon at that rank count; None when there is none.
    """
    truth_at_rank = {t: taxonomy.at_rank(t, rank) for t in np.unique(scores.truth).tolist()}
    truth = np.array([truth_at_rank[t] or 0 for t in scores.truth.tolist()], np.int64)
    judged = truth > 0  # taxon ids count from 1
    if not judged.any():
        return None
    best = _best_at_rank(scores, taxonomy, rank)
    return float((best[judged] == truth[judged]).mean())


def metrics(scores: Scores, taxonomy: Taxonomy) -> Mapping[str, Any]:
    """`n, top1, top5, macro_top1` and `ranks`, as fractions of 1.

    `macro_top1` is the mean over taxa; `ranks` has the main ranks, from the species up, at which
    there is more than one taxon to tell apart.
    """
    by_taxon = accuracy_by_taxon(scores, taxonomy)
    ranks = {}
    for rank in reversed(MAIN_RANKS):
        taxa = {taxonomy.at_rank(taxon.taxon_id, rank) for taxon in by_taxon} - {None}
        accuracy = accuracy_at_rank(scores, taxonomy, rank)
        if accuracy is not None and (len(taxa) > 1 or rank == "species"):
            ranks[rank] = accuracy
    return {
        "n": len(scores),
        "top1": float(is_right(scores).mean()),
        "top5": float(is_right(scores, 5).mean()),
        "macro_top1": float(np.mean([taxon.top1 for taxon in by_taxon])),
        "ranks": ranks,
    }


def _best_at_rank(scores: Scores, taxonomy: Taxonomy, rank: str) -> np.ndarray:
    """int64 [n]: the node at `rank` with the highest rolled-up score, 0 where none was kept."""
    seen = np.unique(np.concatenate([scores.classes.taxon_ids, scores.inner.taxon_ids]))
    at_rank = np.array([t for t in seen.tolist() if taxonomy[t].rank == rank], np.int64)
    inner_ids = np.unique(scores.inner.taxon_ids)
    best = np.zeros(len(scores), np.int64)
    best_scores = np.full(len(scores), -np.inf)
    # A class on an inner node counts with the rolled-up score only.
    for ragged, candidates in (
        (scores.inner, at_rank),
        (scores.classes, np.setdiff1d(at_rank, inner_ids)),
    ):
        chosen = np.isin(ragged.taxon_ids, candidates)
        photographs = ragged.photographs[chosen]
        ids, values = ragged.taxon_ids[chosen], ragged.scores[chosen]
        # Entries are ordered best first, so the first of each photograph is its best.
        firsts, at = np.unique(photographs, return_index=True)
        better = values[at] > best_scores[firsts]
        best[firsts[better]] = ids[at][better]
        best_scores[firsts[better]] = values[at][better]
    return best
