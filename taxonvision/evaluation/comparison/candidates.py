"""A candidate against the reference: all that is told of the two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from taxonvision.evaluation.bootstrap import Resampling
from taxonvision.evaluation.comparison import sentences
from taxonvision.evaluation.comparison.changes import (
    change_of_calibration,
    changes_by_rank,
    changes_by_training,
)
from taxonvision.evaluation.comparison.comparison import ALL, SHARED, Candidate, Gate, Paired
from taxonvision.evaluation.comparison.flips import changes_by_taxon, flips
from taxonvision.evaluation.comparison.paired import Named, paired
from taxonvision.evaluation.comparison.sides import Side, among
from taxonvision.evaluation.loss import loss_of
from taxonvision.evaluation.metrics.character import agree, is_told_from_chance


def candidate_of(ours: Side, side: Side, resampling: Resampling) -> Candidate:
    """Compare a candidate with the reference, `ours`.

    Args:
        ours: the reference.
        side: the candidate, on the same n photographs.
        resampling: of the n photographs.
    """
    known = ours.results.known, side.results.known
    shared_taxa = np.intersect1d(known[0].taxon_ids, known[1].taxon_ids)
    truth = ours.scores.truth
    everyone = paired(ALL, Named(truth, ours.named, side.named), resampling)
    if everyone is None:
        raise ValueError("models are compared on one photograph or more")
    named, chosen = among(ours, side, shared_taxa)
    of_shared = resampling if chosen.all() else resampling.among(chosen)
    if _is_same(named, ours, side):
        shared: Paired | None = replace(everyone, among=SHARED)
    else:
        shared = paired(SHARED, named, of_shared)
    scores, trees = (ours.scores, side.scores), (ours.results.taxonomy, side.results.taxonomy)
    candidate = Candidate(
        model=side.model,
        everyone=everyone,
        shared=shared,
        taxa_shared=len(shared_taxa),
        taxa_lost=len(np.setdiff1d(known[0].taxon_ids, shared_taxa)),
        taxa_new=len(np.setdiff1d(known[1].taxon_ids, shared_taxa)),
        flips=flips(*scores),
        ranks=changes_by_rank(scores, trees, resampling),
        tail=changes_by_training(named, known[0], of_shared),
        calibration_error=change_of_calibration(
            (ours.model.calibration_error, side.model.calibration_error),
            scores,
            (ours.named == truth, side.named == truth),
            resampling,
        ),
        taxa=changes_by_taxon(*scores, known),
        size_ratio=_ratio(side.model.bytes, ours.model.bytes),
        latency_ratio=_ratio(side.model.median_latency_ms, ours.model.median_latency_ms),
        sentences=(),
    )
    return replace(candidate, sentences=_in_words(ours, side, candidate))


def gate_of(ours: Side, side: Side, max_drop: float, *, strict: bool) -> Gate:
    """Judge what a candidate loses among the taxa that both know.

    Args:
        ours: the reference.
        side: the candidate, on the same photographs.
        max_drop: the loss of top 1 that is let pass, from 0 to 1.
        strict: whether a loss must be ruled out, not only unproven.
    """
    name, reference = side.model.name, ours.model.name
    taxa = np.intersect1d(ours.results.known.taxon_ids, side.results.known.taxon_ids)
    named, _ = among(ours, side, taxa)
    loss = loss_of(named.truth, named.before, named.after, max_drop, strict=strict)
    if loss is None:
        reason = (
            f"whether {name} loses against {reference} could not be judged: no photograph shows a "
            "taxon that both know"
        )
        return Gate(name, False, False, None, None, reason)
    reason = (
        f"{name}, among the taxa that {reference} knows as well: top-1 {named.before.mean():.2%} "
        f"by {reference}, {named.after.mean():.2%} by {name}, "
        + loss.in_words("--max_drop", "photographs of taxa that both know")
    )
    return Gate(name, loss.passed, True, loss.low, loss.high, reason)


def _is_same(named: Named, ours: Side, side: Side) -> bool:
    """Whether what is named among some taxa is what is named among all."""
    return np.array_equal(named.reference, ours.named) and np.array_equal(
        named.candidate, side.named
    )


def _in_words(ours: Side, side: Side, candidate: Candidate) -> tuple[str, ...]:
    name, reference = side.model.name, ours.model.name
    differ = candidate.taxa_lost + candidate.taxa_new > 0
    among_which = sentences.AMONG[candidate.judged.among] if differ else ""
    said: list[str | None] = [
        sentences.headline(name, reference, candidate.judged, among_which),
        *side.model.remarks,
    ]
    truth, observations = ours.scores.truth, ours.scores.observations
    told = [is_told_from_chance(truth, each.named, observations) for each in (ours, side)]
    if not any(told) and agree(ours.named, side.named, observations):
        said.append(sentences.of_wrong_labels(name, reference, candidate.everyone))
    said.append(
        sentences.of_other_taxa(
            name, reference, candidate.everyone, candidate.shared, candidate.taxa_new,
            candidate.taxa_lost,
        )
    )  # fmt: skip
    if not side.model.remarks and candidate.judged.agreement < 1:
        said.append(sentences.of_the_rare(name, reference, candidate.tail))
    return tuple(sentence for sentence in said if sentence)


def _ratio(candidate: float | None, reference: float | None) -> float | None:
    return candidate / reference if candidate and reference else None
