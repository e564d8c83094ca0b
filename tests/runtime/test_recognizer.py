from __future__ import annotations

import numpy as np
import pytest

from taxonvision.runtime.contract import Contract
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TREE = Taxonomy(
    [
        Taxon.of_rank(1, None, "family", "Pieridae"),
        Taxon.of_rank(2, 1, "genus", "Pieris"),
        Taxon.of_rank(3, 2, "species", "Pieris rapae"),
        Taxon.of_rank(4, 2, "species", "Pieris napi"),
        Taxon.of_rank(5, None, "family", "Papilionidae"),
        Taxon.of_rank(6, 5, "species", "Papilio machaon"),
    ]
)


def recognizer(class_taxon_ids=(3, 4, 6)) -> Recognizer:
    return Recognizer(
        name="hand-made",
        fingerprint="0",
        bytes=0,
        threads=1,
        contract=Contract(8),
        class_taxon_ids=class_taxon_ids,
        taxonomy=TREE,
        names={"de": {6: "Schwalbenschwanz"}},
        score=lambda photographs: np.zeros((len(photographs), 3), np.float32),
    )


def test_suggestions_come_best_first_with_names_in_the_language():
    answer = recognizer().answer(np.array([0.1, 0.3, 0.6]), top=2, language="de")
    assert [(s.taxon.name, s.common_name) for s in answer.suggestions] == [
        ("Papilio machaon", "Schwalbenschwanz"),
        ("Pieris napi", ""),
    ]
    assert answer.suggestions[0].score == pytest.approx(0.6)
    assert recognizer().answer(np.array([0.1, 0.3, 0.6]), 1, "fr").suggestions[0].common_name == ""


def test_the_surest_name_climbs_until_the_score_is_high_enough():
    answer = recognizer().answer(np.array([0.45, 0.45, 0.1]), top=3, language="en")
    assert [s.taxon.name for s in answer.branch] == ["Pieridae", "Pieris", "Pieris rapae"]
    assert [round(s.score, 6) for s in answer.branch] == [0.9, 0.9, 0.45]
    assert answer.sure is not None
    assert answer.sure.taxon.name == "Pieris"


def test_a_sure_species_is_named_and_nothing_when_all_is_open():
    sure = recognizer().answer(np.array([0.05, 0.05, 0.9]), 3, "en").sure
    assert sure is not None
    assert sure.taxon.name == "Papilio machaon"
    assert recognizer().answer(np.array([0.3, 0.3, 0.4]), 3, "en").sure is None


def test_a_class_on_a_genus_is_named_when_it_beats_its_species():
    genus_and_species = recognizer(class_taxon_ids=(2, 3, 6))
    answer = genus_and_species.answer(np.array([0.8, 0.1, 0.1]), 3, "en")
    assert answer.sure is not None
    assert answer.sure.taxon.name == "Pieris"
    assert answer.sure.score == pytest.approx(0.9)
    assert [s.taxon.name for s in answer.branch] == ["Pieridae", "Pieris"]


def test_equal_scores_keep_the_order_of_the_classes():
    answer = recognizer().answer(np.full(3, 1 / 3), top=3, language="en")
    assert [s.taxon.taxon_id for s in answer.suggestions] == [3, 4, 6]
