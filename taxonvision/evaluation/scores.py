"""What a model says of each of n photographs: the classes worth keeping, and the nodes above."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from taxonvision.taxonomy.rollup import RollUp

NO_TAXON = 0
"""The truth of photographs without organisms; taxon ids count from 1."""
KEPT_SHARE = 0.001
"""Scores of at least this share of the photograph's best are kept, as the apps' roll-up does."""
ALWAYS_KEPT = 5
"""So many of the best classes are kept whatever their scores."""
MOST_KEPT = 500
"""And no more than so many, should a model of 60,000 classes know nothing."""


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


def keep(
    photographs: Labelled,
    score_batches: Iterable[np.ndarray],
    roll_up: RollUp,
    class_taxon_ids: Sequence[int],
) -> Scores:
    """Keep of full scores, float32 batches [b, C] in the order of the photographs, what counts."""
    ids = np.asarray(class_taxon_ids, dtype=np.int64)
    position = {taxon_id: i for i, taxon_id in enumerate(class_taxon_ids)}
    has_children = np.zeros(len(roll_up.node_ids), bool)
    has_children[roll_up.parents[roll_up.parents >= 0]] = True
    inner_nodes = np.flatnonzero(has_children)
    of_rank = _by_rank(inner_nodes, roll_up)
    truth = photographs.truth.tolist()
    class_parts, inner_parts, truth_scores, rest = [], [], [], []
    for row, scores in enumerate(row for batch in score_batches for row in batch):
        least = KEPT_SHARE * scores.max()
        order = np.argsort(-scores, kind="stable")
        kept = order[: min(max(ALWAYS_KEPT, int((scores >= least).sum())), MOST_KEPT)]
        class_parts.append((ids[kept], scores[kept]))
        own = position.get(truth[row])
        truth_scores.append(0.0 if own is None else scores[own])
        rest.append(max(0.0, float(scores.sum() - scores[kept].sum())))
        node_scores = roll_up.node_scores(scores[None])[0]
        best_of_ranks = [nodes[np.argmax(node_scores[nodes])] for nodes in of_rank]
        high = inner_nodes[node_scores[inner_nodes] >= least]
        kept_inner = np.union1d(high, np.array(best_of_ranks, np.int64))
        kept_inner = kept_inner[np.argsort(-node_scores[kept_inner], kind="stable")]
        inner_parts.append((roll_up.node_ids[kept_inner], node_scores[kept_inner]))
    return Scores(
        photographs=photographs,
        truth_scores=np.array(truth_scores, np.float32),
        classes=_ragged(class_parts),
        inner=_ragged(inner_parts),
        rest=np.array(rest, np.float32),
    )


def _by_rank(nodes: np.ndarray, roll_up: RollUp) -> list[np.ndarray]:
    """The nodes in groups of one rank: the best of each rank is kept whatever its score."""
    groups: dict[str, list[int]] = {}
    for node in nodes.tolist():
        groups.setdefault(roll_up.taxonomy[int(roll_up.node_ids[node])].rank, []).append(node)
    return [np.array(group, np.int64) for group in groups.values()]


def _ragged(parts: list[tuple[np.ndarray, np.ndarray]]) -> Ragged:
    lengths = [len(ids) for ids, _ in parts]
    return Ragged(
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        taxon_ids=np.concatenate([np.zeros(0, np.int64), *(ids for ids, _ in parts)]),
        scores=np.concatenate([np.zeros(0), *(scores for _, scores in parts)]).astype(np.float32),
    )
