"""Photographs that one of two models names right and the other does not, and their taxa."""

from __future__ import annotations

import numpy as np

from taxonvision.evaluation.comparison.comparison import LOST, WON, Flip, TaxonChange
from taxonvision.evaluation.metrics.accuracy import best_classes, best_scores
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.evaluation.scores import NO_TAXON, Scores


def best_among(scores: Scores, taxon_ids: np.ndarray) -> np.ndarray:
    """int64 [n]: each photograph's best class among some taxa, int64 [k].

    `NO_TAXON` where none of them was kept: the model hardly thought of any.
    """
    kept = scores.classes
    entries = np.flatnonzero(np.isin(kept.taxon_ids, taxon_ids))
    best = np.full(len(scores), NO_TAXON, np.int64)
    # Entries are ordered best first, so the first of each photograph is its best.
    photographs, first = np.unique(kept.photographs[entries], return_index=True)
    best[photographs] = kept.taxon_ids[entries[first]]
    return best


def flips(reference: Scores, candidate: Scores) -> tuple[Flip, ...]:
    """The photographs lost and won among all taxa, of the same n photographs.

    Lost ones first; of each kind first those of which the candidate is surest.
    """
    names = best_classes(reference), best_classes(candidate)
    sure = best_scores(reference), best_scores(candidate)
    before, after = (each == reference.truth for each in names)
    rows = np.flatnonzero(before != after)
    rows = rows[np.lexsort((-sure[1][rows], after[rows]))]
    return tuple(
        Flip(
            photo_id=reference.photo_ids[row],
            kind=WON if after[row] else LOST,
            truth=int(reference.truth[row]),
            reference=int(names[0][row]),
            reference_score=float(sure[0][row]),
            candidate=int(names[1][row]),
            candidate_score=float(sure[1][row]),
        )
        for row in rows.tolist()
    )


def changes_by_taxon(
    reference: Scores, candidate: Scores, known: tuple[KnownTaxa, KnownTaxa]
) -> tuple[TaxonChange, ...]:
    """What each taxon on the photographs lost and won among all taxa, the most lost first.

    Args:
        reference: what the reference says of n photographs.
        candidate: what the candidate says of the same.
        known: the classes of the reference and of the candidate.
    """
    taxa, taxon_of = np.unique(reference.truth, return_inverse=True)
    before, after = (best_classes(each) == reference.truth for each in (reference, candidate))
    chosen = (np.ones(len(before), bool), before, after, before & ~after, after & ~before)
    counts = [np.bincount(taxon_of[rows], minlength=len(taxa)) for rows in chosen]
    order = np.lexsort((taxa, counts[0], counts[2] - counts[1]))
    columns = [taxa, *counts, *(np.isin(taxa, each.taxon_ids) for each in known)]
    rows = zip(*(column[order].tolist() for column in columns), strict=True)
    return tuple(TaxonChange(*row) for row in rows)
