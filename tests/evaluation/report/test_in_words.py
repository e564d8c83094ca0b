"""Models are called what they are: perfect, broken, no better than chance, or how good they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_scores import Model

from taxonvision.evaluation.metrics.measure import measure
from taxonvision.evaluation.report.in_words import in_words
from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.taxonomy.tree import Taxon, Taxonomy

GARDEN = Model(
    Taxonomy(
        [
            Taxon.of_rank(1, None, "family", "Pieridae"),
            *(Taxon.of_rank(100 + i, 1, "genus", f"Genus{i}") for i in range(5)),
            *(Taxon.of_rank(200 + i, 100 + i // 4, "species", f"Genus{i // 4} s{i}")
              for i in range(20)),
            Taxon.of_rank(220, 104, "species", "Genus4 s20"),
        ]
    ),
    range(200, 220),
)  # fmt: skip
"""Five genera of four species; of the last genus one species more, which is no class."""
CLASSES = len(GARDEN.classes)
STRANGER = 220


def results_of(full, truth, training=None, scenes=None) -> Results:
    counts = np.full(CLASSES, 50) if training is None else np.asarray(training)
    return Results(
        folder=Path(),
        manifest={},
        taxonomy=GARDEN.tree,
        scores=GARDEN.keep(full, truth),
        known=KnownTaxa(np.array(GARDEN.classes), counts),
        scenes=None if scenes is None else GARDEN.keep(scenes, np.zeros(len(scenes))),
    )


def words(*args, **more) -> list[str]:
    results = results_of(*args, **more)
    found = in_words(results, measure(results, replicates=10))
    for sentence in found:
        assert not sentence[0].islower()
        assert sentence.endswith(".")
        assert "nan" not in sentence
    return found


def drawn(n: int, seed: int = 0, skill: float = 4.0):
    """Calibrated scores, and truths that are drawn from them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, skill, (n, CLASSES))
    full = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1) + 200
    return full, truth


def sure(places, confidence=0.9):
    """Scores that give these classes so much, and the rest to all others."""
    full = np.full((len(places), CLASSES), (1 - confidence) / (CLASSES - 1))
    full[np.arange(len(places)), places] = confidence
    return full


def test_an_ordinary_calibrated_model():
    full, truth = drawn(700)
    first, *others = words(full, truth)
    top1 = (full.argmax(axis=1) + 200 == truth).mean()
    assert first.startswith(f"Of 700 photographs {top1:.1%} are named right (95 % interval ")
    assert "points more than the species" in first
    assert len(others) == 1
    assert others[0].startswith("Its scores tell how often it is right (off by ")


def test_the_species_is_told_where_it_is_not_what_is_named():
    tree = Taxonomy(
        [
            *(t for t in GARDEN.tree if t.taxon_id < 216),
            *(Taxon.of_rank(i, 104, "subspecies", f"S{i}") for i in range(216, 220)),
        ]
    )
    places = np.arange(400) % CLASSES
    named = np.where((places < 4) & (np.arange(400) < 200), places ^ 1, places)  # not the genus
    results = replace(results_of(sure(named), places + 200), taxonomy=tree)
    first, *_ = in_words(results, measure(results, replicates=10))
    # Half of the 80 photographs of the first four are wrong, and 80 of 400 have no species.
    assert "90.0% are named right" in first
    assert "the genus is right for 100.0%, 12.5 points more than the species (87.5%)" in first


@pytest.mark.parametrize(
    ("heat", "expected"), [(3, "It is over-confident: "), (0.4, "It is under-confident: ")]
)
def test_scores_that_promise_too_much_or_too_little(heat, expected):
    full, truth = drawn(700)
    heated = full**heat / (full**heat).sum(axis=1, keepdims=True)
    assert any(sentence.startswith(expected) for sentence in words(heated, truth))


def test_scores_that_are_off_both_ways():
    places = np.tile(np.arange(CLASSES), 20)
    full = np.concatenate([sure(places, 0.9), sure(places, 0.4)])
    rng = np.random.default_rng(1)
    wrong = rng.random(800) < 0.35
    truth = np.where(wrong, (np.tile(places, 2) + 1) % CLASSES, np.tile(places, 2)) + 200
    assert any("some are too high, others too low" in sentence for sentence in words(full, truth))


def test_a_perfect_model():
    places = np.arange(500) % CLASSES
    (only,) = words(sure(places, 1), places + 200)
    assert "perfect" in only
    assert "500" in only
    assert any("under-confident" in s for s in words(sure(places, 0.5), places + 200))


def test_shuffled_labels():
    for seed in range(2):
        rng = np.random.default_rng(seed)
        places = np.arange(500) % CLASSES
        found = words(sure(places), rng.permutation(places) + 200)
        assert "no better than chance" in found[0]
        assert "labels do not belong" in found[1]
        assert "90.0%" in found[1]
        assert len(found) == 2


def test_a_model_that_learnt_nothing_and_says_so():
    rng = np.random.default_rng(0)
    full = rng.dirichlet(np.full(CLASSES, 1000), 500)
    found = words(full, rng.integers(200, 220, 500))
    assert "no better than chance" in found[0]
    assert "learnt nothing" in found[1]


def test_a_broken_model_that_gives_all_the_same_name():
    places = np.full(500, 3)
    places[:10] = np.arange(10)
    found = words(sure(places), np.arange(500) % CLASSES + 200)
    assert "broken" in found[0]
    assert "Genus0 s3" in found[0]
    assert not any("labels" in s for s in found)


def test_one_name_for_all_that_would_do_as_well():
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(400) < 0.8, 0, rng.integers(0, CLASSES, 400))
    named = np.where(rng.random(400) < 0.75, truth, rng.integers(0, CLASSES, 400))
    found = words(sure(named, 0.8), truth + 200)
    assert found[1].startswith("To call every photograph Genus0 s0 would be right for ")


def test_a_name_that_it_is_too_fond_of():
    places = np.arange(500) % CLASSES
    named = np.where(np.arange(500) // CLASSES % 2, places, 7)
    found = words(sure(named), places + 200)
    assert any("too fond" in s and "Genus1 s7" in s for s in found)


def test_taxa_that_it_does_not_know():
    full, truth = drawn(400)
    truth[:80] = STRANGER
    right = (full.argmax(axis=1) + 200 == truth)[80:].mean()
    (sentence,) = [s for s in words(full, truth) if "does not know" in s]
    assert sentence == (
        "80 photographs of 1 taxon that it does not know count as named wrong; of all others "
        f"{right:.1%} are right."
    )


def test_one_photograph():
    places = np.array([3])
    right, wrong, strange = (words(sure(places), [taxon])[0] for taxon in (203, 204, STRANGER))
    assert right.startswith("The only photograph is named right (95 % interval 20.7% to 100.0%).")
    assert wrong.startswith("The only photograph is named wrong (95 % interval 0.0% to 79.3%).")
    assert strange == wrong
    assert words(sure(places), [STRANGER])[1] == (
        "1 photograph of 1 taxon that it does not know counts as named wrong."
    )


def test_all_of_a_few_photographs():
    first, *_ = words(sure(np.arange(4)), np.arange(4) + 200)
    assert first == "All 4 photographs are named right (95 % interval 51.0% to 100.0%)."


def test_without_replicates_there_is_no_interval():
    full, truth = drawn(100)
    results = results_of(full, truth)
    assert "interval" not in " ".join(in_words(results, measure(results, replicates=0)))


def test_a_tail_that_is_worse_and_one_that_is_not():
    places = np.arange(800) % CLASSES
    rare = places < 5
    named = np.where(rare & (np.arange(800) % 3 > 0), (places + 9) % CLASSES, places)
    training = np.where(np.arange(CLASSES) < 5, 4, 120)
    full = sure(named)
    (sentence,) = [s for s in words(full, places + 200, training) if "rare" in s.lower()]
    assert "with 1 to 9 training photographs 33.5% of the photographs" in sentence
    assert "with 100 to 199 training photographs 100.0%" in sentence
    assert not [s for s in words(full, places + 200, training[::-1]) if "rare" in s.lower()]


def test_scenes():
    full, truth = drawn(300)
    scenes = np.concatenate([sure([0]), np.full((3, CLASSES), 1 / CLASSES)])
    found = words(full, truth, scenes=scenes)
    assert found[-1] == "100.0% of 4 scenes without an organism get a name."  # all: the family
    (*_, last) = words(full, truth, scenes=sure([0]))
    assert last == "The only scene without an organism gets a name."


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_few_photographs_are_not_enough_to_condemn(right, n):
    places = np.arange(n)
    found = words(sure(places + (not right)), places + 200)
    assert found
    assert not any(
        word in s for s in found for word in ("perfect", "broken", "no better", "To call")
    )


def test_one_taxon_and_ties_and_zeros():
    half = sure(np.arange(40) % 2)
    (first, *_) = words(half, np.full(40, 200))
    assert first.startswith("Of 40 photographs 50.0% are named right")
    for full in (np.full((40, CLASSES), 1 / CLASSES), np.zeros((40, CLASSES))):
        assert "broken" in words(full, np.arange(40) % CLASSES + 200)[0]


def test_nearly_all_are_not_all():
    places = np.arange(2500) % CLASSES
    named = places.copy()
    named[0] = 1
    first = words(sure(named, 0.999), places + 200)[0]
    assert first.startswith("Of 2500 photographs 99.96% are")
    assert "the genus is right for 100.0%, 0.04 points more than the species" in first


def test_no_photographs_no_words():
    results = results_of(np.zeros((0, CLASSES)), [])
    assert in_words(results, None) == []


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_photographs_that_a_model_may_have_learned_from_are_told(split):
    results = replace(results_of(*drawn(50)), manifest={"split": split})
    found = in_words(results, measure(results, replicates=10))
    assert any("split train" in sentence for sentence in found) == (split == "train")
