"""Models side by side on the same photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.evaluation.metrics import best_classes, is_right
from taxonvision.evaluation.report.comparison_page import write_comparison_report
from taxonvision.evaluation.results import Results
from taxonvision.progress import say
from taxonvision.storage import Recipe, publish, write_json
from taxonvision.tables import write_csv

MANIFEST = "comparison.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Row:
    """One model of a comparison, against the reference.

    Attributes:
        name: the name of its results folder.
        bytes: size of the model's file.
        top1: share of photographs named right.
        difference: its top-1 minus the reference's.
        agreement: share of photographs given the same name as by the reference.
        lost: photographs that the reference named right and this one does not.
        won: photographs that this one names right and the reference did not.
        median_latency_ms: milliseconds a photograph, decoding not counted.
        threads: threads used, 0 where the engine decides.
    """

    name: str
    bytes: int
    top1: float
    difference: float
    agreement: float
    lost: int
    won: int
    median_latency_ms: float
    threads: int


def compare(
    reference: Results,
    candidates: Sequence[Results],
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
) -> None:
    """Compare candidates with a reference and write the comparison `out`, the reference first.

    Raises UserError when they were not evaluated on the same photographs.
    """
    for candidate in candidates:
        _check_same_photographs(reference, candidate)
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        everyone = [reference, *candidates]
        names = _names([results.folder for results in everyone])
        rows = [
            _row(name, reference, results) for name, results in zip(names, everyone, strict=True)
        ]
        values = [asdict(row) for row in rows]
        write_csv(
            partial / "comparison.csv", list(values[0]), (list(row.values()) for row in values)
        )
        manifest: Mapping[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "made_by": recipe.as_json(),
            "photographs": len(reference.scores),
            "split": reference.manifest["split"],
            "models": values,
        }
        write_json(partial / MANIFEST, manifest)
        write_comparison_report(partial / "report.html", manifest)


def _check_same_photographs(reference: Results, candidate: Results) -> None:
    ours, theirs = reference.scores, candidate.scores
    catalogs = [each.manifest["catalog"]["fingerprint"] for each in (reference, candidate)]
    if catalogs[0] != catalogs[1]:
        say(
            f"warning: {candidate.folder} comes from another catalog than {reference.folder}; "
            "photographs of the same id are taken for the same"
        )
    if ours.photo_ids != theirs.photo_ids or not np.array_equal(ours.truth, theirs.truth):
        shared = len(set(ours.photo_ids) & set(theirs.photo_ids))
        raise UserError(
            f"{candidate.folder} and {reference.folder} are not results on the same photographs "
            f"({len(theirs)} and {len(ours)}, {shared} ids shared); "
            "evaluate both on the same split of the same catalog"
        )


def _row(name: str, reference: Results, results: Results) -> Row:
    right, reference_right = is_right(results.scores), is_right(reference.scores)
    return Row(
        name=name,
        bytes=int(results.manifest["model"]["bytes"]),
        top1=float(right.mean()),
        difference=float(right.mean() - reference_right.mean()),
        agreement=float((best_classes(results.scores) == best_classes(reference.scores)).mean()),
        lost=int((reference_right & ~right).sum()),
        won=int((right & ~reference_right).sum()),
        median_latency_ms=float(results.manifest["median_latency_ms"]),
        threads=int(results.manifest["threads"]),
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    parts = [folder.absolute().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]
