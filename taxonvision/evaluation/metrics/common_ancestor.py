"""Common ancestors of the best classes: how often there is one, and how often it is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.evaluation.scores import NO_TAXON, Ragged, Scores
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxonomy

GRID = np.arange(100) / 100
"""Scores that the curve is told at."""
_AT_ONCE = 4096
"""Photographs whose common ancestors are sought together."""


@dataclass(frozen=True)
class AncestorCurve:
    """What common ancestors are worth at ever higher scores, all float64 [k].

    Attributes:
        scores: a common ancestor's share of the score has to be above this.
        precisions: of photographs that get one, the share whose truth is at or below it; NaN where
            none gets one.
        recalls: of all photographs, the share that get one that is right; NaN where there are none.
    """

    scores: np.ndarray
    precisions: np.ndarray
    recalls: np.ndarray


@dataclass(frozen=True)
class CommonAncestors:
    """The common ancestor of each photograph at every score, as steps.

    The answer is that of `runtime.answer.common_ancestor`: of the taxa of certain ranks whose share
    of the best classes' scores is above a score, the finest. As the score rises from 0, finer taxa
    drop out and coarser ones follow: every step is one taxon of one photograph and the scores,
    from `lows` to below `highs`, at which it is the answer.

    Attributes:
        photographs: int64 [k], ascending.
        taxon_ids: int64 [k], the answers.
        lows: float64 [k].
        highs: float64 [k], their own shares of the score.
        right: bool [k], whether the truth is at or below the answer.
        count: n, the photographs.
    """

    photographs: np.ndarray
    taxon_ids: np.ndarray
    lows: np.ndarray
    highs: np.ndarray
    right: np.ndarray
    count: int

    @classmethod
    def of(
        cls,
        scores: Scores,
        taxonomy: Taxonomy,
        class_taxon_ids: Sequence[int],
        thresholds: Thresholds,
    ) -> CommonAncestors:
        """Find them for n photographs.

        Kept scores hold all of the best classes unless `thresholds` asks for shares below
        `scores.KEPT_SHARE`.

        Args:
            scores: of the photographs.
            taxonomy: the tree of the classes and of the truths.
            class_taxon_ids: the model's classes.
            thresholds: the levels, leaves and share count, not the score.
        """
        roll_up = RollUp(taxonomy, class_taxon_ids)
        candidates = _Candidates.of(roll_up, np.asarray(class_taxon_ids, np.int64), thresholds)
        parts = [
            _steps(start, scores.classes, candidates, thresholds)
            for start in range(0, len(scores), _AT_ONCE)
        ]
        empty = np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        photographs, nodes, lows, highs = (
            np.concatenate(part) for part in zip(empty, *parts, strict=True)
        )
        taxon_ids = roll_up.node_ids[nodes]
        truth = scores.truth[photographs]
        right = Lineages.of(taxonomy, scores.truth).hold(truth, taxon_ids)
        return cls(photographs, taxon_ids, lows, highs, right, len(scores))

    def at(self, score: float) -> np.ndarray:
        """The answer for every photograph, taxon ids int64 [n], `NO_TAXON` where there is none."""
        answers = np.full(self.count, NO_TAXON, np.int64)
        there = (self.lows <= score) & (score < self.highs)
        answers[self.photographs[there]] = self.taxon_ids[there]
        return answers

    def curve(self, grid: np.ndarray = GRID) -> AncestorCurve:
        """Precision and recall at these scores, float64 [k], ascending, 0 or more."""
        begins, ends = np.searchsorted(grid, self.lows), np.searchsorted(grid, self.highs)

        def count(steps: np.ndarray) -> np.ndarray:
            size = len(grid) + 1
            changes = np.bincount(begins[steps], minlength=size)
            changes -= np.bincount(ends[steps], minlength=size)
            return np.cumsum(changes)[:-1]

        answered, right = count(np.ones(len(self.right), bool)), count(self.right)
        everyone = np.full(len(grid), self.count)
        return AncestorCurve(grid, _ratio(right, answered), _ratio(right, everyone))


@dataclass(frozen=True)
class _Candidates:
    """The nodes that may be a common ancestor, and which of them are at or above each class.

    Attributes:
        levels: float64 [M], of all nodes.
        class_taxon_ids: int64 [C], ascending.
        starts: int64 [C + 1], where the nodes of each class begin in `nodes`.
        nodes: int64 [k].
    """

    levels: np.ndarray
    class_taxon_ids: np.ndarray
    starts: np.ndarray
    nodes: np.ndarray

    @classmethod
    def of(
        cls, roll_up: RollUp, class_taxon_ids: np.ndarray, thresholds: Thresholds
    ) -> _Candidates:
        lowest, highest = thresholds.ancestor_rank_levels
        may_be = ((lowest <= roll_up.rank_levels) & (roll_up.rank_levels <= highest)).tolist()
        node_of = {taxon_id: node for node, taxon_id in enumerate(roll_up.node_ids.tolist())}
        parents = roll_up.parents.tolist()
        ordered = np.sort(class_taxon_ids)
        starts, nodes = [0], []
        for taxon_id in ordered.tolist():
            node = node_of[taxon_id]
            while node >= 0:
                if may_be[node]:
                    nodes.append(node)
                node = parents[node]
            starts.append(len(nodes))
        return cls(
            roll_up.rank_levels, ordered, np.array(starts, np.int64), np.array(nodes, np.int64)
        )

    def above(self, taxon_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a place in `taxon_ids`, int64 [m], and a node at or above the class there."""
        classes = np.searchsorted(self.class_taxon_ids, taxon_ids)
        lengths = self.starts[classes + 1] - self.starts[classes]
        places = np.repeat(np.arange(len(taxon_ids)), lengths)
        ends = np.cumsum(lengths)
        within = np.arange(len(places)) - np.repeat(ends - lengths, lengths)
        return places, self.nodes[self.starts[classes][places] + within]


def _steps(
    start: int, classes: Ragged, candidates: _Candidates, thresholds: Thresholds
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Photographs, nodes, lows and highs of the steps of some photographs from `start` on."""
    stop = min(start + _AT_ONCE, len(classes.starts) - 1)
    kept = classes.take(np.arange(start, stop))
    photographs, shares = kept.photographs, _shares(kept, thresholds)
    counts = shares > 0
    places, nodes = candidates.above(kept.taxon_ids[counts])
    pairs, inverse = np.unique(
        photographs[counts][places] * len(candidates.levels) + nodes, return_inverse=True
    )
    sums = np.bincount(inverse, shares[counts][places], len(pairs))
    owners, nodes = np.divmod(pairs, len(candidates.levels))
    # Which of those whose share is high enough is the answer: the first in this order.
    order = np.lexsort((nodes, -sums, candidates.levels[nodes], owners))
    owners, nodes, sums = owners[order], nodes[order], sums[order]
    lows = _highest_before(owners, sums)
    steps = sums > lows
    return owners[steps] + start, nodes[steps], lows[steps], sums[steps]


def _shares(kept: Ragged, thresholds: Thresholds) -> np.ndarray:
    """Float64 [m]: the shares of the best classes among themselves, 0 of the others."""
    photographs, scores = kept.photographs, kept.scores.astype(np.float64)
    place = np.arange(len(scores)) - kept.starts[photographs]
    best = scores[kept.starts[photographs]]
    counts = (place < thresholds.ancestor_leaves) & (scores >= thresholds.ancestor_share * best)
    counted = np.where(counts, scores, 0)
    totals = np.bincount(photographs, counted, len(kept.starts) - 1)[photographs]
    return np.divide(counted, totals, out=np.zeros(len(scores)), where=totals > 0)


def _highest_before(owners: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The highest value before each of the same owner, 0 before its first; owners ascend."""
    found = np.zeros(len(values))
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    lengths = np.diff(starts, append=len(owners))
    highest = np.zeros(len(starts))
    for place in range(int(lengths.max(initial=0))):
        there = lengths > place
        at = starts[there] + place
        found[at] = highest[there]
        highest[there] = np.maximum(highest[there], values[at])
    return found


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    nothing = np.full(len(part), np.nan)
    return np.divide(part, whole, out=nothing, where=whole > 0)
