"""The card of a bundle, and the frame that all cards have."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.evaluation.report.model_card import Card, Figure, Measured, plain, render
from taxonvision.export.model_card import model_card
from taxonvision.models.facts import facts_of
from taxonvision.runtime.contract import Contract

HOSTILE = 'a: b\n---\n# "owned" <script>alert(1)</script> [x](j:y) {{ 7 }} \u2028 \x00 \ud83d | *'
GOLDEN = [
    {"file": "golden/1.png", "license": "CC-BY", "attribution": "Ada [Lovelace]"},
    {"file": "golden/2_exif6.jpg", "license": "CC0", "attribution": ""},
]
VALIDATION = {
    "split": "val", "photographs": 500, "same_name": 0.976,
    "top1": {"full": 0.894, "this": 0.886}, "calibration_error": {"full": 0.0381, "this": 0.0529},
}  # fmt: skip


def bundle_card(name="four butterflies", made=None, **changes):
    manifest = {
        "version": "1", "quantization": "int8", "source": {"backbone": "tiny"}, "golden": GOLDEN,
        "model": {"classes": 4, "bytes": 4_100_000},
        "input": {"dtype": "uint8", "shape": [1, 32, 32, 3]},
        "output": {"kind": "probabilities"}, "head": {"rank": None}, "region": None,
        "validation": VALIDATION, "thresholds": {"unknown": 0}, "unknown": None, **changes,
    }  # fmt: skip
    model = SimpleNamespace(
        name=name, manifest=made or {}, names={"en": {}, "no": {}, "pt-BR": {}},
        contract=Contract(32, 0.9),
    )  # fmt: skip
    return model_card(model, ["species"] * 3 + ["genus"], manifest)


def front_matter(card: str):
    _, text, _ = card.split("---\n", 2)
    return yaml.safe_load(text)


def headings(card: str) -> list[str]:
    return [line for line in card.splitlines() if line.startswith("#")]


def test_the_card_credits_every_golden_photograph():
    card = bundle_card().splitlines()
    assert "- golden/1.png: Ada Lovelace, CC-BY" in card
    assert "- golden/2_exif6.jpg: CC0" in card


def test_the_hub_reads_what_the_card_says():
    card = bundle_card(made={"catalog": "f" * 64, "backbone": {"name": "tiny"}})
    data = ModelCard(card).data
    assert (data.library_name, data.pipeline_tag, data.license) == (
        "litert", "image-classification", "unknown",
    )  # fmt: skip
    assert data.language == ["en", "no", "pt"]
    assert data.datasets == ["catalog-ffffffffffff"]
    assert {"tflite", "int8", "taxonomy"} <= set(data.tags)
    top1, error = data.eval_results
    assert (top1.metric_type, top1.metric_name, top1.metric_value) == ("accuracy", "Top-1", 0.886)
    assert (error.metric_value, top1.dataset_split, top1.dataset_revision) == (
        0.0529, "val", "f" * 64,
    )  # fmt: skip
    assert data.model_name == "four butterflies"


def test_the_sections_are_those_of_the_hub():
    from importlib.resources import files

    template = (files("huggingface_hub") / "templates/modelcard_template.md").read_text()
    theirs = [h for h in headings(template.split("---\n", 2)[2]) if "[optional]" not in h]
    assert [h for h in headings(bundle_card()) if h in theirs] == theirs[1:]


def test_figures_that_were_not_measured_are_no_figures():
    data = ModelCard(bundle_card(validation=None)).data
    assert data.eval_results is None
    assert "How good it is has not been measured." in bundle_card(validation=None)
    measured = Measured("test", "", [Figure("accuracy", "Top-1", None), Figure("ece", "E", 1e-5)])
    (kept,) = ModelCard(render(Card("m", "keras", measured=measured))).data.eval_results
    assert (kept.metric_name, kept.metric_value) == ("E", 1e-5)


def test_a_card_of_which_nothing_is_known_says_so():
    card = render(Card("m", "keras"))
    assert card.count("More information needed") > 15
    assert "datasets" not in front_matter(card)


def test_a_hostile_name_is_text_everywhere():
    golden = [{"file": "golden/1.png", "license": HOSTILE, "attribution": HOSTILE}]
    made = {
        "version": HOSTILE, "backbone": {"name": HOSTILE, "pretrained": True}, "catalog": HOSTILE,
        "packages": {HOSTILE: HOSTILE}, "placement": HOSTILE, "parent": {"name": HOSTILE},
        "made_by": {"flags": {"optimizer": HOSTILE}}, "trained": [HOSTILE],
    }  # fmt: skip
    card = bundle_card(HOSTILE, made, golden=golden)
    card.encode()
    body = card.split("\n---\n", 1)[1]
    assert "<" not in body and "](" not in body and "\x00" not in card
    ours = headings(bundle_card())[1:]
    assert headings(body)[1:] == ours
    data = ModelCard(card).data
    assert data.model_name.startswith('a: b --- # "owned" <script>')


@given(st.text(), st.lists(st.text(), max_size=3))
def test_the_metadata_reads_back_whatever_text_is_in_it(name, languages):
    card = render(Card(name, "keras", languages, tags=[name], base_model=name))
    found = front_matter(card.encode().decode())
    expected = "".join("\ufffd" if "\ud800" <= c <= "\udfff" else c for c in name)
    assert found["tags"][-1] == expected
    assert found.get("base_model", "") == expected
    assert all(code.isascii() and 2 <= len(code) <= 3 for code in found.get("language", []))


@given(st.text())
def test_plain_text_is_one_line_without_tags(text):
    shown = plain(text)
    assert not set(shown) & set("<>[]`\n\r\x00")
    assert plain("Aglais io") == "Aglais io"


@pytest.mark.parametrize(
    ("placement", "told"),
    [
        ("strategy single: one CPU, no GPU, no TF_CONFIG", "strategy single: one CPU"),
        ("strategy mirrored: 4 GPUs of this machine", "strategy mirrored: 4 GPUs"),
        ("strategy multiworker: SLURM gave 4 tasks, this is task 0 (node7:8470)",
         "strategy multiworker: SLURM gave 4 tasks"),
        ("strategy tpu: 8 cores of grpc://10.0.0.2:8470", "strategy tpu: 8 cores"),
    ],
)  # fmt: skip
def test_no_address_of_a_machine_is_told(placement, told):
    assert facts_of({"placement": placement})["placement"] == told


def test_a_flag_that_holds_a_path_stays_out_of_the_facts():
    flags = {"init_from": "/home/ada/model", "epochs": 3, "optimizer": "adamw", "warmup": None}
    facts = facts_of({"made_by": {"flags": flags}, "backbone": "garbled", "packages": None})
    assert facts == {"kind": "model", "hyperparameters": {"epochs": 3, "optimizer": "adamw"}}
