"""Which photographs are named right: by the best classes, and at the ranks above them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from taxonvision.evaluation.bootstrap import Estimate, Resampling
from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.scores import Ragged, Scores
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxonomy


def best_classes(scores: Scores) -> np.ndarray:
    """int64 [n]: the taxon that each photograph's best class names."""
    return scores.classes.taxon_ids[scores.classes.starts[:-1]]


def best_scores(scores: Scores) -> np.ndarray:
    """float32 [n]: the score of each photograph's best class."""
    return scores.classes.scores[scores.classes.starts[:-1]]


def is_right(scores: Scores, top: int = 1) -> np.ndarray:
    """Bool [n]: whether the truth is among the `top` best classes, `top` at most 5."""
    right = np.zeros(len(scores), bool)
    starts, stops = scores.classes.starts[:-1], scores.classes.starts[1:]
    for place in range(top):
        there = starts + place < stops
        at = np.where(there, starts + place, 0)
        right |= there & (scores.classes.taxon_ids[at] == scores.truth)
    return right


def best_of_ranks(
    scores: Scores, taxonomy: Taxonomy, ranks: Collection[str]
) -> Mapping[str, np.ndarray]:
    """By rank the node with the highest rolled-up score: int64 [n], 0 where none was kept."""
    codes = {rank: code for code, rank in enumerate(ranks)}
    inner_ids = np.unique(scores.inner.taxon_ids)
    inner = _places_of_ranks(scores.inner, taxonomy, codes, np.zeros(0, np.int64))
    # A class on an inner node counts with the rolled-up score only.
    classes = _places_of_ranks(scores.classes, taxonomy, codes, inner_ids)
    best = {}
    for rank, inner_at, class_at in zip(ranks, inner, classes, strict=True):
        ids = np.zeros(len(scores), np.int64)
        highest = np.full(len(scores), -np.inf)
        for ragged, (photographs, at) in ((scores.inner, inner_at), (scores.classes, class_at)):
            better = ragged.scores[at] > highest[photographs]
            ids[photographs[better]] = ragged.taxon_ids[at[better]]
            highest[photographs[better]] = ragged.scores[at[better]]
        best[rank] = ids
    return best


def _places_of_ranks(
    ragged: Ragged, taxonomy: Taxonomy, codes: Mapping[str, int], but: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each rank the photographs that have entries of it, and the places of the best ones."""
    ids, inverse = np.unique(ragged.taxon_ids, return_inverse=True)
    of_id = [codes.get(taxonomy[t].rank, -1) if t in taxonomy else -1 for t in ids.tolist()]
    code_of = np.where(np.isin(ids, but), -1, np.array(of_id, np.int16)).astype(np.int16)[inverse]
    photograph_of = ragged.photographs
    for code in codes.values():
        at = np.flatnonzero(code_of == code)
        photographs = photograph_of[at]
        # Entries are ordered best first, so the first of each photograph is its best.
        first = np.ones(len(at), bool)
        first[1:] = photographs[1:] != photographs[:-1]
        yield photographs[first], at[first]


def accuracy_of_ranks(
    truth: np.ndarray,
    best: Mapping[str, np.ndarray],
    taxonomy: Taxonomy,
    lineages: Lineages,
    resampling: Resampling,
) -> dict[str, Estimate]:
    """Share of photographs whose best node at a rank is the truth or above it.

    Only photographs whose truth has a taxon at that rank count. The main ranks are told, from the
    species up, at which there is more than one true taxon to tell apart, and the species' always.

    Args:
        truth: int64 [n], taxon ids.
        best: of `best_of_ranks`, int64 [n] each.
        taxonomy: the tree.
        lineages: of the true taxa.
        resampling: of the n photographs.
    """
    rank_of = [taxonomy[t].rank if t in taxonomy else "" for t in lineages.node_ids.tolist()]
    node_ranks = np.array(rank_of)
    accuracy = {}
    for rank in reversed(MAIN_RANKS):
        of_rank = node_ranks[lineages.nodes] == rank
        several = len(np.unique(lineages.nodes[of_rank])) > 1
        judged = np.isin(truth, lineages.taxon_ids[np.unique(lineages.taxa[of_rank])])
        if judged.any() and (several or rank == "species"):
            right = lineages.hold(truth, best[rank])
            accuracy[rank] = resampling.among(judged).share(right[judged])
    return accuracy
