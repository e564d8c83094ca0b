from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_trees import forests

from taxonvision.errors import UserError
from taxonvision.evaluation import scores as module
from taxonvision.evaluation.scores import NO_TAXON, Keeper, Labelled, keep
from taxonvision.taxonomy.ranks import MAIN_RANKS
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy


def kept_slowly(full: np.ndarray, roll_up: RollUp, classes: list[int]):
    """The definition: all sorted, all rolled up; what is kept as (taxon id, score), best first."""
    least = module.KEPT_SHARE * full.max()
    passing = int((full >= least).sum())
    order = np.argsort(-full, kind="stable")
    order = order[: min(max(passing, module.ALWAYS_KEPT), module.MOST_KEPT)].tolist()
    by_class = [(classes[i], full[i]) for i in order]
    nodes = roll_up.node_scores(full[None])[0].tolist()
    inner = sorted(set(roll_up.parents.tolist()) - {-1})
    best_first = sorted(inner, key=lambda node: (-nodes[node], node))
    kept = {node for node in best_first[: module.MOST_KEPT] if nodes[node] >= least}
    ranks = {node: roll_up.taxonomy[int(roll_up.node_ids[node])].rank for node in inner}
    for rank in set(ranks.values()):
        kept.add(next(node for node in best_first if ranks[node] == rank))
    by_node = [(int(roll_up.node_ids[i]), nodes[i]) for i in best_first if i in kept]
    return by_class, by_node, max(0.0, float(full.sum() - full[order].sum()))


@st.composite
def cases(draw):
    """A forest, classes on it, and scores of a few values, so that many are equal."""
    taxa, classes = draw(forests([*MAIN_RANKS, "tribe"], 10**9))
    values = st.sampled_from([0.0, 1e-5, 4e-4, 0.001, 0.2, 0.25, 0.5, 1.0])
    scores = draw(st.lists(values, min_size=len(classes), max_size=len(classes)))
    return Taxonomy(taxa), classes, np.array(scores, np.float32)


@settings(max_examples=20)
@given(cases(), st.sampled_from([(0, 1), (2, 3), (5, 500)]), st.data())
def test_what_is_kept_is_that_of_the_slow_definition(case, bounds, data):
    tree, classes, full = case
    roll_up = RollUp(tree, classes)
    truth = data.draw(st.sampled_from([NO_TAXON, *classes]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ALWAYS_KEPT", bounds[0])
        patch.setattr(module, "MOST_KEPT", bounds[1])
        by_class, by_node, rest = kept_slowly(full, roll_up, classes)
        found = Keeper(roll_up, classes).keep(full, truth)
    assert found.class_taxon_ids.tolist() == [taxon_id for taxon_id, _ in by_class]
    assert found.class_scores.tolist() == [score for _, score in by_class]
    assert found.inner_taxon_ids.tolist() == [taxon_id for taxon_id, _ in by_node]
    assert found.inner_scores.tolist() == [score for _, score in by_node]
    assert found.rest == rest
    assert found.truth_score == (full[classes.index(truth)] if truth else 0)


def test_no_more_than_so_many_are_kept_of_a_model_that_knows_nothing():
    tree, classes = flat_tree(module.MOST_KEPT + 200)
    full = np.full(len(classes), 1 / len(classes), np.float32)
    full[-1] *= 1.5
    kept = Keeper(RollUp(tree, classes), classes).keep(full, classes[0])
    assert kept.class_taxon_ids.tolist() == [classes[-1], *classes[: module.MOST_KEPT - 1]]
    assert kept.class_scores.sum() + kept.rest == pytest.approx(full.sum(), abs=1e-6)
    # All genera are of one rank, so that the best of it is among the best of all.
    assert len(kept.inner_taxon_ids) == module.MOST_KEPT


def test_every_score_above_the_share_and_the_best_five_are_kept(case):
    for i, row in enumerate(case.full):
        start, stop = case.kept.classes.starts[i : i + 2]
        kept = case.kept.classes.scores[start:stop]
        assert len(kept) >= max(5, (row >= 0.001 * row.max()).sum())
        assert (np.diff(kept) <= 0).all()
        assert np.isclose(kept.sum() + case.kept.rest[i], row.sum(), atol=1e-6)


def test_the_truth_keeps_its_score_and_no_class_has_none(case, class_taxon_ids):
    for i, taxon_id in enumerate(case.truth.tolist()):
        expected = (
            case.full[i, class_taxon_ids.index(taxon_id)] if taxon_id in class_taxon_ids else 0
        )
        assert case.kept.truth_scores[i] == expected


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused(tree, class_taxon_ids, bad):
    full = np.array([[0.5, bad, 0.1, 0.1, 0.1, 0.1]], np.float32)
    with pytest.raises(UserError, match="no number"):
        keep(Labelled.of(["one"], [12]), [full], RollUp(tree, class_taxon_ids), class_taxon_ids)


def test_as_many_scores_as_photographs(tree, class_taxon_ids):
    full = np.full((2, 6), 1 / 6, np.float32)
    with pytest.raises(ValueError, match="zip"):
        keep(Labelled.of(["one"], [12]), [full], RollUp(tree, class_taxon_ids), class_taxon_ids)


def flat_tree(count: int) -> tuple[Taxonomy, list[int]]:
    """So many genera of one species each."""
    genera = [Taxon.of_rank(1 + i, None, "genus", f"g{i}") for i in range(count)]
    species = [Taxon.of_rank(1 + count + i, 1 + i, "species", f"s{i}") for i in range(count)]
    return Taxonomy([*genera, *species]), [taxon.taxon_id for taxon in species]
