"""What model cards say alike, whether they are written beside results or into a bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from taxonvision.evaluation.report.model_card import Card, bullets, plain
from taxonvision.runtime.contract import Contract

_HUB = "hub:hf://"
RISKS = (
    "It gives a name of its own taxa to what is none of them, wherever it takes that for an "
    "organism: a taxon that it does not know gets the name of one that looks alike.",
    "Its photographs are those that people took: common, large and showy organisms, and places "
    "where many people are, count for more in it than they do in nature.",
    "It sees one photograph and neither place nor season.",
)


def card_of(
    name: str,
    facts: Mapping[str, Any],
    ranks: Iterable[str],
    languages: Sequence[str],
    contract: Contract,
) -> Card:
    """All of a card that no measurement has to tell.

    Args:
        name: what the model calls itself.
        facts: of a model directory (`models.facts`) or of a bundle; any of them may be missing.
        ranks: of its classes.
        languages: codes of the languages of its common names.
        contract: how photographs become its input.
    """
    counts = Counter(ranks)
    classes = ", ".join(f"{count} {plain(rank)}" for rank, count in counts.most_common())
    total, size = counts.total(), contract.size
    share = f" × {contract.crop_ratio:g}" if contract.crop_ratio != 1 else ""
    bundle = facts.get("kind") != "model"
    return Card(
        name=name,
        library="litert" if bundle else "keras",
        languages=languages,
        tags=["tflite", "on-device"] if bundle else [],
        training_catalog=str(facts.get("catalog", "")),
        base_model=_base_model(facts),
        summary=f"Names living things on photographs: {total} classes ({classes}).",
        details=_details(facts),
        finetuned_from=_finetuned_from(facts),
        direct_use="Naming the organism that fills a good part of a photograph, among the taxa "
        "that it knows, or the taxon above them that it is sure of.",
        downstream_use="Apps that suggest names and let people decide; a model that is extended to "
        "new taxa with `taxonvision update`.",
        out_of_scope_use="Any decision in which a wrong name does harm: whether something may be "
        "eaten or touched, is poisonous or is protected. Counting. Pictures of several organisms, "
        "of people, or of taxa that it does not know.",
        limitations=lines(RISKS),
        recommendations="Show several suggestions with their scores, climb to genus or family "
        "where no species is sure, and let somebody who knows the taxon confirm records that are "
        "to be counted. Measure it on photographs of the place and the taxa that it is to serve.",
        training_data=_training_data(facts),
        preprocessing=f"EXIF orientation applied, the centre square{share}, antialiased bilinear "
        f"resize to {size} × {size} pixels, RGB 0–255; scaling is part of the model.",
        hyperparameters=_hyperparameters(facts),
        training_hardware=plain(facts.get("placement", "")),
        architecture=_architecture(plain(facts.get("backbone", "")), total),
        software=", ".join(
            f"{plain(package)} {plain(version)}"
            for package, version in facts.get("packages", {}).items()
        ),
    )


def lines(sentences: Iterable[str]) -> str:
    """A list of sentences that are Markdown already."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def get_started(model: str) -> str:
    """The commands that name a photograph with the model, which is called so in a command."""
    return f"```\ntaxonvision predict --model={model} photograph.jpg\n```"


def _details(facts: Mapping[str, Any]) -> dict[str, str]:
    known = {
        "Version": facts.get("version"),
        "Made on": facts.get("made_on"),
        "Release before": facts.get("parent"),
        "Quantisation": facts.get("quantization"),
    }
    return {name: plain(value) for name, value in known.items() if value is not None}


def _finetuned_from(facts: Mapping[str, Any]) -> str:
    """The backbone, and what of it was trained."""
    if "backbone" not in facts or "pretrained" not in facts:
        return plain(facts.get("backbone", ""))
    if not facts["pretrained"]:
        return "none; its weights began at random"
    parts = {
        "head": "only the head trained",
        "top_blocks": "its top trained",
        "all": "all of it trained",
    }
    trained = parts.get(str(facts.get("trained")))
    return f"{plain(facts['backbone'])}, pretrained" + (f"; {trained}" if trained else "")


def _base_model(facts: Mapping[str, Any]) -> str:
    """The id on the Hub of a backbone that comes from there, "" of others."""
    name = str(facts.get("backbone", ""))
    if not facts.get("pretrained") or not name.startswith(_HUB):
        return ""
    return name.removeprefix(_HUB)


def _architecture(backbone: str, classes: int) -> str:
    """What is known of the network: of a bare TFLite file only what it answers."""
    network = f"{backbone} and a linear head with a softmax: " if backbone else ""
    return (
        f"{network}{classes} classes whose scores add up to 1 or less. A genus or a family has the "
        "sum of the scores of its classes."
    )


def _training_data(facts: Mapping[str, Any]) -> str:
    if "catalog" not in facts:
        return ""
    teacher = " It was distilled from a larger model." if facts.get("distilled") else ""
    return (
        f"The split `train` of the catalog with the fingerprint {plain(facts['catalog'])}.{teacher}"
    )


def _hyperparameters(facts: Mapping[str, Any]) -> str:
    chosen = {
        name.replace("_", " "): value for name, value in facts.get("hyperparameters", {}).items()
    }
    return bullets({plain(name): plain(value) for name, value in chosen.items()})
