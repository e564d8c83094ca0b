"""Which mistakes a report shows, and with which photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.metrics.accuracy import best_classes, best_scores
from taxonvision.evaluation.report.tally import Mistakes
from taxonvision.evaluation.scores import Scores


@dataclass(frozen=True)
class Mistake:
    """A photograph given a wrong name with this score; the truth of a scene is `NO_TAXON`."""

    photo_id: str
    truth: int
    given: int
    score: float


@dataclass(frozen=True)
class Confusion:
    """Photographs of one taxon that were given the name of another.

    Attributes:
        times: how many.
        photographs: how many of the true taxon there are.
        mistake: the surest of them.
        example: a photograph of the taxon it was taken for, rightly and surely named; None where
            no photograph of that taxon was.
    """

    times: int
    photographs: int
    mistake: Mistake
    example: str | None


@dataclass(frozen=True)
class Named:
    """The best class of each of n photographs, int64 [n], and its score, float32 [n]."""

    taxon_ids: np.ndarray
    scores: np.ndarray

    @classmethod
    def by(cls, scores: Scores) -> Named:
        """What the kept scores name."""
        return cls(best_classes(scores), best_scores(scores))


def confusions(scores: Scores, named: Named, mistakes: Mistakes, most: int) -> list[Confusion]:
    """The most frequent pairs of a truth and a wrong name, of equal ones the surest first."""
    surest: dict[tuple[int, int], int] = {}
    for at in _surest(named, named.taxon_ids != scores.truth).tolist():
        surest.setdefault((int(scores.truth[at]), int(named.taxon_ids[at])), at)
    pairs = [
        (times, surest[truth, name])
        for truth, names in mistakes.of.items()
        for name, times in names[:most]
    ]
    pairs.sort(key=lambda pair: (-pair[0], -named.scores[pair[1]], pair[1]))
    examples = _Examples(scores, named)
    return [
        Confusion(
            times,
            mistakes.photographs[int(scores.truth[at])],
            _mistake(scores, named, at),
            examples.of(int(named.taxon_ids[at])),
        )
        for times, at in pairs[:most]
    ]


def surest_mistakes(scores: Scores, named: Named, shown: Sequence[str], most: int) -> list[Mistake]:
    """The wrong names with the highest scores, of photographs that are not shown already."""
    skipped = set(shown)
    wrong = _surest(named, named.taxon_ids != scores.truth)
    fresh = (i for i in wrong.tolist() if scores.photo_ids[i] not in skipped)
    return [_mistake(scores, named, i) for i, _ in zip(fresh, range(most), strict=False)]


def surest_scenes(scenes: Scores, are_named: np.ndarray, most: int) -> list[Mistake]:
    """The scenes without an organism that an app would name, bool [m], the surest first."""
    named = Named.by(scenes)
    surest = _surest(named, are_named)[:most]
    return [_mistake(scenes, named, i) for i in surest.tolist()]


class _Examples:
    """Photographs of taxa that were rightly and surely named, another one each time."""

    def __init__(self, scores: Scores, named: Named) -> None:
        self._scores, self._named = scores, named
        self._given: dict[int, int] = {}

    def of(self, taxon_id: int) -> str | None:
        right = (self._named.taxon_ids == taxon_id) & (self._scores.truth == taxon_id)
        surest = _surest(self._named, right)
        if not len(surest):
            return None
        turn = self._given.get(taxon_id, 0)
        self._given[taxon_id] = turn + 1
        return self._scores.photo_ids[surest[turn % len(surest)]]


def _surest(named: Named, chosen: np.ndarray) -> np.ndarray:
    """Positions of the chosen photographs, bool [n], by falling score of their best class."""
    positions = np.flatnonzero(chosen)
    return positions[np.argsort(-named.scores[positions], kind="stable")]


def _mistake(scores: Scores, named: Named, at: int) -> Mistake:
    return Mistake(
        scores.photo_ids[at],
        int(scores.truth[at]),
        int(named.taxon_ids[at]),
        float(named.scores[at]),
    )
