from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import GateRefusedError
from taxonvision.export.judge import Named, refuse_broken, validation_record


def named(best, confidence=0.9, known=1.0) -> Named:
    best = np.asarray(best, np.int64)
    full = np.full(len(best), confidence, np.float32)
    return Named(best, full, np.full(len(best), known, np.float32))


def renamed(n: int, share: float) -> Named:
    best = np.zeros(n, np.int64)
    best[: int(n * share)] = 1
    return named(best)


def test_the_best_of_batches_and_what_all_add_up_to():
    found = Named.of(iter([np.array([[0.1, 0.7], [0.5, 0.4]]), np.array([[0.2, 0.6]])]))
    assert found.best.tolist() == [1, 0, 1]
    assert found.confidence == pytest.approx([0.7, 0.5, 0.6])
    assert found.known == pytest.approx([0.8, 0.9, 0.8])
    assert len(Named.of(iter(())).best) == 0


@pytest.mark.parametrize(
    ("recipe", "share"), [("int8", 0.25), ("dynamic", 0.25), ("float16", 0.1), ("float32", 0.05)]
)
def test_a_model_that_is_proven_to_name_otherwise_is_refused(recipe, share):
    with pytest.raises(GateRefusedError, match=rf"{recipe} model .* of 200 validation"):
        refuse_broken(recipe, "", renamed(200, 0), renamed(200, share))


@pytest.mark.parametrize("recipe", ["float16", "dynamic", "int8"])
def test_what_few_photographs_say_by_chance_is_let_pass(recipe):
    refuse_broken(recipe, "", renamed(10, 0), renamed(10, 0.1))
    refuse_broken(recipe, "", named([]), named([]))


def test_golden_photographs_judge_8_bits_only_where_there_is_nothing_better():
    refuse_broken("int8", "it moved", renamed(100, 0), renamed(100, 0.02))
    for recipe, n in (("int8", 10), ("float32", 100)):
        with pytest.raises(GateRefusedError, match="it moved"):
            refuse_broken(recipe, "it moved", renamed(n, 0), renamed(n, 0))


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(GateRefusedError, match="0 of 100"):
        refuse_broken("int8", "", renamed(100, 0), named(np.zeros(100), np.nan))


def test_what_the_bundle_says_of_validation_photographs():
    full, this = named([0, 1, 1, 2], 0.75), named([0, 1, 2, 2], 0.5)
    assert validation_record(full, this, np.array([0, 1, 1, 1])) == {
        "split": "val",
        "photographs": 4,
        "same_name": 0.75,
        "top1": {"full": 0.75, "this": 0.5},
        "calibration_error": {"full": 0.0, "this": 0.0},
    }
    assert validation_record(named([]), named([]), np.empty(0, np.int64)) is None
