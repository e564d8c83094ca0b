"""MODEL_CARD.md: what the model in a bundle is, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from taxonvision.models.directory import Model


def model_card(model: Model, manifest: Mapping[str, Any]) -> str:
    """The card as Markdown, from the model and its bundle.json."""
    ranks = Counter(c.rank for c in model.classes if c.active)
    classes = ", ".join(f"{count} {rank}" for rank, count in ranks.most_common())
    accuracy = model.manifest["metrics"].get("val_accuracy")
    agreement = manifest["agreement"]
    lines = [
        f"# {_plain(model.name)}",
        "",
        f"Names living things on photographs: {manifest['model']['classes']} classes ({classes}).",
        "",
        f"- Version: {manifest['version']}",
        f"- Backbone: {manifest['source']['backbone']}, frozen; the head was trained",
        f"- Quantisation: {manifest['quantization']}, {manifest['model']['bytes'] / 1e6:.2f} MB",
        f"- Input: {manifest['input']['dtype']} {manifest['input']['shape']}, RGB 0–255",
        "- Output: probabilities; add them up along taxonomy.csv for genus, family and so on",
    ]
    if accuracy is not None:
        lines.append(f"- Full model, validation photographs: top-1 {accuracy:.1%}")
    lines += [
        f"- Against the full model on the golden photographs: same name on "
        f"{agreement['same_name']} of {agreement['photographs']}, "
        f"largest difference of a score {agreement['largest_difference']:.4f}",
        "",
        "The model names every picture, also of things it never saw. Treat low scores as "
        '"not sure", and tell users so.',
        "",
        "Golden photographs, with whom to credit and the licence:",
        "",
        *(f"- {_credit(golden)}" for golden in manifest["golden"]),
        "",
    ]
    return "\n".join(lines)


def _credit(golden: Mapping[str, Any]) -> str:
    """`golden/1.png: Ada, CC-BY`; in the public domain there may be nobody to credit."""
    credit = [_plain(golden["attribution"]), _plain(golden["license"])]
    return f"{golden['file']}: {', '.join(filter(None, credit))}"


def _plain(text: str) -> str:
    """Text without line breaks and Markdown's brackets and angle brackets."""
    return " ".join("".join(" " if c in "<>[]`" else c for c in text).split())
