from __future__ import annotations

import numpy as np
import pytest

from taxonvision.evaluation.bootstrap import Estimate, Resampling
from taxonvision.evaluation.metrics.breakdowns import accuracy_of_regions, accuracy_of_tail
from taxonvision.evaluation.results import KnownTaxa


def test_photographs_are_counted_where_they_were_taken():
    places = [
        (48.2, 16.4),  # Vienna
        (48.8, 2.3),  # Paris
        (-1.3, 36.8),  # Nairobi
        (0.0, -30.0),  # the Atlantic
        (np.nan, np.nan),
        (95.0, 0.0),
        (10.0, np.inf),
    ]
    truth = np.array([1, 2, 1, 1, 1, 1, 1])
    right = np.array([1, 0, 1, 0, 1, 0, 0], bool)
    latitudes, longitudes = np.array(places).T
    resampling = Resampling(np.arange(7), replicates=50)
    found = accuracy_of_regions(latitudes, longitudes, truth, right, resampling)
    assert [(each.name, each.part.photographs, each.part.taxa) for each in found] == [
        ("Western Europe", 2, 2),
        ("Eastern Africa", 1, 1),
        ("At sea", 1, 1),
        ("unknown", 3, 1),
    ]
    assert [each.part.top1.value for each in found] == pytest.approx([0.5, 1, 0, 1 / 3])
    for each in found:
        assert each.part.top1.interval.low < each.part.top1.interval.high


def test_the_tail_is_by_training_photographs():
    known = KnownTaxa(
        np.array([70, 10, 20, 30, 40, 50, 60]), np.array([1000, 0, 1, 9, 10, 999, 2000])
    )
    truth = np.array([10, 20, 20, 30, 40, 50, 60, 99])
    right = np.array([0, 1, 1, 0, 1, 1, 1, 0], bool)
    found = accuracy_of_tail(truth, right, known, Resampling(np.arange(8), replicates=50))
    assert [each.name for each in found] == [
        *("0", "1-9", "10-19", "20-49", "50-99", "100-199", "200-499", "500-999", "1000+")
    ]
    assert [each.classes for each in found] == [1, 2, 1, 0, 0, 0, 0, 1, 2]
    assert [each.part.photographs for each in found] == [1, 3, 1, 0, 0, 0, 0, 1, 1]
    few = found[1].part
    assert few.top1.value == pytest.approx(2 / 3)
    assert few.macro_top1.value == pytest.approx(1 / 2)
    assert few.taxa == 2
    assert found[3].part.top1 == found[3].part.macro_top1 == Estimate(None, None)


def test_the_parts_of_the_tail_are_all_photographs_of_classes():
    rng = np.random.default_rng(0)
    known = KnownTaxa(rng.permutation(np.arange(1, 200)), rng.integers(0, 1500, 199))
    truth = rng.integers(1, 250, 600)
    right = rng.random(600) < 0.5
    found = accuracy_of_tail(truth, right, known, Resampling(np.arange(600), replicates=3))
    assert sum(each.part.photographs for each in found) == (truth < 200).sum()
    assert sum(each.classes for each in found) == 199
    named = sum(p.top1.value * p.photographs for p in (e.part for e in found) if p.photographs)
    assert named == pytest.approx(right[truth < 200].sum())
