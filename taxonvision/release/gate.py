"""The gate of a release: old taxa before and after, on the same test photographs.

They are measured twice. Among the taxa that both releases know, a photograph that is lost is one
that the refit broke; this is what the gate judges. Among all that each release knows, a photograph
may also be lost to a taxon that is new: a look-alike, which the old release could not name.

All shares, differences and bounds are fractions of 1, `max_regression` too; `POINT` is one point of
percent. The gate refuses

1. where no test photograph shows a taxon that both releases know: nothing could be judged;
2. else where the one-sided lower bound of the loss (at 95 %) exceeds `max_regression`: a loss that
   is proven;
3. with `strict` where the upper bound does: a loss that is not ruled out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from taxonvision.evaluation.intervals import macro_difference, paired_difference, share
from taxonvision.evaluation.loss import POINT, Loss, check_limit, loss_of
from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.release.verdict import (
    Figures,
    NewTaxa,
    NewTaxon,
    OldTaxon,
    Taken,
    Verdict,
)


@dataclass(frozen=True)
class Answers:
    """What two releases say of the same test photographs, as taxa of today.

    All are int64 [n] taxon ids. What an old release says of a taxon that was merged or renamed
    since is given as the taxon it is now; `NO_TAXON` stands where there is none.

    Attributes:
        truth: the taxon on each photograph.
        before_shared: the old release's best among the taxa that both know.
        after_shared: the new release's best among the same.
        before_all: the old release's best among all it knows.
        after_all: the new release's best among all it knows.
    """

    truth: np.ndarray
    before_shared: np.ndarray
    after_shared: np.ndarray
    before_all: np.ndarray
    after_all: np.ndarray

    def __post_init__(self) -> None:
        shapes = {np.shape(value) for value in vars(self).values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(f"answers on different photographs: {sorted(shapes)}")

    def of(self, chosen: np.ndarray) -> Answers:
        """The answers on some photographs, bool [n]."""
        return Answers(**{name: value[chosen] for name, value in vars(self).items()})


def judge(
    answers: Answers,
    known_before: np.ndarray,
    known_after: np.ndarray,
    *,
    max_regression: float = 0.5 * POINT,
    strict: bool = False,
) -> Verdict:
    """Judge a release by its answers.

    Args:
        answers: on the photographs of the test split.
        known_before: int64 [k], the taxa of today that the old release knows.
        known_after: int64 [m], the taxa that the new release knows, retired ones left out.
        max_regression: the loss of top-1 that is let pass, from 0 to 1.
        strict: refuse also what is not proven harmless.

    Raises:
        ValueError: `max_regression` is no fraction.
    """
    check_limit("max_regression", max_regression)
    known_before, known_after = (_as_ids(known) for known in (known_before, known_after))
    new = np.setdiff1d(known_after, known_before)
    old = answers.of(np.isin(answers.truth, np.intersect1d(known_before, known_after)))
    before, after = old.before_shared == old.truth, old.after_shared == old.truth
    shared = _figures(old.truth, before, after)
    loss = loss_of(old.truth, before, after, max_regression, strict=strict)
    return Verdict(
        judged=loss is not None,
        passed=loss is not None and loss.passed,
        reason=_in_words(loss, shared) if loss and shared else _NOT_JUDGED,
        max_regression=max_regression,
        strict=strict,
        loss=loss.loss if loss else None,
        loss_low=loss.low if loss else None,
        loss_high=loss.high if loss else None,
        shared=shared,
        everyone=_figures(old.truth, old.before_all == old.truth, old.after_all == old.truth),
        taken=_taken(old, new),
        by_taxon=_by_taxon(old.truth, before, after),
        new_taxa=_new_taxa(answers.of(np.isin(answers.truth, new))),
    )


_NOT_JUDGED = (
    "whether the old taxa lose could not be judged: the test split has no photograph of a taxon "
    "that both releases know"
)


def _as_ids(known: np.ndarray) -> np.ndarray:
    """The taxa of a release, each once."""
    ids = np.unique(np.asarray(known, np.int64))
    return ids[ids != NO_TAXON]


def _figures(truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> Figures | None:
    if not len(truth):
        return None
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    taxa, inverse = np.unique(truth, return_inverse=True)
    photographs = np.bincount(inverse)
    macro_before, macro_after = (
        float((np.bincount(inverse, weights=right) / photographs).mean())
        for right in (before, after)
    )
    return Figures(
        photographs=len(truth),
        taxa=len(taxa),
        top1_before=float(before.mean()),
        top1_after=float(after.mean()),
        top1_difference=paired_difference(before, after),
        macro_before=macro_before,
        macro_after=macro_after,
        macro_difference=macro_difference(truth, before, after),
        lost=lost,
        won=won,
        lost_share=share(lost, len(truth)),
    )


def _taken(old: Answers, new: np.ndarray) -> list[Taken]:
    took = (old.before_all == old.truth) & np.isin(old.after_all, new)
    pairs = np.stack([old.truth[took], old.after_all[took]], axis=1)
    pairs, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")  # of those alike, the smaller ids first
    rows = zip(pairs[order].tolist(), counts[order].tolist(), strict=True)
    return [Taken(old_taxon, new_taxon, count) for (old_taxon, new_taxon), count in rows]


def _by_taxon(truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[OldTaxon]:
    taxa, inverse = np.unique(truth, return_inverse=True)
    photographs = np.bincount(inverse, minlength=len(taxa))
    right_before, right_after = (
        np.bincount(inverse[right], minlength=len(taxa)) for right in (before, after)
    )
    lost = right_before - right_after
    # Of as many lost, first those that had the fewest.
    order = np.lexsort((taxa, np.where(lost > 0, photographs, 0), -lost))
    columns = (taxa, photographs, right_before, right_after)
    rows = zip(*(column[order].tolist() for column in columns), strict=True)
    return [OldTaxon(*row) for row in rows]


def _new_taxa(new: Answers) -> NewTaxa:
    named = new.after_all == new.truth
    photographs, right = len(named), int(named.sum())
    taxa, inverse = np.unique(new.truth, return_inverse=True)
    counts = (np.bincount(inverse[of], minlength=len(taxa)) for of in (slice(None), named))
    rows = zip(taxa.tolist(), *(count.tolist() for count in counts), strict=True)
    return NewTaxa(
        photographs=photographs,
        right=right,
        top1=right / photographs if photographs else None,
        top1_interval=share(right, photographs) if photographs else None,
        by_taxon=[NewTaxon(*row) for row in rows],
    )


def _in_words(loss: Loss, figures: Figures) -> str:
    """The verdict as a sentence."""
    what_was_lost = loss.in_words("--max_regression", "test photographs of old taxa")
    return (
        f"old taxa among themselves: top-1 {figures.top1_before:.2%} before, "
        f"{figures.top1_after:.2%} now, {what_was_lost}"
    )
