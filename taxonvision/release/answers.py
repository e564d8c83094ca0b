"""What a release and the one before it say of the same test photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from taxonvision.evaluation.scores import NO_TAXON
from taxonvision.features.rows import Rows
from taxonvision.release.gate import Answers, judge
from taxonvision.release.plan import Plan
from taxonvision.release.scoring import best_taxa
from taxonvision.release.verdict import Verdict
from taxonvision.taxonomy.classes import TaxonClass, active_ids


def judge_heads(
    before: tuple[np.ndarray, np.ndarray],
    parent_classes: Sequence[TaxonClass],
    after: tuple[np.ndarray, np.ndarray],
    plan: Plan,
    test: Rows,
    class_ids: np.ndarray,
    fair: np.ndarray,
    *,
    max_regression: float,
    strict: bool,
) -> Verdict:
    """Let both heads name the test photographs, and judge the new one.

    Args:
        before: kernel [D, C] and bias [C] of the parent.
        parent_classes: its classes by id.
        after: kernel [D, C'] and bias [C'] of the new release.
        plan: its classes.
        test: features of n photographs, the same backbone's for both.
        class_ids: int32 [n], their classes of the new release.
        fair: bool [n], which of them neither was trained on; no others are judged.
        max_regression: the loss of top-1 that is let pass, from 0 to 1.
        strict: refuse also what is not proven harmless.
    """
    old = np.array(
        [
            (plan.changes.current(each.taxon_id) or NO_TAXON) if each.active else NO_TAXON
            for each in parent_classes
        ],
        np.int64,
    )
    new = plan.taxon_ids
    old_columns, new_columns = (np.array(active_ids(c)) for c in (parent_classes, plan.classes))
    known_before, known_after = old[old_columns], new[new_columns]
    known_before = known_before[known_before != NO_TAXON]  # of those that were split
    shared = np.intersect1d(known_before, known_after)
    named = [
        best_taxa(
            test, *head, taxa, [columns[np.isin(taxa[columns], shared)], columns], description
        )
        for head, taxa, columns, description in (
            (before, old, old_columns, "naming the test photographs by the parent"),
            (after, new, new_columns, "naming the test photographs by the new release"),
        )
    ]
    (before_shared, before_all), (after_shared, after_all) = named
    answers = Answers(new[class_ids], before_shared, after_shared, before_all, after_all)
    return judge(
        answers.of(fair),
        known_before,
        known_after,
        max_regression=max_regression,
        strict=strict,
    )
