"""The files of a comparison: `comparison.json`, and tables of models, flips and taxa."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from taxonvision.evaluation.comparison.comparison import (
    Candidate,
    Comparison,
    Difference,
    Model,
    Paired,
)
from taxonvision.evaluation.intervals import Interval
from taxonvision.storage import Recipe, write_json
from taxonvision.tables import write_csv
from taxonvision.taxonomy.tree import Taxonomy

MANIFEST = "comparison.json"
SCHEMA_VERSION = 2
MODELS, FLIPS, TAXA = "comparison.csv", "flips.csv", "taxa.csv"
_MODEL_COLUMNS = (
    "name", "bytes", "top1", "difference", "agreement", "lost", "won", "median_latency_ms",
    "threads", "difference_interval.low", "difference_interval.high", "p", "larger_than_chance",
    "macro_top1.difference", "macro_top1.interval.low", "macro_top1.interval.high",
    "calibration_error", "size_ratio", "latency_ratio", "shared.photographs", "shared.top1",
    "shared.difference", "shared.difference_interval.low", "shared.difference_interval.high",
    "shared.lost", "shared.won", "shared.p", "gate.passed",
)  # fmt: skip
_FLIP_COLUMNS = (
    "photo_id", "candidate", "kind", "truth_id", "truth_name", "reference_id", "reference_name",
    "reference_score", "candidate_id", "candidate_name", "candidate_score",
)  # fmt: skip
_TAXON_COLUMNS = (
    "candidate", "taxon_id", "name", "photographs", "right_reference", "right_candidate", "lost",
    "won", "known_to_reference", "known_to_candidate",
)  # fmt: skip


def write_comparison(folder: Path, comparison: Comparison, recipe: Recipe) -> None:
    """Write `comparison.json`, `comparison.csv`, `flips.csv` and `taxa.csv` into a folder.

    Shares, differences and bounds are fractions of 1; what is not known is null, or empty.
    `comparison.csv` has the figures of `comparison.json` that fit a spreadsheet.
    """
    rows = [_reference_row(comparison.reference)]
    rows += [_candidate_row(comparison, candidate) for candidate in comparison.candidates]
    write_json(
        folder / MANIFEST,
        {
            "schema_version": SCHEMA_VERSION,
            "made_by": recipe.as_json(),
            "photographs": comparison.photographs,
            "observations": comparison.observations,
            "other_truth": comparison.other_truth,
            "split": comparison.split,
            "max_drop": comparison.max_drop,
            "strict": comparison.strict,
            "models": rows,
        },
    )
    header = [column.replace(".", "_") for column in _MODEL_COLUMNS]
    cells = ([_cell(row, column) for column in _MODEL_COLUMNS] for row in rows)
    write_csv(folder / MODELS, header, cells)
    write_csv(folder / FLIPS, _FLIP_COLUMNS, _flip_rows(comparison))
    write_csv(folder / TAXA, _TAXON_COLUMNS, _taxon_rows(comparison))


def _reference_row(model: Model) -> dict[str, Any]:
    same = {"difference": 0.0, "agreement": 1.0, "lost": 0, "won": 0}
    return _model_row(model) | same


def _model_row(model: Model) -> dict[str, Any]:
    row = asdict(model)
    row["remarks"] = list(model.remarks)
    return row


def _candidate_row(comparison: Comparison, candidate: Candidate) -> dict[str, Any]:
    """A model's figures among all taxa, and under `shared` those among the taxa both know."""
    gate = comparison.gate_of.get(candidate.model.name)
    shared = candidate.shared
    return {
        **_model_row(candidate.model),
        **_paired_row(candidate.everyone),
        "shared": None if shared is None else {**_paired_row(shared), **_top1s(shared)},
        "taxa_shared": candidate.taxa_shared,
        "taxa_lost": candidate.taxa_lost,
        "taxa_new": candidate.taxa_new,
        "size_ratio": candidate.size_ratio,
        "latency_ratio": candidate.latency_ratio,
        "calibration_error_difference": _difference(candidate.calibration_error),
        "ranks": {
            change.rank: {"photographs": change.photographs, **_difference(change.top1)}
            for change in candidate.ranks
        },
        "tail": [
            {
                "least": change.least,
                "most": change.most,
                "taxa": change.taxa,
                "photographs": change.photographs,
                **_difference(change.top1),
                "p": change.p,
            }
            for change in candidate.tail
        ],
        "sentences": list(candidate.sentences),
        "gate": None if gate is None else asdict(gate),
    }


def _paired_row(paired: Paired) -> dict[str, Any]:
    return {
        "photographs": paired.photographs,
        "observations": paired.observations,
        "taxa": paired.taxa,
        "difference": paired.top1.difference,
        "difference_interval": _interval(paired.top1.interval),
        "difference_by_formula": _interval(paired.top1.formula),
        "difference_by_bootstrap": _interval(paired.top1.bootstrap),
        "macro_top1": _difference(paired.macro_top1),
        "agreement": paired.agreement,
        "agreement_interval": _interval(paired.agreement_interval),
        "lost": paired.lost,
        "won": paired.won,
        "p": paired.p,
        "larger_than_chance": paired.beyond_chance,
    }


def _top1s(paired: Paired) -> dict[str, float]:
    return {"top1_reference": paired.top1.reference, "top1": paired.top1.candidate}


def _difference(figure: Difference) -> dict[str, Any]:
    return {
        "reference": figure.reference,
        "candidate": figure.candidate,
        "difference": figure.difference,
        "interval": _interval(figure.interval),
    }


def _interval(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else asdict(interval)


def _cell(row: Mapping[str, Any], column: str) -> Any:
    """The figure that a column of `comparison.csv` names; None where the model has none."""
    value: Any = row
    for key in column.split("."):
        value = value.get(key) if value is not None else None
    return value


def _flip_rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    tree = comparison.taxonomy
    for candidate in comparison.candidates:
        for flip in candidate.flips:
            yield (
                flip.photo_id,
                candidate.model.name,
                flip.kind,
                flip.truth,
                _name(tree, flip.truth),
                flip.reference,
                _name(tree, flip.reference),
                f"{flip.reference_score:.4f}",
                flip.candidate,
                _name(tree, flip.candidate),
                f"{flip.candidate_score:.4f}",
            )


def _taxon_rows(comparison: Comparison) -> Iterator[tuple[object, ...]]:
    for candidate in comparison.candidates:
        for taxon in candidate.taxa:
            yield (
                candidate.model.name,
                taxon.taxon_id,
                _name(comparison.taxonomy, taxon.taxon_id),
                taxon.photographs,
                taxon.right_reference,
                taxon.right_candidate,
                taxon.lost,
                taxon.won,
                int(taxon.known_to_reference),
                int(taxon.known_to_candidate),
            )


def _name(taxonomy: Taxonomy, taxon_id: int) -> str:
    return taxonomy[taxon_id].name if taxon_id in taxonomy else ""
