"""The frame of MODEL_CARD.md: the sections and the metadata of the Hugging Face model card.

Source: https://github.com/huggingface/huggingface_hub, templates/modelcard_template.md, and
https://github.com/huggingface/hub-docs, modelcard.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from taxonvision import text

MISSING = "More information needed"
TASK = "image-classification"
_TAGS = ("biology", "biodiversity", "species-recognition", "taxonomy")
_LANGUAGE = re.compile("[a-z]{2,3}")
# What YAML takes for a line break or does not take at all, beyond what JSON escapes.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_MARKUP = re.compile(r"[\\*|#~]|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True)
class Figure:
    """One measured figure of the metadata: `kind` as in `accuracy`, what it is called, its value.

    A value of None was not measured and is left out.
    """

    kind: str
    name: str
    value: float | None


@dataclass(frozen=True)
class Measured:
    """Figures on a split of a catalog, and the catalog's fingerprint, "" where unknown."""

    split: str
    catalog: str
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Card:
    """What fills the frame. Texts are Markdown; those left empty say that nothing is known.

    Attributes:
        name: what the model calls itself, as text.
        library: what runs it: `keras` or `litert`.
        languages: codes of the languages of its common names.
        tags: more tags than those of every species recogniser.
        training_catalog: fingerprint of the catalog that it learned from, "" where unknown.
        measured: its figures.
        base_model: id on the Hub of the model whose weights it began with, "" where unknown.
        summary: one paragraph.
        details: what it is, by name.
        model_type: one line.
        finetuned_from: one line.
        direct_use: what it is for by itself.
        downstream_use: what it is for in an app.
        out_of_scope_use: what it is not for.
        limitations: bias, risks and limitations.
        recommendations: what follows from them.
        get_started: commands.
        training_data: what it learned from.
        preprocessing: how photographs become its input.
        hyperparameters: how it learned.
        testing_data: what it was measured on.
        factors: by what figures are broken down.
        metrics: what is measured.
        results: the figures.
        results_summary: the figures in words.
        training_hardware: what it was trained on.
        architecture: its parts, input and output.
        speed: its size and how long it takes.
        software: the packages that made it.
        more_information: what else there is to say.
    """

    name: str
    library: str
    languages: Sequence[str] = ()
    tags: Sequence[str] = ()
    training_catalog: str = ""
    measured: Measured | None = None
    base_model: str = ""
    summary: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    model_type: str = "image classifier over a tree of taxa"
    finetuned_from: str = ""
    direct_use: str = ""
    downstream_use: str = ""
    out_of_scope_use: str = ""
    limitations: str = ""
    recommendations: str = ""
    get_started: str = ""
    training_data: str = ""
    preprocessing: str = ""
    hyperparameters: str = ""
    testing_data: str = ""
    factors: str = ""
    metrics: str = ""
    results: str = ""
    results_summary: str = ""
    training_hardware: str = ""
    architecture: str = ""
    speed: str = ""
    software: str = ""
    more_information: str = ""


def render(card: Card) -> str:
    """The card as one Markdown text, its metadata as YAML in front."""
    languages = ", ".join(map(plain, card.languages))
    sections = (
        (f"# Model Card for {plain(card.name)}", card.summary),
        ("## Model Details", None),
        ("### Model Description", bullets({
            **card.details,
            "Developed by": "",
            "Model type": card.model_type,
            "Language(s)": languages and f"common names in {languages}",
            "License": "",
            "Finetuned from model": card.finetuned_from,
        })),
        ("## Uses", None),
        ("### Direct Use", card.direct_use),
        ("### Downstream Use", card.downstream_use),
        ("### Out-of-Scope Use", card.out_of_scope_use),
        ("## Bias, Risks, and Limitations", card.limitations),
        ("### Recommendations", card.recommendations),
        ("## How to Get Started with the Model", card.get_started),
        ("## Training Details", None),
        ("### Training Data", card.training_data),
        ("### Training Procedure", None),
        ("#### Preprocessing", card.preprocessing),
        ("#### Training Hyperparameters", card.hyperparameters),
        ("## Evaluation", None),
        ("### Testing Data, Factors & Metrics", None),
        ("#### Testing Data", card.testing_data),
        ("#### Factors", card.factors),
        ("#### Metrics", card.metrics),
        ("### Results", card.results),
        ("#### Summary", card.results_summary),
        ("## Environmental Impact", bullets({
            "Hardware Type": card.training_hardware,
            "Hours used": "not measured",
            "Carbon Emitted": "not measured",
        })),
        ("## Technical Specifications", None),
        ("### Model Architecture and Objective", card.architecture),
        ("### Compute Infrastructure", None),
        ("#### Hardware", card.speed),
        ("#### Software", card.software),
        ("## Citation", ""),
        ("## More Information", card.more_information),
        ("## Model Card Contact", ""),
    )  # fmt: skip
    blocks = []
    for heading, content in sections:
        blocks.append(heading)
        if content is not None:
            blocks.append(content or f"{MISSING}.")
    return f"---\n{yaml(_metadata(card))}---\n\n" + "\n\n".join(blocks) + "\n"


def bullets(facts: Mapping[str, str]) -> str:
    """`- **Name:** value` by line, of Markdown values; an empty one says that it is not known."""
    return "\n".join(f"- **{name}:** {value or MISSING}" for name, value in facts.items())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown cells; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def plain(value: object) -> str:
    """Text from elsewhere that Markdown shows as it is: on one line, without tags and links."""
    cleaned = "".join(" " if c in "<>[]`" else c for c in _well_formed(text.one_line(str(value))))
    return _MARKUP.sub(r"\\\g<0>", " ".join(cleaned.split()).replace("&", "&amp;"))


def percent(share: float | None) -> str:
    """A share of 1 as `88.6%`, or that it was not measured."""
    return "not measured" if share is None else text.percent(share)


def _metadata(card: Card) -> dict[str, Any]:
    codes = (code.split("-")[0].split("_")[0].lower() for code in card.languages)
    languages = sorted({code for code in codes if _LANGUAGE.fullmatch(code)})
    found: dict[str, Any] = {
        "license": "unknown",
        "language": languages,
        "library_name": card.library,
        "pipeline_tag": TASK,
        "tags": [*_TAGS, *card.tags],
        "base_model": card.base_model,
        "datasets": [_dataset(card.training_catalog)] if card.training_catalog else [],
        "metrics": ["accuracy"],
        "model-index": _model_index(card),
    }
    return {name: value for name, value in found.items() if value}


def _model_index(card: Card) -> list[dict[str, Any]]:
    """The figures as the Hub reads them."""
    measured = card.measured
    if measured is None:
        return []
    figures = [figure for figure in measured.figures if figure.value is not None]
    if not figures:
        return []
    dataset = {
        "type": "image-folder",
        "name": _dataset(measured.catalog) if measured.catalog else "catalog",
        "split": measured.split,
    }
    if measured.catalog:
        dataset["revision"] = measured.catalog
    result = {
        "task": {"type": TASK, "name": "Image Classification"},
        "dataset": dataset,
        "metrics": [{"type": f.kind, "name": f.name, "value": f.value} for f in figures],
    }
    return [{"name": text.one_line(card.name) or "model", "results": [result]}]


def _dataset(fingerprint: str) -> str:
    return f"catalog-{fingerprint[:12]}"


def yaml(value: Mapping[str, Any], indent: str = "") -> str:
    """A mapping of texts, numbers, lists and mappings as YAML that any parser reads back.

    Texts are written as JSON strings, which YAML takes as they are; what its readers refuse in them
    is escaped, and lone surrogates, which no file can hold, are replaced.
    """
    lines = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines.append(f"{indent}{key}:\n{yaml(item, indent + '  ')}")
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:\n" + "".join(_item(entry, indent) for entry in item))
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}\n")
    return "".join(lines)


def _item(value: Any, indent: str) -> str:
    if not isinstance(value, Mapping):
        return f"{indent}- {_scalar(value)}\n"
    nested = yaml(value, indent + "  ")
    return f"{indent}- {nested[len(indent) + 2 :]}"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6f}"  # never with an exponent, which YAML 1.1 takes for text
    if isinstance(value, int):
        return str(value)
    quoted = json.dumps(_well_formed(value), ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\U{ord(found[0]):08x}", quoted)


def _well_formed(value: str) -> str:
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", value)
