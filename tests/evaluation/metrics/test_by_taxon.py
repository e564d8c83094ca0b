from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from taxonvision.evaluation.intervals import share
from taxonvision.evaluation.metrics.by_taxon import TaxonAccuracy, accuracy_of_taxa, count_by_taxon
from taxonvision.evaluation.results import KnownTaxa
from taxonvision.taxonomy.tree import Taxonomy

KNOWN = KnownTaxa(np.array([30, 12, 22, 13]), np.array([3, 1, 0, 1000]))


def of_taxa(truth, named, observations=None, tree=None) -> dict[int, TaxonAccuracy]:
    truth, named = np.array(truth, np.int64), np.array(named, np.int64)
    numbers = np.arange(len(truth)) if observations is None else np.array(observations)
    counts = count_by_taxon(truth, numbers, truth == named)
    found = accuracy_of_taxa(counts, truth, named, KNOWN, tree or Taxonomy([]))
    return {taxon.taxon_id: taxon for taxon in found}


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(12, 17), st.integers(12, 17)), min_size=1, max_size=60))
def test_counts_are_those_of_the_confusion_matrix(pairs):
    truth, named = zip(*pairs, strict=True)
    matrix = confusion_matrix(truth, named, labels=range(12, 18))
    found = of_taxa(truth, named)
    for row, taxon_id in enumerate(range(12, 18)):
        mistakes = matrix[row].copy()
        mistakes[row] = 0
        if matrix[row].sum() == 0:
            assert taxon_id not in found or found[taxon_id].top1 is None
            continue
        taxon = found[taxon_id]
        assert (taxon.photographs, taxon.right) == (matrix[row].sum(), matrix[row, row])
        assert taxon.times_named == mistakes.max()
        if mistakes.any():
            assert taxon.most_often_named == 12 + mistakes.argmax()
        else:
            assert taxon.most_often_named is None


def test_classes_without_photographs_and_taxa_that_are_no_class_are_told(tree):
    found = of_taxa([12, 12, 99], [12, 22, 12], tree=tree)
    assert [taxon.name for taxon in found.values()] == sorted(t.name for t in found.values())
    assert set(found) == {12, 13, 22, 30, 99}
    assert found[13].top1 is found[13].interval is found[13].most_often_named is None
    assert found[99].training_photographs is None
    assert found[99].top1 == 0
    assert found[22].training_photographs == 0
    assert found[12].top1 == 0.5


def test_the_interval_is_over_observations():
    taxon = of_taxa([12, 12, 12, 12], [12, 12, 13, 12], [0, 0, 1, 1])[12]
    assert taxon.observations == 2
    assert taxon.interval == share(0.75 * 2, 2)


def test_a_taxon_that_is_not_in_the_tree_is_called_by_its_id():
    assert of_taxa([12], [12])[12].name == "taxon 12"


def test_without_mistakes_nothing_is_mistaken():
    found = of_taxa([12, 13], [12, 13])
    assert {taxon.most_often_named for taxon in found.values()} == {None}
    assert found[12].top1 == pytest.approx(1)
