"""Scenes get the names that an app would show, though only the best scores were kept."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_scores import WHITES, Model

from taxonvision.evaluation.metrics.false_names import are_named
from taxonvision.evaluation.scores import ALWAYS_KEPT, MOST_KEPT
from taxonvision.runtime.answer import decide
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.tree import Taxon, Taxonomy

SEEDS = st.integers(0, 2**32 - 1)
MANY = Model(
    Taxonomy(
        [
            *(Taxon.of_rank(10_000 + i, None, "family", f"F{i}") for i in range(4)),
            *(Taxon.of_rank(1000 + i, 10_000 + i % 4, "genus", f"G{i}") for i in range(40)),
            *(Taxon.of_rank(1 + i, 1000 + i % 40, "species", f"S{i}") for i in range(800)),
        ]
    ),
    range(1, 801),
)
"""More classes than are ever kept of a photograph."""


def of_the_apps(model, full, thresholds) -> list[bool]:
    decisions = [decide(model.roll_up, row, thresholds) for row in full]
    return [d.sure is not None or d.common_ancestor is not None for d in decisions]


def false_names(model, full, thresholds) -> list[bool]:
    scenes = model.keep(full, np.zeros(len(full)))
    return are_named(scenes, model.tree, model.classes, thresholds).tolist()


@settings(max_examples=20)
@given(SEEDS, st.sampled_from([WHITES, MANY]), st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_names_are_those_of_the_apps(seed, model, shown, unknown):
    rng = np.random.default_rng(seed)
    concentration = rng.choice([0.003, 0.05, 1])
    full = rng.dirichlet(np.full(len(model.classes), concentration), 5)
    full = (full * rng.uniform(size=(5, 1))).astype(np.float32)
    own = {taxon: float(rng.uniform()) for taxon in rng.choice(model.roll_up.node_ids, 3)}
    thresholds = Thresholds(shown=shown, unknown=unknown, by_taxon=own)
    assert false_names(model, full, thresholds) == of_the_apps(model, full, thresholds)


def test_what_was_not_kept_counts_for_the_sum_and_for_nothing_else():
    sure = np.full((1, 800), 1e-4, np.float32)
    sure[0, 7] = 0.5
    assert false_names(MANY, sure, Thresholds(unknown=0.55)) == [True]  # 0.5 alone is below it
    flat = np.full((1, 800), 1 / 800, np.float32)
    assert flat.shape[1] > MOST_KEPT > ALWAYS_KEPT
    # Of the 500 kept no family has more than a quarter, nor of all.
    assert false_names(MANY, flat, Thresholds(shown=0.2501)) == [False]
    assert false_names(MANY, flat, Thresholds(shown=0.2499)) == [True]


def test_by_hand():
    sure, flat, nothing = np.eye(8)[0], np.full(8, 1 / 8), np.full(8, 0.01)
    found = false_names(WHITES, [sure, flat, nothing, nothing], Thresholds(unknown=0.5))
    assert found == [True, True, False, False]  # seven of eight classes are Lepidoptera


def test_all_scores_zero_are_no_name():
    assert false_names(WHITES, np.zeros((2, 8)), Thresholds()) == [False, False]


def test_no_scenes():
    assert false_names(WHITES, np.zeros((0, 8)), Thresholds()) == []


def test_a_tie_of_all_is_decided_alike():
    flat = np.full((1, 800), 1 / 800)
    thresholds = Thresholds(ancestor_score=0.3)
    found = false_names(MANY, flat, thresholds)
    assert found == of_the_apps(MANY, flat, thresholds) == [False]
