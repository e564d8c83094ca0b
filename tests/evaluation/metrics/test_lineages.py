from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.evaluation.metrics.lineages import Lineages
from taxonvision.taxonomy.tree import Taxonomy


@settings(max_examples=20)
@given(forests(["family", "genus", "species"], 60), st.data())
def test_lineages_hold_what_is_at_or_above_a_taxon(forest, data):
    taxa, classes = forest
    tree = Taxonomy(taxa)
    lineages = Lineages.of(tree, np.array(classes))
    anyone = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), min_size=1)
    asked = np.array(data.draw(anyone))
    expected = [
        taxon in classes and node in [above.taxon_id for above in tree.lineage(taxon)]
        for taxon, node in asked.tolist()
    ]
    assert lineages.hold(asked[:, 0], asked[:, 1]).tolist() == expected


@settings(max_examples=20)
@given(forests(["family", "genus", "species"], 60))
def test_numbers_are_added_up_at_every_node(forest):
    taxa, classes = forest
    tree = Taxonomy(taxa)
    lineages = Lineages.of(tree, np.array(classes))
    numbers = np.arange(1, len(classes) + 1)
    expected = dict.fromkeys(lineages.node_ids.tolist(), 0)
    for taxon, number in zip(sorted(classes), numbers.tolist(), strict=True):
        for above in tree.lineage(taxon):
            expected[above.taxon_id] += number
    assert lineages.total(numbers).tolist() == list(expected.values())


def test_a_taxon_that_is_not_in_the_tree_has_only_itself(tree):
    lineages = Lineages.of(tree, np.array([5000, 12]))
    assert lineages.hold(np.array([5000, 5000]), np.array([5000, 1])).tolist() == [True, False]


def test_of_no_taxa_nothing_is_held(tree):
    lineages = Lineages.of(tree, np.zeros(0, np.int64))
    assert not lineages.hold(np.array([12]), np.array([1])).any()
    assert len(lineages.total(np.zeros(0, np.int64))) == 0
