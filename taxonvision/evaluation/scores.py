"""What a model says of each of n photographs: the classes worth keeping, and the nodes above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxonvision.errors import UserError
from taxonvision.taxonomy.rollup import RollUp

NO_TAXON = 0
"""Stands where there is no taxon, as for photographs without organisms; ids count from 1."""
KEPT_SHARE = 0.001
"""Scores of at least this share of the photograph's best are kept, as the apps' roll-up does."""
ALWAYS_KEPT = 5
"""So many of the best classes are kept whatever their scores."""
MOST_KEPT = 500
"""And no more than so many classes and inner nodes, should a model of 60,000 know nothing."""


@dataclass(frozen=True)
class Ragged:
    """Taxa with scores by photograph, best first; photograph i has [starts[i]:starts[i + 1]].

    Attributes:
        starts: int64 [n + 1].
        taxon_ids: int64 [m].
        scores: float32 [m].
    """

    starts: np.ndarray
    taxon_ids: np.ndarray
    scores: np.ndarray

    @property
    def photographs(self) -> np.ndarray:
        """int64 [m]: the photograph that each entry belongs to."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    def take(self, indices: np.ndarray) -> Ragged:
        """The entries of these photographs, in this order."""
        lengths = np.diff(self.starts)[indices]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.repeat(self.starts[:-1][indices] - starts[:-1], lengths) + np.arange(starts[-1])
        return Ragged(starts, self.taxon_ids[at], self.scores[at])


@dataclass(frozen=True)
class Labelled:
    """Photographs and what is known of them without a model, all of the same length n.

    Attributes:
        photo_ids: n ids.
        observation_ids: n ids of observations, "" where unknown.
        truth: int64 [n], taxon ids; `NO_TAXON` where there is no organism.
        latitudes: float64 [n], degrees, NaN where unknown.
        longitudes: float64 [n], degrees, NaN where unknown.
    """

    photo_ids: list[str]
    observation_ids: list[str]
    truth: np.ndarray
    latitudes: np.ndarray
    longitudes: np.ndarray

    def __len__(self) -> int:
        return len(self.photo_ids)

    @classmethod
    def of(cls, photo_ids: Sequence[str], truth: np.ndarray) -> Labelled:
        """Photographs of which neither observation nor place is known."""
        nowhere = np.full(len(photo_ids), np.nan)
        nothing = [""] * len(photo_ids)
        return cls(list(photo_ids), nothing, np.asarray(truth, np.int64), nowhere, nowhere)

    def take(self, indices: np.ndarray) -> Labelled:
        """The photographs at these positions, in this order."""
        chosen = indices.tolist()
        return Labelled(
            [self.photo_ids[i] for i in chosen],
            [self.observation_ids[i] for i in chosen],
            self.truth[indices],
            self.latitudes[indices],
            self.longitudes[indices],
        )

    @cached_property
    def observations(self) -> np.ndarray:
        """int64 [n]: the number of each photograph's observation, counted from 0.

        A photograph without one is its own; so are photographs of one observation that show
        different taxa.
        """
        numbers: dict[tuple[str, int], int] = {}
        keys = (
            (f"o{observation}" if observation else f"p{place}", taxon)
            for place, (observation, taxon) in enumerate(
                zip(self.observation_ids, self.truth.tolist(), strict=True)
            )
        )
        counted = (numbers.setdefault(key, len(numbers)) for key in keys)
        return np.fromiter(counted, np.int64, len(self))


@dataclass(frozen=True)
class Scores:
    """What a model says of n photographs.

    Attributes:
        photographs: the photographs.
        truth_scores: float32 [n], the score of the truth's own class, 0 where it is no class.
        classes: the classes kept, by their own scores.
        inner: the inner nodes of the tree, by their rolled-up scores.
        rest: float32 [n], the scores of all classes not kept, summed.
    """

    photographs: Labelled
    truth_scores: np.ndarray
    classes: Ragged
    inner: Ragged
    rest: np.ndarray

    def __len__(self) -> int:
        return len(self.photographs)

    @property
    def photo_ids(self) -> list[str]:
        """The n ids of the photographs."""
        return self.photographs.photo_ids

    @property
    def truth(self) -> np.ndarray:
        """int64 [n], taxon ids."""
        return self.photographs.truth

    @property
    def observations(self) -> np.ndarray:
        """int64 [n], the number of each photograph's observation."""
        return self.photographs.observations

    def take(self, indices: np.ndarray) -> Scores:
        """What it says of the photographs at these positions, in this order."""
        return Scores(
            self.photographs.take(indices),
            self.truth_scores[indices],
            self.classes.take(indices),
            self.inner.take(indices),
            self.rest[indices],
        )


@dataclass(frozen=True)
class Kept:
    """What is kept of one photograph's scores; `joined` makes `Scores` of many.

    Attributes:
        truth_score: the score of the truth's own class, 0 where it is no class.
        rest: the scores of all classes not kept, summed.
        class_taxon_ids: int64 [c], the classes kept, best first.
        class_scores: float32 [c], their scores.
        inner_taxon_ids: int64 [i], the inner nodes kept, best first.
        inner_scores: float64 [i], their rolled-up scores.
    """

    truth_score: float
    rest: float
    class_taxon_ids: np.ndarray
    class_scores: np.ndarray
    inner_taxon_ids: np.ndarray
    inner_scores: np.ndarray


class Keeper:
    """Keeps of a photograph's full scores what counts.

    That is the classes, and the inner nodes by rolled-up score, of at least `KEPT_SHARE` of the
    best class, `MOST_KEPT` of each at most; the `ALWAYS_KEPT` best classes and the best node of
    each rank whatever their scores. Of equal scores the class or node that comes first is better.
    """

    def __init__(self, roll_up: RollUp, class_taxon_ids: Sequence[int]) -> None:
        """For models that answer these classes, whose tree `roll_up` has."""
        self._roll_up = roll_up
        self._class_taxon_ids = np.asarray(class_taxon_ids, np.int64)
        self._position = {taxon_id: i for i, taxon_id in enumerate(class_taxon_ids)}
        self._inner = np.unique(roll_up.parents[roll_up.parents >= 0])
        self._inner_taxon_ids = roll_up.node_ids[self._inner]
        self._of_rank = _by_rank(self._inner_taxon_ids, roll_up)

    def keep(self, scores: np.ndarray, truth: int) -> Kept:
        """What counts of one photograph's scores, float32 [C], whose truth is a taxon id.

        Raises UserError for scores that are no numbers.
        """
        best = scores.max()
        if not np.isfinite(best):  # NaN is the largest of all that are with it
            raise UserError("the model answers what is no number; it is of no use")
        least = KEPT_SHARE * best
        # Few pass the threshold, so that few need sorting: of 60,000 it would take ten times as
        # long as all else.
        passing = np.flatnonzero(scores >= least)
        if len(passing) < ALWAYS_KEPT:
            classes = _best(scores, ALWAYS_KEPT)
        else:
            classes = passing[_best(scores[passing], MOST_KEPT)]
        inner, inner_scores = self._inner_nodes(scores, least)
        own = self._position.get(truth)
        return Kept(
            truth_score=0.0 if own is None else float(scores[own]),
            rest=max(0.0, float(scores.sum() - scores[classes].sum())),
            class_taxon_ids=self._class_taxon_ids[classes],
            class_scores=scores[classes],
            inner_taxon_ids=self._inner_taxon_ids[inner],
            inner_scores=inner_scores[inner],
        )

    def _inner_nodes(self, scores: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Which inner nodes to keep, best first, and the scores of all inner nodes."""
        rolled_up = self._roll_up.node_scores(scores[None], self._inner)[0]
        passing = np.flatnonzero(rolled_up >= least)
        passing = passing[_best(rolled_up[passing], MOST_KEPT)]
        best_of_ranks = [nodes[np.argmax(rolled_up[nodes])] for nodes in self._of_rank]
        kept = np.union1d(passing, np.array(best_of_ranks, np.int64))
        return kept[_best(rolled_up[kept], len(kept))], rolled_up


def joined(photographs: Labelled, kept: Sequence[Kept]) -> Scores:
    """The scores of n photographs, from what is kept of each."""
    return Scores(
        photographs=photographs,
        truth_scores=np.array([each.truth_score for each in kept], np.float32),
        classes=_ragged([(each.class_taxon_ids, each.class_scores) for each in kept]),
        inner=_ragged([(each.inner_taxon_ids, each.inner_scores) for each in kept]),
        rest=np.array([each.rest for each in kept], np.float32),
    )


def keep(
    photographs: Labelled,
    score_batches: Iterable[np.ndarray],
    roll_up: RollUp,
    class_taxon_ids: Sequence[int],
) -> Scores:
    """Keep of full scores, float32 batches [b, C] in the order of the photographs, what counts."""
    keeper = Keeper(roll_up, class_taxon_ids)
    rows = (row for batch in score_batches for row in batch)
    truth = photographs.truth.tolist()
    return joined(photographs, [keeper.keep(*each) for each in zip(rows, truth, strict=True)])


def _best(scores: np.ndarray, most: int) -> np.ndarray:
    """Positions of the `most` highest scores [n], or of all, best first; equal ones in order."""
    among = np.arange(len(scores))
    if most < len(scores):
        least = np.partition(scores, -most)[-most]
        higher = np.flatnonzero(scores > least)
        equal = np.flatnonzero(scores == least)[: most - len(higher)]
        among = np.union1d(higher, equal)
    return among[np.argsort(-scores[among], kind="stable")]


def _by_rank(taxon_ids: np.ndarray, roll_up: RollUp) -> list[np.ndarray]:
    """Positions of the taxa in groups of one rank."""
    groups: dict[str, list[int]] = {}
    for position, taxon_id in enumerate(taxon_ids.tolist()):
        groups.setdefault(roll_up.taxonomy[taxon_id].rank, []).append(position)
    return [np.array(group, np.int64) for group in groups.values()]


def _ragged(parts: list[tuple[np.ndarray, np.ndarray]]) -> Ragged:
    lengths = [len(ids) for ids, _ in parts]
    return Ragged(
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        taxon_ids=np.concatenate([np.zeros(0, np.int64), *(ids for ids, _ in parts)]),
        scores=np.concatenate([np.zeros(0), *(scores for _, scores in parts)]).astype(np.float32),
    )
