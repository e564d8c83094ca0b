"""From the scores of classes to what is said of a photograph.

The thresholds, each a field of `Thresholds`:

1. `unknown`: probabilities that add up to less mean "no organism that I know".
2. `kept_share`: classes below this share of the best one's score are dropped before the roll-up.
3. `shown`, or the taxon's own in `by_taxon`: the finest taxon on the best branch whose rolled-up
   score is above it is sure.
4. `ancestor_leaves` and `ancestor_share`: the best classes that a common ancestor is sought among.
5. `ancestor_score` and `ancestor_rank_levels`: what a common ancestor has to have.

Source: the roll-up of iNaturalist's camera plugin (2, 3) and the common ancestor of its server
(4, 5). The functions are pure; `export/BUNDLE.md` tells the same to readers in other languages.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.ranks import RANK_LEVELS
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon


@dataclass(frozen=True)
class Suggestion:
    """A taxon with its score, a fraction of 1."""

    taxon: Taxon
    common_name: str
    score: float


@dataclass(frozen=True)
class Answer:
    """What a model says of one photograph.

    Attributes:
        known: False where it shows no organism that the model knows.
        suggestions: the best classes with the model's own scores, best first.
        branch: the best branch of the tree from the root on, with rolled-up scores.
        sure: the finest taxon on the branch whose score is above its threshold, if there is one.
        common_ancestor: where no species is sure, the finest taxon that the best classes share,
            with their share of the score, if there is one.
    """

    known: bool
    suggestions: list[Suggestion]
    branch: list[Suggestion]
    sure: Suggestion | None
    common_ancestor: Suggestion | None

    @property
    def name(self) -> Suggestion | None:
        """What names the photograph: the finer of `sure` and `common_ancestor`."""
        names = [one for one in (self.sure, self.common_ancestor) if one]
        return min(names, key=lambda one: one.taxon.rank_level, default=None)


@dataclass(frozen=True)
class Node:
    """A node of a `RollUp` by its index, with a score."""

    index: int
    score: float


@dataclass(frozen=True)
class Decision:
    """An answer before it is put into names. The fields are those of `Answer`."""

    known: bool
    branch: list[Node]
    sure: Node | None
    common_ancestor: Node | None


def decide(roll_up: RollUp, scores: np.ndarray, thresholds: Thresholds) -> Decision:
    """What one photograph's probabilities, float [C], say under these thresholds."""
    shares = kept(scores, thresholds.kept_share)
    rolled_up = roll_up.node_scores(shares[None])[0]
    best = roll_up.best_branch(rolled_up, shares)
    # A sum of shares may be a hair above 1, which would be above a threshold of 1.
    branch = [Node(node, min(float(rolled_up[node]), 1.0)) for node in best]
    if is_unknown(scores, thresholds.unknown):
        return Decision(False, branch, None, None)
    sure = _sure(roll_up, branch, thresholds)
    if sure and roll_up.rank_levels[sure.index] <= RANK_LEVELS["species"]:
        return Decision(True, branch, sure, None)
    return Decision(True, branch, sure, common_ancestor(roll_up, scores, thresholds))


def _sure(roll_up: RollUp, branch: list[Node], thresholds: Thresholds) -> Node | None:
    """The finest node of a branch whose score is above its own threshold."""
    ids = roll_up.node_ids
    above = (n for n in reversed(branch) if n.score > thresholds.shown_of(int(ids[n.index])))
    return next(above, None)


def is_unknown(scores: np.ndarray, unknown: float) -> bool:
    """Whether a photograph's probabilities, float [C], add up to less than threshold 1."""
    return float(np.sum(scores, dtype=np.float64)) < unknown


def kept(scores: np.ndarray, kept_share: float) -> np.ndarray:
    """The scores of the classes kept under threshold 2, float64 [C]; the others become 0.

    They are divided by their sum, which is 1 - the sum of those dropped.
    """
    exact = np.asarray(scores, np.float64)
    return _shares(np.where(exact < kept_share * exact.max(), 0, exact))


def best_classes(scores: np.ndarray, count: int) -> np.ndarray:
    """Positions of the best classes, best first; of equal scores the first comes first."""
    below = -np.asarray(scores)
    if count < len(below):
        # Sorting 60,000 scores takes ten times as long as finding the best of them.
        candidates = np.flatnonzero(below <= np.partition(below, count - 1)[count - 1])
        if len(candidates) >= count:  # fewer only where scores are no numbers
            return candidates[np.argsort(below[candidates], kind="stable")[:count]]
    return np.argsort(below, kind="stable")[:count]


def common_ancestor(roll_up: RollUp, scores: np.ndarray, thresholds: Thresholds) -> Node | None:
    """The finest taxon that the best classes share, under thresholds 4 and 5.

    Of taxa of the same level it is the one with the higher score, and of equal scores the first
    on a walk in depth-first order.
    """
    exact = np.asarray(scores, np.float64)
    best = best_classes(exact, thresholds.ancestor_leaves)
    best = best[exact[best] >= thresholds.ancestor_share * exact[best[0]]]
    alone = np.zeros_like(exact)
    alone[best] = exact[best]
    shares = roll_up.node_scores(_shares(alone)[None])[0]
    lowest, highest = thresholds.ancestor_rank_levels
    levels = roll_up.rank_levels
    candidates = np.flatnonzero(
        (shares > thresholds.ancestor_score) & (lowest <= levels) & (levels <= highest)
    )
    if not len(candidates):
        return None
    finest = candidates[np.lexsort((-shares[candidates], levels[candidates]))[0]]
    return Node(int(finest), float(shares[finest]))


def _shares(scores: np.ndarray) -> np.ndarray:
    """The scores divided by their sum; zeros stay what they are."""
    total = float(scores.sum())
    return scores / total if total > 0 else scores
