"""MODEL_CARD.md: what the model in a bundle is, for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from taxonvision.evaluation.report.card_texts import RISKS, card_of, get_started, lines
from taxonvision.evaluation.report.model_card import Figure, Measured, bullets, plain, render
from taxonvision.models.directory import Model
from taxonvision.models.facts import facts_of
from taxonvision.text import several


def model_card(model: Model, ranks: Sequence[str], manifest: Mapping[str, Any]) -> str:
    """The card as Markdown, from the model, the ranks of its outputs and its bundle.json."""
    made = {"kind": "bundle", "quantization": manifest["quantization"]}
    facts = {**facts_of(model.manifest), **made}
    card = card_of(model.name, facts, ranks, sorted(model.names), model.contract)
    profile = [] if manifest["quantization"] == "float32" else [manifest["quantization"]]
    validation = manifest["validation"]
    return render(
        replace(
            card,
            tags=[*card.tags, *profile],
            measured=_measured(validation, str(facts.get("catalog", ""))),
            details={**card.details, **_region(manifest["region"])},
            limitations=lines([*RISKS, *_unknown(manifest)]),
            get_started=get_started("BUNDLE") + "\n\nBUNDLE is the folder of this card or its zip; "
            "`taxonvision verify BUNDLE` checks it, and BUNDLE.md tells how an app uses it.",
            testing_data=_testing_data(validation),
            factors="None: the photographs are judged together." if validation else "",
            metrics=_METRICS if validation else "",
            results=_results(validation),
            results_summary=_summary(validation, manifest["quantization"]),
            architecture=f"{card.architecture}\n\n{_tensors(manifest)}",
            speed=f"model.tflite has {manifest['model']['bytes'] / 1e6:.2f} MB.",
            more_information=_credits(manifest["golden"]),
        )
    )


_METRICS = (
    "Top-1: the share of photographs whose best class is the right one. Same name: the share whose "
    "best class is the full model's. Calibration error: the mean distance between score and share "
    "of right names in 15 groups of like scores; 0 is best."
)


def _measured(record: Mapping[str, Any] | None, catalog: str) -> Measured | None:
    if record is None:
        return None
    error = record["calibration_error"]["this"]
    figures = [
        Figure("accuracy", "Top-1", record["top1"]["this"]),
        Figure("expected_calibration_error", "Calibration error", error),
    ]
    return Measured(record["split"], catalog, figures)


def _region(region: Mapping[str, Any] | None) -> dict[str, str]:
    if region is None:
        return {}
    where = ""
    if region["within"]:
        latitude, longitude, radius = region["within"]
        where = f", those observed within {radius:g} km of {latitude:g}, {longitude:g}"
    taxa = f"{region['taxa']} of the full model's {region['of']} taxa{where}"
    return {"Region": taxa}


def _tensors(manifest: Mapping[str, Any]) -> str:
    factors = manifest["head"]["rank"]
    return bullets({
        "Input": f"{plain(manifest['input']['dtype'])} {manifest['input']['shape']}, RGB 0–255"
        .replace("[", "(").replace("]", ")"),
        "Output": f"{plain(manifest['output']['kind'])} of {manifest['model']['classes']} classes",
        "Quantisation": plain(manifest["quantization"]),
        **({"Head": f"in two factors of rank {factors}"} if factors else {}),
    })  # fmt: skip


def _testing_data(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "None: there was no validation photograph."
    photographs = several(record["photographs"], "photograph")
    return (
        f"{photographs} of the split `{plain(record['split'])}`, which chose when training was "
        "done; `taxonvision evaluate` measures on the split `test`."
    )


def _results(record: Mapping[str, Any] | None) -> str:
    if record is None:
        return "Not measured."
    top1, error = record["top1"], record["calibration_error"]
    return lines([
        f"Top-1 {top1['this']:.1%}, the full model's {top1['full']:.1%}",
        f"The same name as the full model's on {record['same_name']:.1%}",
        f"Calibration error {error['this']:.3f}, the full model's {error['full']:.3f}",
    ])  # fmt: skip


def _summary(record: Mapping[str, Any] | None, quantization: str) -> str:
    if record is None:
        return "How good it is has not been measured."
    top1 = record["top1"]
    lost = 100 * (top1["full"] - top1["this"])
    return (
        f"As {plain(quantization)} it names {top1['this']:.1%} of the photographs rightly, "
        f"{abs(lost):.1f} points {'less' if lost > 0 else 'more'} than the full model."
    )


def _unknown(manifest: Mapping[str, Any]) -> list[str]:
    threshold, record = manifest["thresholds"]["unknown"], manifest["unknown"]
    if not threshold or record is None:
        return ["It names every picture, also those without organisms: low scores mean not sure."]
    return [
        f"Scores that add up to less than {threshold:.3f} mean no organism that it knows: "
        f"{record['false_names']:.1%} of {several(record['scenes'], 'scene')} without organisms "
        f"({plain(record['negatives'])}) still get a name, {record['kept']:.1%} of "
        f"{several(record['photographs'], 'photograph')} named rightly keep theirs."
    ]


def _credits(golden: Sequence[Mapping[str, Any]]) -> str:
    """Whom to credit: `golden/1.png: Ada, CC-BY`; in the public domain there may be nobody."""
    photographs = [
        ": ".join(filter(None, (each["file"], ", ".join(filter(None, _credit(each))))))
        for each in golden
    ]
    return "Golden photographs, with whom to credit and the licence:\n\n" + lines(photographs)


def _credit(golden: Mapping[str, Any]) -> tuple[str, str]:
    return plain(golden["attribution"]), plain(golden["license"])
