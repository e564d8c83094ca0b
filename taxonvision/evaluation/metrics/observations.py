"""Accuracy by observation: its photographs' scores averaged, as if it were one photograph.

An observer who takes three photographs of a bird wants one name for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.bootstrap import Estimate, Resampling
from taxonvision.evaluation.lookup import find_unsorted
from taxonvision.evaluation.scores import Scores

_LAST = np.iinfo(np.int64).max


@dataclass(frozen=True)
class ObservationAccuracy:
    """How well observations are named.

    Attributes:
        n: observations.
        top1: share whose best class is the truth.
        top5: share whose truth is among the five best classes.
        macro_top1: mean over taxa of the share named right.
    """

    n: int
    top1: Estimate
    top5: Estimate
    macro_top1: Estimate


def accuracy_of_observations(
    scores: Scores, class_taxon_ids: np.ndarray, replicates: int
) -> ObservationAccuracy:
    """Top-1, top-5 and the mean over taxa of observations.

    Args:
        scores: of the photographs.
        class_taxon_ids: int64 [C], in the order of the model's scores; of equal scores the first
            class is the better one, as it is of a single photograph.
        replicates: for the intervals.
    """
    truth, places = places_of_truth(scores, class_taxon_ids)
    resampling = Resampling(np.arange(len(truth)), replicates)
    return ObservationAccuracy(
        n=len(truth),
        top1=resampling.share(places < 1),
        top5=resampling.share(places < 5),
        macro_top1=resampling.macro(places < 1, truth),
    )


def places_of_truth(scores: Scores, class_taxon_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The truth of each of m observations, and how many classes come before it: int64 [m] each.

    The scores of an observation's photographs are averaged; a class that was not kept of one of
    them counts as 0 there. Before a truth that was kept of none come more than there are classes,
    so that where a model has no more than five it is not among the best five.
    """
    kept, count = scores.classes, len(class_taxon_ids)
    numbers, first, number_of = np.unique(
        scores.observations, return_index=True, return_inverse=True
    )
    classes = find_unsorted(kept.taxon_ids, class_taxon_ids)
    there = classes >= 0
    owners = kept.photographs[there]
    shares = kept.scores[there].astype(np.float64) / np.bincount(number_of)[number_of[owners]]
    pairs, entry_of = np.unique(number_of[owners] * count + classes[there], return_inverse=True)
    averages = np.bincount(entry_of, shares, len(pairs))
    rows, columns = np.divmod(pairs, count)
    truth = scores.truth[first]
    of_truth = class_taxon_ids[columns] == truth[rows]
    own, place = np.full(len(numbers), -np.inf), np.full(len(numbers), -1)
    own[rows[of_truth]], place[rows[of_truth]] = averages[of_truth], columns[of_truth]
    equal_before = (averages == own[rows]) & (columns < place[rows])
    ahead = np.bincount(rows[(averages > own[rows]) | equal_before], minlength=len(numbers))
    return truth, np.where(place < 0, _LAST, ahead)
