"""Results of several models, brought to the photographs that all of them have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from taxonvision.errors import UserError
from taxonvision.evaluation.results import Results
from taxonvision.evaluation.scores import Scores
from taxonvision.progress import say
from taxonvision.text import several


@dataclass(frozen=True)
class Matched:
    """Several results on the same n photographs.

    Attributes:
        scores: of each model, the same photographs in the same order.
        left_out: of each model, photographs that another's results do not have.
        other_truth: photographs that all have and whose taxon differs, also left out.
    """

    scores: tuple[Scores, ...]
    left_out: tuple[int, ...]
    other_truth: int


def match(everyone: Sequence[Results]) -> Matched:
    """Bring results to the photographs that all have, by photo id, in the order of the first.

    What is left out is said. Raises UserError when nothing is left.
    """
    first = everyone[0]
    _warn_of_other_catalogs(everyone)
    rows = [_row_of(results.scores) for results in everyone]
    shared = [each for each in first.scores.photo_ids if all(each in row for row in rows)]
    if not shared:
        raise UserError(_nothing_shared(everyone, rows))
    places = [np.array([row[photo_id] for photo_id in shared], np.int64) for row in rows]
    truths = [r.scores.truth[at] for r, at in zip(everyone, places, strict=True)]
    same = np.all([truth == truths[0] for truth in truths], axis=0)
    left_out = tuple(len(row) - len(shared) for row in rows)
    other_truth = int((~same).sum())
    _warn_of_what_is_left_out(everyone, left_out, other_truth)
    if not same.any():
        raise UserError(
            f"the taxon on every photograph shared by {_listed(everyone)} differs; evaluate all on "
            "the same catalog"
        )
    scores = (_taken(r.scores, at[same]) for r, at in zip(everyone, places, strict=True))
    return Matched(tuple(scores), left_out, other_truth)


def _row_of(scores: Scores) -> dict[str, int]:
    return {photo_id: row for row, photo_id in enumerate(scores.photo_ids)}


def _taken(scores: Scores, rows: np.ndarray) -> Scores:
    return scores if np.array_equal(rows, np.arange(len(scores))) else scores.take(rows)


def _warn_of_other_catalogs(everyone: Sequence[Results]) -> None:
    first, *others = everyone
    for other in others:
        catalogs = (each.manifest["catalog"].get("fingerprint") for each in (first, other))
        if len(set(catalogs)) > 1:
            say(
                f"warning: {other.folder} comes from another catalog than {first.folder}; "
                "photographs of the same id are taken for the same"
            )


def _warn_of_what_is_left_out(
    everyone: Sequence[Results], left_out: Sequence[int], other_truth: int
) -> None:
    for results, count in zip(everyone, left_out, strict=True):
        if count:
            say(
                f"warning: {count} of the {several(len(results.scores), 'photograph')} in "
                f"{results.folder} are not in all results and are left out"
            )
    if other_truth:
        say(
            f"warning: {several(other_truth, 'photograph')} left out: the results name different "
            "taxa as the truth, as after a change of the tree"
        )


def _nothing_shared(everyone: Sequence[Results], rows: Sequence[dict[str, int]]) -> str:
    others = zip(everyone[1:], rows[1:], strict=True)
    alone = next((results for results, row in others if not row.keys() & rows[0]), None)
    whose = _listed([alone, everyone[0]] if alone else everyone)
    return (
        f"{whose} are not results on the same photographs: they share no photo id; evaluate all on "
        "the same split of the same catalog"
    )


def _listed(everyone: Sequence[Results]) -> str:
    *most, last = [str(results.folder) for results in everyone]
    return f"{', '.join(most)} and {last}"
