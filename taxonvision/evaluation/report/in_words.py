"""What the figures of one model come to, in plain sentences, the most important first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.evaluation.comparison.sentences import points
from taxonvision.evaluation.intervals import Interval
from taxonvision.evaluation.metrics.accuracy import best_classes, best_scores
from taxonvision.evaluation.metrics.breakdowns import TailAccuracy, of_training
from taxonvision.evaluation.metrics.by_taxon import name_of
from taxonvision.evaluation.metrics.character import most_frequent, remarks
from taxonvision.evaluation.results import Results
from taxonvision.taxonomy.tree import Taxonomy
from taxonvision.text import percent, several

if TYPE_CHECKING:
    from taxonvision.evaluation.metrics.measure import Evaluation

_OFTEN = 0.25
"""A name is told that so many photographs get, `_TOO_OFTEN` times as many as show the taxon."""
_TOO_OFTEN = 4
_ROUNDING = 1e-9
_FEWEST = 10
"""Photographs that a model is condemned by, at least; fewer may be chance."""
_CLOSE = 0.02
"""A calibration error up to this does no harm, even where it is more than chance makes."""
_VAGUE = 0.1
"""Where chance can make calibration errors above this, a smaller one tells nothing."""
_PROMISES = 0.1
"""Scores that are so much higher than the share that is right promise what they do not keep."""


def in_words(results: Results, evaluation: Evaluation) -> list[str]:
    """One or a few whole sentences on a model; none where there are no photographs.

    A perfect model, one that gives the same name to nearly all and one that is no better than
    chance are called so. Of any other it is said how many photographs are named right, and at the
    genus; whether one name for all would do as well; which taxa it does not know; whether rare ones
    fare worse; whether its scores are probabilities; and what it says of scenes.

    Args:
        results: the photographs and what the model says of them.
        evaluation: the figures, `evaluation.metrics.measure` of the results.
    """
    scores, tree = results.scores, results.taxonomy
    if not len(scores):
        return []
    truth, named = scores.truth, best_classes(scores)
    confidence = best_scores(scores).astype(np.float64)
    right, figures = truth == named, evaluation.figures
    found = list(remarks("the model", truth, named, scores.observations, partial(name_of, tree)))
    if found and right.all():
        found += _calibration(confidence, right, evaluation, only_if_off=True)
    elif found:
        same = list(_favourite(truth, named, tree))
        found.append(_promise(confidence, right, of_one_name=bool(same)))
        found += _unknown_taxa(figures)
    else:
        found += _accuracy(figures, right)
        found += _unknown_taxa(figures)
        found += _one_name_for_all(figures, tree)
        found += _favourite(truth, named, tree)
        found += _tail(evaluation.tail)
        found += _calibration(confidence, right, evaluation)
    found += _scenes(figures)
    if results.manifest.get("split") == "train":
        found.append(
            "these are photographs of the split train: a model that has learned from them looks "
            "better here than it is"
        )
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found]


def _accuracy(figures: Mapping[str, Any], right: np.ndarray) -> Iterator[str]:
    n, count = len(right), int(right.sum())
    bounds = _interval(figures, "top1")
    width = ""
    if bounds is not None:
        width = f" (95 % interval {percent(bounds.low)} to {percent(bounds.high)})"
    if n == 1:
        yield f"the only photograph is named {'right' if count else 'wrong'}{width}"
        return
    if count == n:
        yield f"all {several(n, 'photograph')} are named right{width}"
        return
    if not count:
        yield f"none of {several(n, 'photograph')} is named right{width}"
        return
    sentence = f"of {several(n, 'photograph')} {percent(count / n)} are named right{width}"
    ranks = figures.get("ranks") or {}
    if "genus" in ranks and "species" in ranks:
        sentence += f"; {_of_the_genus(ranks['genus'], ranks['species'], count / n)}"
    yield sentence


def _of_the_genus(genus: float, species: float, top1: float) -> str:
    more = genus - species
    sentence = f"the genus is right for {percent(genus)}, "
    sentence += f"{points(more)} points more" if more > _ROUNDING else "no more often"
    # Where some classes are no species, the species is not what is named.
    other = f" ({percent(species)})" if percent(species) != percent(top1) else ""
    return f"{sentence} than the species{other}"


def _one_name_for_all(figures: Mapping[str, Any], tree: Taxonomy) -> Iterator[str]:
    most, bounds = figures["most_frequent"], _interval(figures, "top1")
    if figures["n"] < _FEWEST or bounds is None:
        return
    if bounds.low <= most["share"] < 1:  # all of one taxon tell nothing
        yield (
            f"to call every photograph {name_of(tree, most['taxon_id'])} would be right for "
            f"{percent(most['share'])}: it is not shown that the model does better"
        )


def _favourite(truth: np.ndarray, named: np.ndarray, tree: Taxonomy) -> Iterator[str]:
    taxon_id, often = most_frequent(named)
    true = float((truth == taxon_id).mean())
    if often >= _OFTEN and often >= _TOO_OFTEN * true and often * len(named) >= _FEWEST:
        yield (
            f"it is too fond of one name: it calls {percent(often)} of the photographs "
            f"{name_of(tree, taxon_id)}, which is on {percent(true)}"
        )


def _unknown_taxa(figures: Mapping[str, Any]) -> Iterator[str]:
    unknown, n = figures["unknown_taxa"], figures["n"]
    if not unknown["taxa"]:
        return
    photographs = several(unknown["photographs"], "photograph")
    count = "counts" if unknown["photographs"] == 1 else "count"
    sentence = (
        f"{photographs} of {several(unknown['taxa'], 'taxon')} that it does not know {count} as "
        "named wrong"
    )
    others = n - unknown["photographs"]
    if others:
        sentence += f"; of all others {percent(round(figures['top1'] * n) / others)} are right"
    yield sentence


def _tail(tail: Sequence[TailAccuracy]) -> Iterator[str]:
    """The rarest taxa that are surely worse than the commonest, if any are."""
    there = [
        (part, top1.value, top1.interval)
        for part in tail
        for top1 in [part.part.top1]
        if top1.value is not None and top1.interval is not None
    ]
    if not there:
        return
    common, of_common, best = there[-1]
    surely = ((part, value) for part, value, bounds in there if bounds.high < best.low)
    for rare, of_rare in surely:
        yield (
            f"rare taxa are worse: with {of_training(rare.least, rare.most)} {percent(of_rare)} of "
            f"the photographs are named right, with {of_training(common.least, common.most)} "
            f"{percent(of_common)}"
        )
        return


def _calibration(
    confidence: np.ndarray, right: np.ndarray, evaluation: Evaluation, *, only_if_off: bool = False
) -> Iterator[str]:
    """Whether scores are probabilities, as far as these photographs can tell."""
    error, chance = evaluation.figures["calibration_error"], evaluation.by_chance
    off = f"off by {100 * error:.1f} points in the mean; chance can make {100 * chance.high:.1f}"
    if error > max(chance.high, _CLOSE):
        yield f"{_how_off(confidence, right, error)} ({off})"
    elif only_if_off:
        return
    elif chance.high > _VAGUE:
        yield f"so few photographs cannot say whether its scores tell how often it is right ({off})"
    else:
        closely = "closely " if error > chance.high else ""
        yield f"its scores tell {closely}how often it is right ({off})"


def _how_off(confidence: np.ndarray, right: np.ndarray, error: float) -> str:
    promised, kept = float(confidence.mean()), float(right.mean())
    if abs(promised - kept) < error / 2:
        return "its scores do not tell how often it is right: some are too high, others too low"
    kind = "over-confident" if promised > kept else "under-confident"
    return f"it is {kind}: {_promised(promised, kept)}"


def _promise(confidence: np.ndarray, right: np.ndarray, *, of_one_name: bool) -> str:
    """What to make of names that are no better than chance, or all the same one."""
    promised, kept = float(confidence.mean()), float(right.mean())
    if of_one_name:
        return _promised(promised, kept)
    if promised - kept > _PROMISES:
        return (
            f"{_promised(promised, kept)}: either the labels do not belong to these photographs or "
            "to its classes, or it knows nothing"
        )
    return (
        f"its scores promise no more, {percent(promised)} in the mean: it has learnt nothing, "
        "or from labels that did not belong to their photographs"
    )


def _promised(promised: float, kept: float) -> str:
    return f"its scores promise {percent(promised)} right names, and {percent(kept)} are"


def _scenes(figures: Mapping[str, Any]) -> Iterator[str]:
    false = figures.get("false_names")
    if false and false["share"] is not None:
        if false["scenes"] == 1:
            yield f"the only scene without an organism gets {'a' if false['share'] else 'no'} name"
            return
        scenes = several(false["scenes"], "scene")
        yield f"{percent(false['share'])} of {scenes} without an organism get a name"


def _interval(figures: Mapping[str, Any], name: str) -> Interval | None:
    bounds = (figures.get("intervals") or {}).get(name)
    return Interval(bounds["low"], bounds["high"]) if bounds else None
