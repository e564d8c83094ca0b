"""MODEL_CARD.md: what the model in a bundle is, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from taxonvision.models.directory import Model
from taxonvision.text import several


def model_card(model: Model, ranks: Sequence[str], manifest: Mapping[str, Any]) -> str:
    """The card as Markdown, from the model, the ranks of its outputs and its bundle.json."""
    classes = ", ".join(f"{count} {rank}" for rank, count in Counter(ranks).most_common())
    factors = manifest["head"]["rank"]
    lines = [
        f"# {_plain(model.name)}",
        "",
        f"Names living things on photographs: {manifest['model']['classes']} classes ({classes}).",
        "",
        f"- Version: {manifest['version']}",
        f"- Backbone: {manifest['source']['backbone']}",
        f"- Quantisation: {manifest['quantization']}, {manifest['model']['bytes'] / 1e6:.2f} MB"
        + (f", the head in two factors of rank {factors}" if factors else ""),
        f"- Input: {manifest['input']['dtype']} {manifest['input']['shape']}, RGB 0–255",
        f"- Output: {manifest['output']['kind']}; BUNDLE.md tells how they become a name",
        *_region(manifest["region"]),
        "",
        "## How good it is",
        "",
        *_validation(manifest["validation"]),
        *_unknown(manifest["thresholds"]["unknown"], manifest["unknown"]),
        "",
        "## Golden photographs",
        "",
        "With whom to credit and the licence:",
        "",
        *(f"- {_credit(golden)}" for golden in manifest["golden"]),
        "",
    ]
    return "\n".join(lines)


def _region(region: Mapping[str, Any] | None) -> list[str]:
    if region is None:
        return []
    where = ""
    if region["within"]:
        latitude, longitude, radius = region["within"]
        where = f", those observed within {radius:g} km of {latitude:g}, {longitude:g}"
    return [f"- Region: {region['taxa']} of the full model's {region['of']} taxa{where}"]


def _validation(record: Mapping[str, Any] | None) -> list[str]:
    if record is None:
        return ["- Not measured: there was no validation photograph"]
    top1, error = record["top1"], record["calibration_error"]
    return [
        f"- On {several(record['photographs'], 'validation photograph')}: top-1 "
        f"{top1['this']:.1%}, the full model's {top1['full']:.1%}; the same name as the full "
        f"model's on {record['same_name']:.1%}",
        f"- Calibration error of its scores: {error['this']:.3f}, the full model's "
        f"{error['full']:.3f}",
    ]


def _unknown(threshold: float, record: Mapping[str, Any] | None) -> list[str]:
    if not threshold or record is None:
        return [
            "- It names every picture, also of things it never saw: treat low scores as not sure"
        ]
    return [
        f"- Scores that add up to less than {threshold:.3f} mean no organism that it knows: "
        f"{record['false_names']:.1%} of {several(record['scenes'], 'scene')} without organisms "
        f"({record['negatives']}) still get a name, {record['kept']:.1%} of "
        f"{several(record['photographs'], 'photograph')} named rightly keep theirs"
    ]


def _credit(golden: Mapping[str, Any]) -> str:
    """`golden/1.png: Ada, CC-BY`; in the public domain there may be nobody to credit."""
    credit = [_plain(golden["attribution"]), _plain(golden["license"])]
    return f"{golden['file']}: {', '.join(filter(None, credit))}"


def _plain(text: str) -> str:
    """Text without line breaks and Markdown's brackets and angle brackets."""
    return " ".join("".join(" " if c in "<>[]`" else c for c in text).split())
