from __future__ import annotations

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from taxonvision.errors import AlreadyDone, UserError
from taxonvision.evaluation import compare as module
from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.evaluation.scores import Labelled, Ragged, Scores
from taxonvision.storage import Recipe
from taxonvision.taxonomy.tree import Taxon, Taxonomy

compare, comparison_of = (
    partial(function, replicates=200) for function in (module.compare, module.comparison_of)
)

GENERA = {genus: list(range(10 * genus + 1, 10 * genus + 5)) for genus in range(1, 6)}
TAXA = [species for genus in GENERA.values() for species in genus]
TREE = Taxonomy(
    [
        Taxon.of_rank(1000, None, "family", "Pieridae"),
        *(Taxon.of_rank(genus, 1000, "genus", f"Genus{genus}") for genus in GENERA),
        *(
            Taxon.of_rank(species, genus, "species", f"Genus{genus} s{species}")
            for genus, of_genus in GENERA.items()
            for species in of_genus
        ),
    ]
)


def results(name, named, truth, known=TAXA, photo_ids=None, observations=None, **manifest):
    """Results of a model that names each photograph with a score of 0.8, and another with 0.2."""
    named, truth = np.asarray(named, np.int64), np.asarray(truth, np.int64)
    n = len(named)
    second = np.array([next(t for t in known if t != best) for best in named.tolist()], np.int64)
    parents = np.stack([named // 10, second // 10], axis=1)
    photo_ids = [f"p{i}" for i in range(n)] if photo_ids is None else list(photo_ids)
    labelled = Labelled.of(photo_ids, truth)
    if observations is not None:
        labelled.observation_ids[:] = list(map(str, observations))
    return Results(
        folder=Path("/results") / name,
        manifest={
            "model": {"bytes": 1000 * len(name)},
            "split": "test",
            "catalog": {"fingerprint": "the same"},
            "median_latency_ms": 2.5,
            "threads": 2,
            "fingerprint": name,
        }
        | manifest,
        taxonomy=TREE,
        scores=Scores(
            labelled,
            np.where(named == truth, 0.8, 0).astype(np.float32),
            _ragged(np.stack([named, second], axis=1)),
            _ragged(parents),
            np.zeros(n, np.float32),
        ),
        known=KnownTaxa(np.array(known), np.arange(len(known)) * 7),
    )


def _ragged(ids):
    scores = np.tile(np.array([0.8, 0.2], np.float32), len(ids))
    return Ragged(2 * np.arange(len(ids) + 1), ids.ravel(), scores)


RNG = np.random.default_rng(11)
TRUTH = np.sort(RNG.choice(TAXA, 800))
FULL = np.where(RNG.random(800) < 0.85, TRUTH, RNG.choice(TAXA, 800))


def compressed():
    """What the full model names, but for 15 photographs: 9 are lost and 6 won."""
    right, wrong = (np.flatnonzero(each) for each in (FULL == TRUTH, FULL != TRUTH))
    named = FULL.copy()
    named[right[::70][:9]] = [next(t for t in TAXA if t != u) for u in TRUTH[right[::70][:9]]]
    named[wrong[::15][:6]] = TRUTH[wrong[::15][:6]]
    return named


def noisy(share, seed=1):
    """What the full model names, but for a share of the photographs, named at random."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(800) < share, rng.choice(TAXA, 800), FULL)


def said(named, truth=TRUTH, full=FULL):
    """What is said of a candidate that names so."""
    sides = results("full", full, truth), [results("small", named, truth)]
    return comparison_of(*sides).candidates[0].sentences


def test_rows_by_hand(tmp_path):
    truth = [11, 11, 12, 12]
    full = results("full", [11, 11, 13, 13], truth)
    small = results("int8", [11, 21, 12, 21], truth)
    out = tmp_path / "comparison"
    compare(full, [small], out, Recipe("compare"))
    manifest = json.loads((out / "comparison.json").read_text())
    assert (manifest["photographs"], manifest["split"]) == (4, "test")
    reference, candidate = manifest["models"]
    assert reference["name"] == "full"
    assert reference["agreement"] == 1
    assert reference["difference"] == reference["lost"] == reference["won"] == 0
    expected = {
        "name": "int8", "bytes": 4000, "top1": 0.5, "difference": 0.0, "agreement": 0.25,
        "lost": 1, "won": 1, "median_latency_ms": 2.5, "threads": 2, "size_ratio": 1.0,
        "latency_ratio": 1.0, "p": 1.0, "taxa_shared": 20, "taxa_new": 0,
        "larger_than_chance": False,
    }  # fmt: skip
    assert {key: candidate[key] for key in expected} == expected
    assert candidate["shared"]["top1_reference"] == candidate["shared"]["top1"] == 0.5
    assert candidate["ranks"]["species"]["candidate"] == 0.5
    with (out / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["full", "int8"]
    assert rows[0]["shared_difference"] == ""
    assert float(rows[1]["shared_top1"]) == 0.5
    with (out / "flips.csv").open() as file:
        flips = {row["photo_id"]: row for row in csv.DictReader(file)}
    assert {key: row["kind"] for key, row in flips.items()} == {"p1": "lost", "p2": "won"}
    assert flips["p1"] == {
        "photo_id": "p1", "candidate": "int8", "kind": "lost", "truth_id": "11",
        "truth_name": "Genus1 s11", "reference_id": "11", "reference_name": "Genus1 s11",
        "reference_score": "0.8000", "candidate_id": "21", "candidate_name": "Genus2 s21",
        "candidate_score": "0.8000",
    }  # fmt: skip
    with (out / "taxa.csv").open() as file:
        taxa = [(row["taxon_id"], row["lost"], row["won"]) for row in csv.DictReader(file)]
    assert taxa == [("11", "1", "0"), ("12", "0", "1")]
    with pytest.raises(AlreadyDone):
        compare(full, [small], out, Recipe("compare"))


# What is called what it is


def test_noise_of_compression_is_no_larger_than_chance():
    headline, *more = said(compressed())
    assert headline.startswith("small names 0.4 points fewer photographs right than full (95 %")
    assert headline.endswith("no larger than chance; it could still be up to 1.5 points worse")
    back = said(FULL, full=compressed())[0]
    assert back.startswith("small names 0.4 points more photographs right than full (95 %")
    assert back.endswith("no larger than chance; it could still be up to 0.6 points worse")
    assert not any("broken" in each or "no better than" in each for each in more)


def test_a_real_loss_is_larger_than_chance():
    headline = said(noisy(0.2))[0]
    assert "points fewer photographs right than full (95 % interval -" in headline
    assert "larger than chance (p < 0.001); it is at least" in headline
    assert headline.endswith("points worse")
    assert "no larger" not in headline
    back = said(FULL, full=noisy(0.2))[0]
    assert "points more photographs right than full (95 % interval +" in back
    assert back.endswith("points better")


def test_identical_answers_are_said_to_be_and_could_still_differ():
    headline = said(FULL)[0]
    assert headline.startswith("small gives the same answers as full on all 800 photographs (")
    assert "no larger than chance; it could still be up to 0.5 points worse" in headline


def test_one_photograph():
    (sentence,) = said([11], [11], [11])
    assert sentence.startswith("small gives the same answer as full on the only photograph (95 %")


def test_what_the_test_doubts_and_the_interval_does_not_is_no_larger_than_chance():
    (sentence,) = said([11] * 20 + [12] * 5, [11] * 25, [11] * 25)
    assert "no larger than chance (p = 0.062); it could still be up to" in sentence


def test_as_many_lost_as_won():
    headline = said([12, 11, 11], truth=[12, 11, 12], full=[11, 11, 12])[0]
    assert headline.startswith("small names as many photographs right as full (95 % interval -")
    assert "no larger than chance" in headline


def test_a_perfect_candidate_and_a_perfect_reference():
    sentences = said(TRUTH)
    assert "points more" in sentences[0]
    assert "small is perfect here" in sentences[1]
    found = comparison_of(results("full", TRUTH, TRUTH), [results("small", FULL, TRUTH)])
    assert "full is perfect here" in found.reference.remarks[0]


def test_a_broken_candidate():
    sentences = said(np.full(800, 11))
    assert "larger than chance" in sentences[0]
    assert "small is broken: it names every photograph Genus1 s11" in sentences[1]


def test_a_candidate_with_shuffled_answers_or_names():
    assert "small is no better than chance" in said(RNG.permutation(FULL))[1]
    order = dict(zip(TAXA, np.roll(TAXA, 3).tolist(), strict=True))
    renamed = [order[taxon] for taxon in FULL.tolist()]
    assert "its names are mixed up" in said(renamed)[1]


def test_shuffled_labels_are_the_photographs_fault():
    labels = np.random.default_rng(4).permutation(TRUTH)
    sentences = said(noisy(0.05), truth=labels)
    assert "no larger than chance" in sentences[0]
    assert "small is no better than chance" in sentences[1]
    assert any(
        "the labels of the photographs, not the models, may be wrong" in s for s in sentences
    )
    alone = said(RNG.permutation(FULL))
    broken = said(np.full(800, 11), full=np.full(800, 11))
    assert not any("labels of the photographs" in sentence for sentence in broken)
    assert not any("labels of the photographs" in sentence for sentence in alone)


def test_photographs_of_one_observation_count_as_one():
    """Twenty photographs lost in one observation are McNemar's proof and yet chance."""
    truth = np.repeat(TAXA, 20)
    named = np.where(np.arange(400) < 20, 12, truth)
    full, alone = results("full", truth, truth), results("small", named, truth)
    assert "larger than chance (p" in comparison_of(full, [alone]).candidates[0].sentences[0]
    observed = np.arange(400) // 20
    together = [
        results(name, answers, truth, observations=observed)
        for name, answers in (("full", truth), ("small", named))
    ]
    found = comparison_of(together[0], together[1:])
    assert found.observations == 20
    assert found.candidates[0].judged.p < 0.001
    assert "no larger than chance" in found.candidates[0].sentences[0]


# Which photographs, which taxa


def test_the_photographs_that_both_have_are_compared(capsys):
    full = results("full", [11, 12, 13, 14], [11, 12, 13, 14], photo_ids="abcd")
    small = results("small", [99 - 78, 13, 12, 11], [21, 13, 12, 14], photo_ids="xcbd")
    found = comparison_of(full, [small])
    assert (found.photographs, found.reference.left_out) == (3, 1)
    (candidate,) = found.candidates
    assert candidate.model.left_out == 1
    assert (candidate.everyone.lost, candidate.everyone.agreement) == (1, 2 / 3)
    assert [flip.photo_id for flip in candidate.flips] == ["d"]
    said = capsys.readouterr().err
    for folder in ("/results/full", "/results/small"):
        assert f"warning: 1 of the 4 photographs in {folder} are not in all results" in said


def test_all_candidates_are_compared_on_the_same_photographs():
    full = results("full", [11, 12, 13], [11, 12, 13], photo_ids="abc")
    one = results("one", [11, 12], [11, 12], photo_ids="ab")
    two = results("two", [11, 13], [12, 13], photo_ids="bc")
    found = comparison_of(full, [one, two])
    assert found.photographs == 1
    assert [each.model.top1 for each in found.candidates] == [1, 0]


def test_photographs_with_another_truth_are_left_out(capsys):
    full = results("full", [11, 12, 13], [11, 12, 13])
    merged = results("small", [11, 11, 13], [11, 11, 13])
    found = comparison_of(full, [merged])
    assert (found.photographs, found.other_truth) == (2, 1)
    assert "1 photograph left out: the results name different taxa" in capsys.readouterr().err


def test_nothing_to_compare_on(tmp_path):
    full = results("full", [11], [11])
    elsewhere = results("other", [11], [11], photo_ids=["q"])
    with pytest.raises(UserError, match=r"other and /results/full are not results on the same"):
        compare(full, [elsewhere], tmp_path / "out", Recipe("compare"))
    assert not (tmp_path / "out").exists()
    both = (
        results("one", [11, 11], [11, 11], photo_ids="ab"),
        results("two", [11], [11], photo_ids="b"),
    )
    with pytest.raises(UserError, match="share no photo id"):
        comparison_of(results("full", [11], [11], photo_ids="a"), both)
    with pytest.raises(UserError, match=r"the taxon on every photograph .* differs"):
        comparison_of(full, [results("small", [11], [12])])


def test_another_catalog_is_said(capsys):
    other = results("small", [11], [11], catalog={"fingerprint": "another"})
    comparison_of(results("full", [11], [11]), [other])
    assert "comes from another catalog" in capsys.readouterr().err


def test_new_taxa_take_photographs_among_all_and_none_among_the_shared():
    """The second release knows 21 as well, a look-alike of 12 that takes a photograph of it."""
    truth = [11, 12, 12, 13, 21]
    before = results("v1", [11, 12, 12, 11, 11], truth, known=[11, 12, 13])
    after = results("v2", [11, 12, 21, 13, 21], truth, known=[12, 11, 21, 13])
    # The second best of the photograph that 21 takes is 12, the first of the others.
    (candidate,) = comparison_of(before, [after]).candidates
    assert (candidate.taxa_shared, candidate.taxa_new, candidate.taxa_lost) == (3, 1, 0)
    shared, everyone = candidate.shared, candidate.everyone
    assert (shared.photographs, shared.lost, shared.won) == (4, 0, 1)
    assert (everyone.photographs, everyone.lost, everyone.won) == (5, 1, 2)
    assert candidate.sentences[0].startswith(
        "among the taxa that both know, v2 names 25.0 points more"
    )
    other = candidate.sentences[1]
    assert other.startswith("v2 knows 1 taxon that v1 does not; among all taxa, v2 names 20.0")
    back = comparison_of(after, [before]).candidates[0]
    assert "v1 lacks 1 taxon that v2 knows; among all taxa, " in back.sentences[1]


def test_no_shared_taxon():
    one = results("v1", [11, 12], [11, 21], known=[11, 12])
    other = results("v2", [22, 21], [11, 21], known=[21, 22])
    found = comparison_of(one, [other], max_drop=1.0)
    (candidate,) = found.candidates
    assert candidate.shared is None
    assert candidate.tail == ()
    assert "no photograph shows a taxon that both know" in candidate.sentences[1]
    (gate,) = found.gates
    assert (gate.passed, gate.judged, gate.loss_low) == (False, False, None)
    assert "could not be judged" in gate.reason


@pytest.mark.parametrize(
    ("truth", "full", "small"),
    [
        ([11], [11], [12]),  # one photograph
        ([11] * 30, [11] * 30, [11] * 29 + [12]),  # one taxon
        ([11, 12, 13] * 9, [12, 13, 11] * 9, [13, 11, 12] * 9),  # all wrong
        ([11, 12] * 9, [12, 11] * 9, [11, 12] * 9),
    ],
)
def test_degenerate_photographs(tmp_path, truth, full, small):
    out = tmp_path / "out"
    compare(
        results("full", full, truth), [results("small", small, truth)], out, Recipe("compare"),
        max_drop=0.01,
    )  # fmt: skip
    row = json.loads((out / "comparison.json").read_text())["models"][1]  # and no NaN in it
    bounds = row["difference_interval"]
    assert bounds["low"] <= row["difference"] <= bounds["high"]
    assert bounds["low"] < bounds["high"]
    assert "chance" in row["sentences"][0]


def test_nothing_known_of_size_and_latency():
    unknown = results("small", [11], [11], model={}, median_latency_ms=0)
    (candidate,) = comparison_of(results("full", [11], [11]), [unknown]).candidates
    assert (candidate.model.bytes, candidate.model.median_latency_ms) == (None, None)
    assert (candidate.size_ratio, candidate.latency_ratio) == (None, None)


# The gate


def test_the_gate_judges_every_candidate():
    full = results("full", FULL, TRUTH)
    candidates = [results("same", FULL, TRUTH), results("worse", noisy(0.2), TRUTH)]
    found = comparison_of(full, candidates, max_drop=0.01)
    same, worse = found.gates
    assert (same.passed, worse.passed) == (True, False)
    assert worse.loss_low > 0.01
    assert "proven to be more than --max_drop=1" in worse.reason
    assert "proven to be no more than --max_drop=1" in same.reason
    assert found.gate_of["worse"] is worse


def test_strict_asks_for_a_loss_to_be_ruled_out():
    full, small = results("full", FULL, TRUTH), results("small", noisy(0.01), TRUTH)
    (lenient,) = comparison_of(full, [small], max_drop=0.005).gates
    (strict,) = comparison_of(full, [small], max_drop=0.005, strict=True).gates
    assert lenient.passed
    assert lenient.loss_low <= 0.005 < lenient.loss_high
    assert not strict.passed
    assert "as --strict asks; more photographs of taxa that both know would" in strict.reason


def test_a_drop_is_a_fraction():
    with pytest.raises(ValueError, match="max_drop is a fraction"):
        comparison_of(results("full", [11], [11]), [results("small", [11], [11])], max_drop=5)


# The rest


def test_without_replicates_intervals_come_from_formulas():
    full, small = results("full", FULL, TRUTH), results("small", compressed(), TRUTH)
    (candidate,) = comparison_of(full, [small], replicates=0).candidates
    assert candidate.everyone.top1.interval == candidate.everyone.top1.formula
    assert candidate.calibration_error.interval is None


def test_the_same_seed_gives_the_same_comparison(tmp_path):
    full, small = results("full", FULL, TRUTH), results("small", noisy(0.1), TRUTH)
    files = []
    for name in ("one", "two"):
        compare(full, [small], tmp_path / name, Recipe("compare"), seed=3)
        files.append({f.name: f.read_bytes() for f in (tmp_path / name).iterdir()})
    assert files[0] == files[1]


def test_folders_of_the_same_name_are_told_apart():
    one = results("full", [11], [11])
    found = comparison_of(one, [results("../elsewhere/full", [11], [11])])
    assert found.reference.name == "results/full"
    assert found.candidates[0].model.name == "elsewhere/full"


def test_photographs_are_asked_for_by_the_flips(tmp_path):
    asked = []

    def find(photo_ids):
        asked.append(set(photo_ids))
        return {}

    full = results("full", [11, 12, 13], [11, 12, 13])
    small = results("small", [11, 12, 12], [11, 12, 13])
    compare(full, [small], tmp_path / "out", Recipe("compare"), find)
    assert asked == [{"p2"}]
    compare(full, [full], tmp_path / "same", Recipe("compare"), find)
    assert len(asked) == 1


def test_names_in_the_report_are_text_and_never_html(tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    full, small = (results(name, [11], [11]) for name in ("full", hostile))
    compare(full, [small], tmp_path / "out", Recipe("compare"))
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "://" not in page
