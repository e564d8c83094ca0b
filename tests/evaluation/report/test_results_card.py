from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from taxonvision.evaluation.report.results_card import Group, Subject, results_card
from taxonvision.runtime.contract import Contract

BOUNDS = {"low": 0.84, "high": 0.898}
FIGURES = {
    "n": 500, "observations": 420, "top1": 0.872, "top5": 0.974, "macro_top1": 0.861,
    "ranks": {"species": 0.878, "genus": 0.89}, "average_precision": 0.94,
    "taxonomic_distance": 1.75,
    "common_ancestor": {"score": 0.78, "precision": 0.97, "recall": 0.91},
    "calibration_error": 0.0255, "calibration_error_floor": 0.0336, "coverage_at_95": 0.86,
    "false_names": {"scenes": 40, "share": 0.1},
    "by_observation": {"n": 420, "top1": 0.9, "top5": 0.98},
    "unknown_taxa": {"taxa": 2, "photographs": 7},
    "intervals": {
        "top1": BOUNDS, "ranks": {"genus": {"low": 0.87, "high": 0.917}},
        "false_names": {"share": {"low": 0.03, "high": 0.23}},
        "taxonomic_distance": {"low": 1.2, "high": 2.345}, "top5": None,
    },
}  # fmt: skip
TAIL = (Group("1-9", 60, 0.6), Group("10-19", 0, None), Group("20-49", 440, 0.9))


def card(figures=FIGURES, name="butterflies", facts=None, **changes) -> str:
    manifest = {
        "model": {"name": name, "bytes": 4_100_000, "facts": facts or {}},
        "catalog": {"fingerprint": "c" * 64}, "split": "test", "threads": 2,
        "median_latency_ms": 16.654,
    }  # fmt: skip
    subject = Subject(["species"] * 3 + ["genus"], ["en", "de"], Contract(224))
    return results_card(manifest, figures, subject, **changes)


def row(text: str, name: str) -> list[str]:
    """The cells of the only row of that name in a table of the card."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    assert len(rows) == 1, rows
    return [cell.strip() for cell in rows[0].strip("|").split("|")][1:]


def test_every_figure_stands_there_with_its_interval():
    text = card()
    assert row(text, "Top-1") == ["87.2%", "84.0% to 89.8%"]
    assert row(text, "Top-5") == ["97.4%", "–"]
    assert row(text, "genus, rolled up") == ["89.0%", "87.0% to 91.7%"]
    assert row(text, "Common ancestor above 0.78, precision")[0] == "97.0%"
    assert row(text, "Top-1 by observation")[0] == "90.0%"
    assert row(text, "False names on 40 scenes") == ["10.0%", "3.0% to 23.0%"]
    assert row(text, "Taxonomic distance of mistakes") == ["1.75", "1.20 to 2.35"]
    assert row(text, "Calibration error") == ["0.025", "–"]


def test_the_hub_reads_the_figures():
    data = ModelCard(card()).data
    assert data.model_name == "butterflies"
    assert [(r.metric_name, r.metric_value) for r in data.eval_results] == [
        ("Top-1", 0.872), ("Top-5", 0.974), ("Top-1, mean over taxa", 0.861),
        ("Average precision, mean over taxa", 0.94), ("Calibration error", 0.0255),
    ]  # fmt: skip
    assert {(r.dataset_split, r.dataset_revision) for r in data.eval_results} == {
        ("test", "c" * 64)
    }
    assert data.language == ["de", "en"]
    assert "datasets" not in data.to_dict()  # that it is tested on is not what it learned from


def test_the_weak_sides_follow_from_the_figures():
    text = card(tail=TAIL, regions=(Group("Europe", 500, 0.872),))
    assert "does not know 2 taxa of the split: 7 photographs" in text
    assert "By training photographs top-1 lies between 60.0% (1-9) and 90.0% (20-49)." in text
    assert "10.0% of 40 scenes without organisms get a name." in text
    assert "By places" not in text
    assert row(text, "1-9") == ["60", "60.0%"]
    assert "| 10-19 |" not in text
    assert "| Europe |" not in text


def test_groups_of_few_photographs_are_not_told_apart_in_words():
    few = (Group("1-9", 3, 0.0), Group("20-49", 440, 0.9))
    assert "top-1 lies between" not in card(tail=few)


def test_what_was_not_measured_is_said_to_be_so():
    unknown = dict.fromkeys(FIGURES) | {
        "n": 1, "observations": 1, "top1": 0.0, "ranks": {},
        "common_ancestor": {"score": 0.78, "precision": None, "recall": 0.0},
    }  # fmt: skip
    text = card(unknown)
    assert "Whether it leaves scenes without organisms unnamed was not measured." in text
    assert row(text, "Common ancestor above 0.78, precision") == ["not measured", "–"]
    assert [r.metric_name for r in ModelCard(text).data.eval_results] == ["Top-1"]


@pytest.mark.parametrize(
    ("facts", "library", "training"),
    [
        ({"kind": "bundle", "quantization": "int8"}, "litert", "The bundle's own MODEL_CARD.md"),
        ({"kind": "model", "hyperparameters": {"epochs": 3}}, "keras", "- **epochs:** 3"),
        ({}, "litert", "More information needed"),
    ],
)
def test_the_card_tells_what_is_known_of_each_kind_of_model(facts, library, training):
    text = card(facts=facts)
    assert ModelCard(text).data.library_name == library
    _, procedure = text.split("#### Training Hyperparameters\n\n")
    assert procedure.startswith(training)


def test_the_summary_is_what_is_said_in_words():
    text = card(sentences=["Right on most.", "Rare taxa | are <worse>."])
    assert "#### Summary\n\nRight on most. Rare taxa \\| are worse ." in text
    assert "butterflies names 87.2% of 500 photographs right." in card()
