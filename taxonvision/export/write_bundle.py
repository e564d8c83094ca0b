"""A bundle's files, as export/BUNDLE.md describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import taxonvision
from taxonvision.export.golden import GoldenFile
from taxonvision.export.model_card import model_card
from taxonvision.models.directory import Model
from taxonvision.runtime.bundle import MANIFEST, SCHEMA_VERSION, TAXONOMY_COLUMNS
from taxonvision.runtime.bundle_files import CHECKSUMS
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.storage import Recipe, write_json
from taxonvision.tables import write_csv

EXACT_TOLERANCE = {"float32": 0.001, "float16": 0.005, "dynamic": 0.05, "int8": 0.05}
"""How far a golden PNG's score may be off in another engine, whose kernels round otherwise."""
JPEG_TOLERANCE = 0.1
"""For golden JPEGs: decoders and resizers differ by about a level of 255 as well."""
_EXPECTED_TAXA = 5


@dataclass(frozen=True)
class Agreement:
    """How the compressed model fares against the full one on the golden photographs.

    Attributes:
        photographs: how many were compared.
        same_name: how many get the same best name.
        largest_difference: of all scores, as a fraction of 1.
    """

    photographs: int
    same_name: int
    largest_difference: float


def write_bundle(
    folder: Path,
    model: Model,
    content: bytes,
    graph: TFLiteModel,
    quantization: str,
    golden: Sequence[tuple[GoldenFile, np.ndarray]],
    agreement: Agreement,
    recipe: Recipe,
) -> None:
    """Write all files of a bundle into the existing `folder`.

    Args:
        folder: where to write.
        model: the full model.
        content: the TFLite model's file.
        graph: the same, opened: its tensors are described.
        quantization: the name of the recipe that made it.
        golden: each golden file with the scores float32 [C] that the TFLite model gives it.
        agreement: how it compares with the full model.
        recipe: how the bundle is made; only its digest is kept, since flags may hold paths.
    """
    active = [c for c in model.classes if c.active]
    (folder / "model.tflite").write_bytes(content)
    output_of = {c.taxon_id: position for position, c in enumerate(active)}
    tree = model.taxonomy.closure(output_of)
    write_csv(
        folder / "taxonomy.csv",
        TAXONOMY_COLUMNS,
        (
            (t.parent_taxon_id, t.taxon_id, f"{t.rank_level:g}", t.rank,
             output_of.get(t.taxon_id), t.name)
            for t in tree
        ),
    )  # fmt: skip
    (folder / "labels.txt").write_text("".join(f"{c.name}\n" for c in active), encoding="utf-8")
    (folder / "names").mkdir()
    for language, names in model.names.items():
        text = {str(taxon_id): name for taxon_id, name in sorted(names.items()) if taxon_id in tree}
        (folder / "names" / f"{language}.json").write_text(
            json.dumps(text, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
        )
    (folder / "golden").mkdir()
    for file, _ in golden:
        (folder / file.name).write_bytes(file.content)
    taxon_ids = [c.taxon_id for c in active]
    manifest: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "version": model.manifest["version"],
        "quantization": quantization,
        "model": {"file": "model.tflite", "bytes": len(content), "classes": len(active)},
        "input": {
            "name": graph.input.name,
            "shape": list(graph.input.shape),
            "dtype": graph.input.dtype,
            "colors": "RGB",
            "range": [0, 255],
        },
        "output": {
            "name": graph.output.name,
            "shape": list(graph.output.shape),
            "dtype": graph.output.dtype,
            "kind": "probabilities",
        },
        "contract": {
            "orientation": "EXIF applied",
            "alpha": "over white",
            "crop": "centre square",
            "crop_ratio": model.contract.crop_ratio,
            "resize": "bilinear, antialiased",
            "size": model.contract.size,
        },
        "thresholds": Thresholds().as_json(),
        "languages": sorted(model.names),
        "golden": [_golden_entry(file, row, taxon_ids, quantization) for file, row in golden],
        "agreement": {
            "photographs": agreement.photographs,
            "same_name": agreement.same_name,
            "largest_difference": round(agreement.largest_difference, 6),
        },
        "source": {
            "fingerprint": model.fingerprint,
            "backbone": model.manifest["backbone"]["name"],
            "catalog": model.manifest["catalog"],
        },
        "made_by": {"taxonvision": taxonvision.__version__, "digest": recipe.digest},
    }
    write_json(folder / MANIFEST, manifest)
    (folder / "MODEL_CARD.md").write_text(model_card(model, manifest), encoding="utf-8")
    _write_checksums(folder)


def _golden_entry(
    file: GoldenFile, scores: np.ndarray, taxon_ids: Sequence[int], quantization: str
) -> Mapping[str, Any]:
    best = np.argsort(-scores, kind="stable")[:_EXPECTED_TAXA].tolist()
    return {
        "file": file.name,
        "exact": file.exact,
        "tolerance": EXACT_TOLERANCE[quantization] if file.exact else JPEG_TOLERANCE,
        "top": [{"taxon_id": taxon_ids[i], "score": round(float(scores[i]), 6)} for i in best],
        "license": file.license,
        "attribution": file.attribution,
    }


def _write_checksums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")
