"""Where a candidate gains and loses: by rank, by training photographs, in its calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.calibration import BINS, bins_of
from taxonvision.evaluation.comparison.comparison import Difference, RankChange, TailChange
from taxonvision.evaluation.comparison.paired import Changed, Named, differences, mcnemar
from taxonvision.evaluation.metrics.accuracy import best_of_ranks, best_scores
from taxonvision.evaluation.metrics.breakdowns import TAIL_STARTS
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.evaluation.scores import Scores
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.tree import Taxonomy


def changes_by_rank(
    scores: Sequence[Scores], trees: Sequence[Taxonomy], resampling: Resampling
) -> tuple[RankChange, ...]:
    """How often the best node of a rank is the truth's, from the species up.

    Photographs whose truth has a taxon of the rank in both trees count, and ranks with more than
    one taxon to tell apart. Each model is judged by its own tree: where a taxon was moved, the
    reference is right with the old place.

    Args:
        scores: of the reference and of the candidate, on the same n photographs.
        trees: the trees of both.
        resampling: of the n photographs.
    """
    ranks = tuple(reversed(MAIN_RANKS))
    best = [best_of_ranks(s, tree, ranks) for s, tree in zip(scores, trees, strict=True)]
    told, groups = [], []
    for rank in ranks:
        truths = [_at_rank(s.truth, tree, rank) for s, tree in zip(scores, trees, strict=True)]
        judged = (truths[0] > 0) & (truths[1] > 0)
        if len(np.unique(truths[0][judged])) > 1:
            before, after = (b[rank] == truth for b, truth in zip(best, truths, strict=True))
            told.append(rank)
            groups.append(Changed(judged, before, after))
    rows = zip(told, groups, differences(groups, resampling), strict=True)
    return tuple(RankChange(rank, int(g.chosen.sum()), top1) for rank, g, top1 in rows)


def changes_by_training(
    named: Named, known: KnownTaxa, resampling: Resampling
) -> tuple[TailChange, ...]:
    """What taxa lose or gain by their training photographs, those with the fewest first.

    Args:
        named: what both name on n photographs of taxa that both know.
        known: the reference's classes, whose training photographs count.
        resampling: of the n photographs.
    """
    taxa, taxon_of = np.unique(named.truth, return_inverse=True)
    training = np.array([known.training_of[taxon_id] for taxon_id in taxa.tolist()], np.int64)
    group_of_taxon = np.searchsorted(TAIL_STARTS, training, side="right") - 1
    group_of = group_of_taxon[taxon_of]
    present = np.unique(group_of).tolist()
    groups = [Changed(group_of == group, named.before, named.after) for group in present]
    return tuple(
        TailChange(
            least=TAIL_STARTS[group],
            most=TAIL_STARTS[group + 1] - 1 if group + 1 < len(TAIL_STARTS) else None,
            taxa=int((group_of_taxon == group).sum()),
            photographs=int(changed.chosen.sum()),
            top1=top1,
            p=mcnemar(changed.lost, changed.won),
        )
        for group, changed, top1 in zip(
            present, groups, differences(groups, resampling), strict=True
        )
    )


def change_of_calibration(
    errors: tuple[float, float],
    scores: Sequence[Scores],
    right: Sequence[np.ndarray],
    resampling: Resampling,
) -> Difference:
    """The interval of two expected calibration errors; below 0 the candidate's is smaller.

    Photographs that are drawn twice raise either error, so that it is one of `Resampling.around`.

    Args:
        errors: of the reference and of the candidate.
        scores: of the reference and of the candidate, on the same n photographs.
        right: of each bool [n], whether its best class is the truth.
        resampling: of the n photographs.
    """
    from scipy.sparse import csr_array

    by_bin = []
    for each, is_right in zip(scores, right, strict=True):
        sure = best_scores(each).astype(np.float64)
        places = bins_of(sure), np.arange(len(sure))
        by_bin.append(csr_array((is_right - sure, places), shape=(BINS, len(sure))))

    def difference(weights: np.ndarray) -> float:
        reference, candidate = (np.abs(sums @ weights).sum() for sums in by_bin)
        return float((candidate - reference) / weights.sum())

    before, after = errors
    drawn = resampling.around(after - before, difference)
    return Difference(before, after, formula=None, bootstrap=drawn)


def _at_rank(truth: np.ndarray, taxonomy: Taxonomy, rank: str) -> np.ndarray:
    """int64 [n]: the taxon of the rank at or above each truth, 0 where there is none."""
    taxa, taxon_of = np.unique(truth, return_inverse=True)
    above = [taxonomy.at_rank(t, rank) or 0 if t in taxonomy else 0 for t in taxa.tolist()]
    return np.array(above, np.int64)[taxon_of]
