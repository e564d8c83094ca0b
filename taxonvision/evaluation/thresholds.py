"""For each taxon the score above which a model may name it, chosen on photographs.

A claim is a taxon on the best branch of a photograph with its rolled-up score, and right if the
truth is at or below the taxon. For each taxon the lowest score is sought from which on its claims
are right in the share asked (selective classification with a threshold a class: Fumera, Roli and
Giacinto, "Reject option with multiple thresholds", Pattern Recognition 33, 2000; on the choice
from a curve of precision: Geifman and El-Yaniv, "Selective classification for deep neural
networks", NeurIPS 2017).

What that guarantees, and what not:

- Among the photographs it was chosen on, the claims above a threshold are right in at least the
  share asked. Of other photographs that is an estimate, and one that is too good: the threshold
  was chosen where the curve happened to be high. Where 0.95 is asked of calibrated scores, about
  0.91 of the claims on new photographs are right if taxa had 20 each, and 0.947 if they had 1,000
  (a simulation, which the tests repeat). With 20 claims that are all right, 14 % may still be
  wrong (at 95 %, Clopper and Pearson 1934). `named` tells on how many claims a threshold rests; a
  larger `fewest` makes for fewer and sounder thresholds.
- The photographs of an observation are no independent claims, and taxa that are commoner where
  the model is used, or scenes that are more frequent, change the share: what is chosen holds for
  photographs like these.
- It holds for the claim, not for what is shown: an app shows the finest sure taxon. Photographs
  with a sure species are right at its genus too, and among those that stop at the genus more are
  wrong than the genus's precision tells. A common ancestor is named by another rule altogether.
- Thresholds belong to scores: those of a model, and of the same model compressed or cut to a
  region, are not the same to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.branches import Branches, Paths, best_branches, nodes_of
from taxonvision.evaluation.results import Results
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon

OF_TAXON, OF_RANK, DEFAULT = "taxon", "rank", "default"
NEVER = 1.0
"""Scores are at most 1 and have to be above a threshold."""
_STEPS = 1_000_000
"""Scores are counted in millionths: what differs less is a tie that rounding has broken."""


@dataclass(frozen=True)
class Tally:
    """What a threshold does with the photographs it was chosen on.

    Attributes:
        photographs: how many have the taxon on their best branch.
        named: how many of them have a score above the threshold.
        right: how many of those show the taxon.
    """

    photographs: int
    named: int
    right: int

    @property
    def precision(self) -> float | None:
        """The share of those named that is right; None where none is named."""
        return self.right / self.named if self.named else None


@dataclass(frozen=True)
class TaxonThreshold:
    """The threshold of a taxon, and where it is `origin`ally from: taxon, rank or default."""

    taxon: Taxon
    threshold: float
    tally: Tally
    origin: str


@dataclass(frozen=True)
class RankThreshold:
    """The threshold of the taxa of a rank that have too few photographs for one of their own.

    Attributes:
        rank: the rank.
        rank_level: its level.
        taxa: how many taxa of this rank the model knows.
        threshold: chosen over all photographs of all these taxa.
        tally: what the taxa's thresholds do, this one or their own.
        origin: rank, or default where the whole rank has too few.
    """

    rank: str
    rank_level: float
    taxa: int
    threshold: float
    tally: Tally
    origin: str


@dataclass(frozen=True)
class Claims:
    """Claims of a model, one for each node on the best branch of each photograph.

    Attributes:
        nodes: int64 [m].
        scores: int64 [m], rolled-up scores in millionths.
        right: bool [m], whether the truth is at or below the node.
    """

    nodes: np.ndarray
    scores: np.ndarray
    right: np.ndarray


@dataclass(frozen=True)
class Choice:
    """Thresholds of all taxa that a model knows, parents before their children, and by rank."""

    taxa: list[TaxonThreshold]
    ranks: list[RankThreshold]


def choose(results: Results, precision: float, fewest: int) -> Choice:
    """Choose the threshold of each class and each inner node of the model's tree.

    A taxon with fewer than `fewest` photographs on whose branch it is takes the threshold of its
    rank, chosen over all taxa of the rank; a rank with fewer takes the model's `shown`. Where no
    threshold reaches the precision, it is `NEVER`. Photographs that the model takes for "nothing
    that I know" make no claims, and claims on scenes are wrong.

    Args:
        results: what a model says of photographs, and of scenes where there are any.
        precision: the share of claims that has to be right, a fraction of 1.
        fewest: claims that a threshold of its own takes.
    """
    roll_up = RollUp(results.taxonomy, results.known.taxon_ids.tolist())
    claims = claims_of(results, roll_up)
    usual = results.thresholds.shown
    taxa = [roll_up.taxonomy[taxon_id] for taxon_id in roll_up.node_ids.tolist()]
    ranks: dict[str, int] = {}
    rank_of = np.array([ranks.setdefault(taxon.rank, len(ranks)) for taxon in taxa], np.int64)
    of_rank, rank_origins = _with_fallback(
        Claims(rank_of[claims.nodes], claims.scores, claims.right),
        np.full(len(ranks), usual),
        precision,
        fewest,
        usual,
    )
    thresholds, is_own = _with_fallback(claims, of_rank[rank_of], precision, fewest, usual)
    tallies = _tallies(claims, thresholds)
    origins = np.where(is_own, OF_TAXON, np.where(rank_origins[rank_of], OF_RANK, DEFAULT))
    chosen = [
        TaxonThreshold(taxon, threshold, Tally(*tally), str(origin))
        for taxon, threshold, tally, origin in zip(
            taxa, thresholds.tolist(), tallies.tolist(), origins, strict=True
        )
    ]
    return Choice(chosen, _by_rank(chosen, dict(zip(ranks, of_rank.tolist(), strict=True))))


def claims_of(results: Results, roll_up: RollUp) -> Claims:
    """What the model claims of the photographs and, wrongly, of the scenes."""
    paths = Paths(roll_up)
    parts = []
    for scores in (results.scores, results.scenes):
        if scores is None:
            continue
        branches = best_branches(scores, roll_up, paths, results.thresholds)
        truth = nodes_of(scores.truth, results.taxonomy, roll_up)
        parts.append(_judged(branches, truth, paths))
    return Claims(
        np.concatenate([part.nodes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.right for part in parts]),
    )


def lowest_thresholds(
    claims: Claims, count: int, precision: float, usual: float = NEVER
) -> np.ndarray:
    """The lowest threshold of each of `count` groups that reaches the precision, float64 [count].

    It lies just below the lowest score that is named, and not deeper, where no photograph tells
    what would be named. Where all claims of a group are named, nothing speaks for more than the
    `usual` threshold: without it a kingdom whose score is always 1 would ask for all of the 1.
    Claims of one score are named together. `NEVER` where none reaches the precision.
    """
    order = np.lexsort((-claims.scores, claims.nodes))
    groups, scores, right = claims.nodes[order], claims.scores[order], claims.right[order]
    last = np.ones(len(groups), bool)
    last[:-1] = (groups[1:] != groups[:-1]) | (scores[1:] != scores[:-1])
    ends = np.flatnonzero(last)  # of the claims of one score
    first = np.searchsorted(groups, groups[ends])
    rights = np.concatenate([[0], np.cumsum(right)])
    good = (rights[ends + 1] - rights[first]) / (ends + 1 - first) >= precision
    thresholds = np.full(count, NEVER)
    below = np.maximum(np.round((scores[ends] - 0.5) / _STEPS, 7), 0)
    np.minimum.at(thresholds, groups[ends[good]], below[good])
    is_lowest = np.append(groups[1:] != groups[:-1], True)[ends]
    all_named = groups[ends[good & is_lowest]]
    thresholds[all_named] = np.minimum(thresholds[all_named], usual)
    return thresholds


def _judged(branches: Branches, truth: np.ndarray, paths: Paths) -> Claims:
    """The claims of branches, given the node of each photograph's truth, int64 [n]."""
    scores = np.rint(np.minimum(branches.scores, 1) * _STEPS).astype(np.int64)
    right = paths.at_or_below(truth[branches.photographs], branches.nodes)
    return Claims(branches.nodes, scores, right)


def _with_fallback(
    claims: Claims, fallback: np.ndarray, precision: float, fewest: int, usual: float
) -> tuple[np.ndarray, np.ndarray]:
    """The thresholds of groups, float64 [g], and which are their own and no fallback, bool [g]."""
    is_own = np.bincount(claims.nodes, minlength=len(fallback)) >= fewest
    own = lowest_thresholds(claims, len(fallback), precision, usual)
    return np.where(is_own, own, fallback), is_own


def _tallies(claims: Claims, thresholds: np.ndarray) -> np.ndarray:
    """Photographs, named and right of each group, int64 [g, 3]."""
    named = claims.scores / _STEPS > thresholds[claims.nodes]
    counted = (claims.nodes, claims.nodes[named], claims.nodes[named & claims.right])
    return np.stack([np.bincount(nodes, minlength=len(thresholds)) for nodes in counted], axis=1)


def _by_rank(chosen: list[TaxonThreshold], of_rank: dict[str, float]) -> list[RankThreshold]:
    """The ranks, the highest first."""
    members: dict[str, list[TaxonThreshold]] = {}
    for one in chosen:
        members.setdefault(one.taxon.rank, []).append(one)
    ranks = [
        RankThreshold(
            rank=rank,
            rank_level=max(one.taxon.rank_level for one in ones),
            taxa=len(ones),
            threshold=of_rank[rank],
            tally=Tally(
                sum(one.tally.photographs for one in ones),
                sum(one.tally.named for one in ones),
                sum(one.tally.right for one in ones),
            ),
            origin=DEFAULT if any(one.origin == DEFAULT for one in ones) else OF_RANK,
        )
        for rank, ones in members.items()
    ]
    return sorted(ranks, key=lambda rank: (-rank.rank_level, rank.rank))
