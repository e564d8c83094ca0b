"""Two heads name the same photographs; what they say is told as taxa of today."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from taxonvision.release.answers import judge_heads
from taxonvision.taxonomy.changes import NO_CHANGES, Change, Changes
from taxonvision.taxonomy.classes import TaxonClass


@dataclass(frozen=True)
class Planned:
    """A plan, as far as answers look at it."""

    classes: list[TaxonClass]
    changes: Changes = NO_CHANGES

    @property
    def taxon_ids(self):
        return np.array([c.taxon_id for c in self.classes], np.int64)


def classes_of(*taxon_ids, retired=()):
    return [
        TaxonClass(n, i, f"T{i}", "species", "retired" if i in retired else "active", "1")
        for n, i in enumerate(taxon_ids)
    ]


def changes_of(*lines):
    return Changes([Change(*line, line=at) for at, line in enumerate(lines, start=2)])


def naming(*names):
    """A head of as many classes as there are names that gives photograph i the class names[i]."""
    return lambda width: (
        np.eye(width, dtype=np.float32)[list(names)],
        np.zeros(width, np.float32),
    )


def verdict(before, parent, after, plan, truth, **options):
    """Photograph i has the features e_i."""
    return judge_heads(
        before(len(parent)), parent, after(len(plan.classes)), plan,
        np.eye(len(truth), dtype=np.float32), np.array(truth, np.int32), np.ones(len(truth), bool),
        **{"max_regression": 0.005, "strict": False, **options},
    )  # fmt: skip


def test_a_head_that_says_the_same_loses_nothing():
    parent, plan = classes_of(10, 20), Planned(classes_of(10, 20, 30))
    found = verdict(naming(0, 1, 0), parent, naming(0, 1, 2), plan, [0, 1, 2])
    assert found.judged
    assert found.passed
    assert (found.loss, found.shared.photographs, found.shared.top1_after) == (0, 2, 1)
    assert (found.new_taxa.photographs, found.new_taxa.right) == (1, 1)
    assert found.taken == []


def test_a_photograph_taken_by_a_new_taxon_is_not_lost_among_the_old():
    parent, plan = classes_of(10, 20), Planned(classes_of(10, 20, 30))
    found = verdict(naming(0, 1), parent, naming(0, 2), plan, [0, 1])
    [taken] = found.taken
    assert (taken.old_taxon_id, taken.new_taxon_id) == (20, 30)
    # Among the old ones both score 0 and the first counts.
    assert (found.shared.lost, found.everyone.lost) == (1, 1)


def test_classes_of_merged_taxa_are_one_answer():
    """10 became a part of 20: to say either was right."""
    parent = classes_of(10, 20, 40)
    after = classes_of(10, 20, 40, retired=[10])
    plan = Planned(after, changes_of(("merged", 10, 20)))
    found = verdict(naming(0, 1, 2), parent, naming(1, 1, 2), plan, [1, 1, 2])
    assert (found.shared.top1_before, found.shared.top1_after) == (1, 1)
    assert (found.shared.photographs, found.shared.taxa) == (3, 2)


def test_renamed_taxa_are_the_same():
    parent, plan = classes_of(10, 20), Planned(classes_of(11, 20), changes_of(("renamed", 10, 11)))
    found = verdict(naming(0, 1), parent, naming(0, 1), plan, [0, 1])
    assert (found.shared.photographs, found.shared.top1_before) == (2, 1)


def test_retired_classes_answer_nothing_and_are_not_judged():
    parent = classes_of(10, 20, 30, retired=[10])
    plan = Planned(classes_of(10, 20, 30, 40, retired=[10, 20]))
    # Both say the retired ones loudest.
    loud = (np.array([[5, 4, 1, 0], [5, 4, 1, 2]], np.float32), np.zeros(4, np.float32))
    before = (loud[0][:, :3].copy(), loud[1][:3])
    found = judge_heads(
        before, parent, loud, plan, np.eye(2, dtype=np.float32), np.array([2, 3], np.int32),
        np.ones(2, bool),
        max_regression=0.005, strict=False,
    )  # fmt: skip
    assert [t.taxon_id for t in found.by_taxon] == [30]
    assert found.shared.top1_before == found.shared.top1_after == 1
    assert found.everyone.top1_before == 0  # of the parent, 20 was an answer
    assert found.new_taxa.right == 1


def test_taxa_that_were_split_are_no_answer_of_today():
    parent = classes_of(10, 20)
    changes = changes_of(("split", 10, 11), ("split", 10, 12))
    plan = Planned(classes_of(10, 20, 11, 12, retired=[10]), changes)
    found = verdict(naming(0, 1, 1, 1), parent, naming(2, 1, 2, 3), plan, [1, 1, 2, 3])
    assert (found.shared.photographs, found.shared.top1_before) == (2, 1)
    assert (found.everyone.photographs, found.everyone.lost, found.everyone.won) == (2, 0, 0)
    assert (found.new_taxa.photographs, found.new_taxa.right) == (2, 2)


@pytest.mark.parametrize("truth", [[], [2]], ids=["no photograph", "of new taxa only"])
def test_nothing_to_judge_by(truth):
    parent, plan = classes_of(10, 20), Planned(classes_of(10, 20, 30))
    found = verdict(naming(*[0] * len(truth)), parent, naming(*[2] * len(truth)), plan, truth)
    assert not found.judged
    assert not found.passed
    assert found.reason.startswith("whether the old taxa lose could not be judged")


def test_nothing_is_shared():
    parent, plan = classes_of(10), Planned(classes_of(10, 20, retired=[10]))
    found = verdict(naming(0), parent, naming(1), plan, [1])
    assert not found.judged
    assert found.new_taxa.right == 1


def test_a_loss_and_the_limits():
    parent, plan = classes_of(10, 20), Planned(classes_of(10, 20))
    good, bad = naming(*[0, 1] * 20), naming(*[1, 0] * 20)
    truth = [0, 1] * 20
    lost = verdict(good, parent, bad, plan, truth)
    assert (lost.passed, lost.loss) == (False, 1)
    assert verdict(good, parent, bad, plan, truth, max_regression=1.0).passed
    assert verdict(good, parent, good, plan, truth).passed
    assert not verdict(good, parent, good, plan, truth, strict=True).passed  # 40 prove little
    assert verdict(good, parent, good, plan, truth, strict=True, max_regression=0.5).passed


def test_what_the_parent_was_trained_on_is_not_judged():
    parent, plan = classes_of(10, 20), Planned(classes_of(10, 20))
    fair = np.array([True, True, False, False])
    found = judge_heads(
        naming(0, 1, 0, 1)(2), parent, naming(0, 1, 1, 0)(2), plan, np.eye(4, dtype=np.float32),
        np.array([0, 1, 0, 1], np.int32), fair, max_regression=0.005, strict=False,
    )  # fmt: skip
    assert (found.shared.photographs, found.shared.lost) == (2, 0)
