from __future__ import annotations

import numpy as np
from small_results import results_of, small_tree

from taxonvision.evaluation.report.mistakes import (
    Named,
    confusions,
    surest_mistakes,
    surest_scenes,
)
from taxonvision.evaluation.report.tally import mistakes_of

TREE, CLASSES = small_tree()


def named(folder, given: list[tuple[int, int, float]]):
    """Results of photographs with a truth, a name and its score, and what is named in them."""
    scores = np.zeros((len(given), len(CLASSES)))
    for row, (_, name, score) in enumerate(given):
        scores[row] = (1 - score) / (len(CLASSES) - 1)
        scores[row, CLASSES.index(name)] = score
    results = results_of(folder, TREE, CLASSES, scores, [truth for truth, _, _ in given])
    return results, Named.by(results.scores)


def confusions_of(results, best, most):
    mistakes = mistakes_of(results.scores.truth, best.taxon_ids)
    return confusions(results.scores, best, mistakes, most)


def test_the_most_frequent_come_first_each_with_its_surest_photograph(tmp_path):
    results, best = named(
        tmp_path,
        [
            (11, 12, 0.6), (11, 12, 0.9), (11, 11, 0.8),  # photographs 0 to 2
            (12, 12, 0.7), (12, 12, 0.95),
            (21, 31, 0.99),
        ],
    )  # fmt: skip
    first, second = confusions_of(results, best, 5)
    assert (first.mistake.truth, first.mistake.given) == (11, 12)
    assert (first.times, first.photographs) == (2, 3)
    assert first.mistake.photo_id == "photo1"
    assert first.example == "photo4"
    assert (second.mistake.photo_id, second.example) == ("photo5", None)
    assert len(confusions_of(results, best, 1)) == 1


def test_of_equally_frequent_ones_the_surest_comes_first(tmp_path):
    results, best = named(tmp_path, [(11, 12, 0.6), (21, 31, 0.9), (12, 22, 0.8)])
    surest = [each.mistake.photo_id for each in confusions_of(results, best, 2)]
    assert surest == ["photo1", "photo2"]


def test_a_taxon_that_others_are_taken_for_shows_another_photograph_each_time(tmp_path):
    results, best = named(tmp_path, [(11, 31, 0.9), (21, 31, 0.9), (31, 31, 0.9), (31, 31, 0.8)])
    assert [each.example for each in confusions_of(results, best, 5)] == ["photo2", "photo3"]


def test_sure_mistakes_leave_out_what_is_shown(tmp_path):
    results, best = named(tmp_path, [(11, 12, 0.7), (11, 21, 0.9), (11, 31, 0.8), (11, 11, 0.99)])
    surest = surest_mistakes(results.scores, best, ["photo1"], 5)
    assert [each.photo_id for each in surest] == ["photo2", "photo0"]
    assert surest[0].given == 31 and np.isclose(surest[0].score, 0.8)


def test_scenes_are_those_that_an_app_names_the_surest_first(tmp_path):
    scenes, _ = named(tmp_path, [(0, 11, 0.6), (0, 12, 0.95), (0, 21, 0.99), (0, 11, 0.9)])
    are_named = np.array([True, True, False, True])
    shown = surest_scenes(scenes.scores, are_named, 2)
    assert [each.photo_id for each in shown] == ["photo1", "photo3"]
    assert len(surest_scenes(scenes.scores, are_named, 9)) == 3
    assert surest_scenes(scenes.scores, np.zeros(4, bool), 9) == []
