"""A bundle's files, as export/BUNDLE.md describes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import taxonvision
from taxonvision.export.golden import GoldenFile
from taxonvision.export.inat import write_inat
from taxonvision.export.judge import Agreement
from taxonvision.export.model_card import model_card
from taxonvision.export.options import INAT, ExportOptions
from taxonvision.export.scenes import Threshold
from taxonvision.export.source import Source
from taxonvision.runtime.bundle import MANIFEST, SCHEMA_VERSION
from taxonvision.runtime.bundle_files import CHECKSUMS
from taxonvision.runtime.bundle_texts import TAXONOMY_COLUMNS, THRESHOLD_COLUMNS, THRESHOLDS
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.storage import Recipe, write_json
from taxonvision.tables import write_csv
from taxonvision.taxonomy.tree import Taxonomy

EXACT_TOLERANCE = {"float32": 0.001, "float16": 0.005, "dynamic": 0.05, "int8": 0.05}
"""How far a golden PNG's score may be off in another engine, whose kernels round otherwise."""
JPEG_TOLERANCE = 0.1
"""For golden JPEGs: decoders and resizers differ by about a level of 255 as well."""
_EXPECTED_TAXA = 5


@dataclass(frozen=True)
class Compressed:
    """A quantised graph, judged.

    Attributes:
        quantization: the name of the recipe that made it.
        content: the TFLite model's file.
        graph: the same, opened.
        golden: each golden file with the probabilities float32 [C] that it gets.
        agreement: how it compares on them with the network it was made of.
        validation: how it compares with the full model on photographs of the split val.
        threshold: below which it knows nothing.
    """

    quantization: str
    content: bytes
    graph: TFLiteModel
    golden: Sequence[tuple[GoldenFile, np.ndarray]]
    agreement: Agreement
    validation: Mapping[str, Any] | None
    threshold: Threshold


def write_bundle(
    folder: Path,
    source: Source,
    options: ExportOptions,
    compressed: Compressed,
    recipe: Recipe,
) -> None:
    """Write all files of a bundle into the existing `folder`.

    Of the recipe only the digest is kept, since flags may hold paths.
    """
    model, taxon_ids = source.model, source.head.taxon_ids
    (folder / "model.tflite").write_bytes(compressed.content)
    output_of = {taxon_id: position for position, taxon_id in enumerate(taxon_ids)}
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
    (folder / "labels.txt").write_text(
        "".join(f"{tree[taxon_id].name}\n" for taxon_id in taxon_ids), encoding="utf-8"
    )
    (folder / "names").mkdir()
    for language, names in model.names.items():
        text = {str(taxon_id): name for taxon_id, name in sorted(names.items()) if taxon_id in tree}
        (folder / "names" / f"{language}.json").write_text(
            json.dumps(text, ensure_ascii=False, indent=0) + "\n", encoding="utf-8"
        )
    (folder / "golden").mkdir()
    for file, _ in compressed.golden:
        (folder / file.name).write_bytes(file.content)
    if options.profile == INAT:
        (folder / INAT).mkdir()
        write_inat(folder / INAT, model.taxonomy, taxon_ids, model.names)
    thresholds = _thresholds(options, compressed, tree)
    if thresholds.by_taxon:
        write_csv(folder / THRESHOLDS, THRESHOLD_COLUMNS, sorted(thresholds.by_taxon.items()))
    manifest = _manifest(source, options, compressed, recipe, thresholds)
    write_json(folder / MANIFEST, manifest)
    card = model_card(model, [tree[taxon_id].rank for taxon_id in taxon_ids], manifest)
    (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    _write_checksums(folder)


def _thresholds(options: ExportOptions, compressed: Compressed, tree: Taxonomy) -> Thresholds:
    """With those of single taxa of the bundle's tree that are not what all have."""
    of_all = Thresholds(unknown=compressed.threshold.value)
    own = {
        taxon_id: threshold
        for taxon_id, threshold in options.thresholds.items()
        if taxon_id in tree and threshold != of_all.shown
    }
    return replace(of_all, by_taxon=own)


def _manifest(
    source: Source,
    options: ExportOptions,
    compressed: Compressed,
    recipe: Recipe,
    thresholds: Thresholds,
) -> dict[str, Any]:
    """What bundle.json says."""
    model, graph, agreement = source.model, compressed.graph, compressed.agreement
    calibration = model.manifest.get("calibration")
    table = {"by_taxon": THRESHOLDS} if thresholds.by_taxon else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "version": model.manifest["version"],
        "quantization": compressed.quantization,
        "profile": options.profile,
        "model": {
            "file": "model.tflite",
            "bytes": len(compressed.content),
            "classes": len(source.head.taxon_ids),
        },
        "head": {"rank": source.head.rank},
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
            "kind": options.output_type,
            "unknown_logit": source.head.unknown_logit,
        },
        "contract": {
            "orientation": "EXIF applied",
            "alpha": "over white",
            "crop": "centre square",
            "crop_ratio": source.contract.crop_ratio,
            "resize": "bilinear, antialiased",
            "size": source.contract.size,
        },
        "thresholds": {**thresholds.as_json(), **table},
        "calibration": calibration
        and {name: calibration[name] for name in ("temperature", "photographs")},
        "unknown": compressed.threshold.record,
        "validation": compressed.validation,
        "region": source.region and source.region.as_json(),
        "languages": sorted(model.names),
        "golden": [
            _golden_entry(file, row, source.head.taxon_ids, compressed.quantization)
            for file, row in compressed.golden
        ],
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


def _golden_entry(
    file: GoldenFile, scores: np.ndarray, taxon_ids: Sequence[int], quantization: str
) -> Mapping[str, Any]:
    best = np.argsort(-scores, kind="stable")[:_EXPECTED_TAXA].tolist()
    known = float(scores.sum(dtype=np.float64))
    shares = scores / known  # whose differences are seen where little is known, too
    return {
        "file": file.name,
        "exact": file.exact,
        "tolerance": EXACT_TOLERANCE[quantization] if file.exact else JPEG_TOLERANCE,
        "top": [{"taxon_id": taxon_ids[i], "score": round(float(shares[i]), 6)} for i in best],
        "known": round(known, 6),
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
