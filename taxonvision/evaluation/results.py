"""Results: what a model says of each photograph of a split, kept so that none is scored twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.evaluation.score_files import read_scores
from taxonvision.evaluation.scores import NO_TAXON, Scores
from taxonvision.runtime.bundle_texts import THRESHOLD_COLUMNS, THRESHOLDS, read_thresholds
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.storage import read_manifest
from taxonvision.tables import integer, read_csv, taxon_id_in, write_csv
from taxonvision.taxonomy.names import Names, read_names
from taxonvision.taxonomy.tree import Taxonomy, read_taxonomy

MANIFEST = "results.json"
SCHEMA_VERSION = 2
SCORES, SCENES, KNOWN = "scores.parquet", "scenes.parquet", "known.csv"
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "model": dict,
    "catalog": dict,
    "split": str,
    "thresholds": dict,
    "median_latency_ms": (int, float),
    "threads": int,
    "fingerprint": str,
}
_KNOWN_COLUMNS = ("taxon_id", "training_photographs")
_CHECKED_AT_ONCE = 2**20


@dataclass(frozen=True)
class KnownTaxa:
    """The classes that a model answers.

    Attributes:
        taxon_ids: int64 [C], in the order of the model's scores.
        training_photographs: int64 [C], photographs of each in the catalog's split train.
    """

    taxon_ids: np.ndarray
    training_photographs: np.ndarray

    @cached_property
    def training_of(self) -> Mapping[int, int]:
        """Training photographs by taxon id."""
        counts = self.training_photographs.tolist()
        return dict(zip(self.taxon_ids.tolist(), counts, strict=True))


@dataclass(frozen=True)
class Results:
    """A results directory, opened.

    Attributes:
        folder: where it is.
        manifest: its results.json.
        taxonomy: the tree of the model and of the catalog.
        scores: what the model says of the photographs.
        known: the model's classes.
        scenes: what it says of photographs without organisms; None where there were none.
        names: common names by language.
        thresholds: what it takes to name a taxon.
    """

    folder: Path
    manifest: Mapping[str, Any]
    taxonomy: Taxonomy
    scores: Scores
    known: KnownTaxa
    scenes: Scores | None = None
    names: Names = field(default_factory=dict)
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def fingerprint(self) -> str:
        """SHA-256 that names the model and the photographs."""
        return str(self.manifest["fingerprint"])


def write_own_thresholds(folder: Path, thresholds: Thresholds) -> None:
    """Write the thresholds of taxa that have their own, which results.json has no place for."""
    if thresholds.by_taxon:
        rows = sorted(thresholds.by_taxon.items())
        write_csv(folder / THRESHOLDS, THRESHOLD_COLUMNS, rows)


def write_known(path: Path, known: KnownTaxa) -> None:
    """Write `known.csv`."""
    columns = (known.taxon_ids.tolist(), known.training_photographs.tolist())
    write_csv(path, _KNOWN_COLUMNS, zip(*columns, strict=True))


def read_known(path: Path) -> KnownTaxa:
    """Read `known.csv`; UserError when it is missing or damaged."""
    rows = read_csv(path, _KNOWN_COLUMNS)
    return KnownTaxa(
        np.array([taxon_id_in(row, "taxon_id", path) for row in rows], np.int64),
        np.array([integer(row, "training_photographs", path) for row in rows], np.int64),
    )


def read_results(folder: Path) -> Results:
    """Open a results directory; UserError when it is none or from before schema 2."""
    manifest = read_manifest(folder, MANIFEST, "results", "evaluate", SCHEMA_VERSION)
    if manifest["schema_version"] < SCHEMA_VERSION:
        raise UserError(
            f"{folder} was written by an older taxonvision and lacks what is asked now; "
            "evaluate again with --overwrite"
        )
    manifest = read_manifest(folder, MANIFEST, "results", "evaluate", SCHEMA_VERSION, _FIELDS)
    try:
        thresholds = Thresholds.from_json(manifest["thresholds"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / MANIFEST}: thresholds: {error}; evaluate again") from None
    own = folder / THRESHOLDS
    if own.exists():
        thresholds = replace(thresholds, by_taxon=read_thresholds(_bytes_of(own), folder))
    scenes = folder / SCENES
    results = Results(
        folder=folder,
        manifest=manifest,
        taxonomy=read_taxonomy(folder / "taxonomy.csv"),
        scores=read_scores(folder / SCORES),
        known=read_known(folder / KNOWN),
        scenes=read_scores(scenes) if scenes.exists() else None,
        names=read_names(folder / "names.csv"),
        thresholds=thresholds,
    )
    _check_taxa(results)
    return results


def _check_taxa(results: Results) -> None:
    """Raise UserError where the files of a results directory do not speak of the same taxa."""
    folder, known = results.folder, results.known.taxon_ids
    if not len(known) or len(np.unique(known)) < len(known):
        raise UserError(f"{folder / KNOWN} has no taxa, or one of them twice; evaluate again")
    tree = np.fromiter((taxon.taxon_id for taxon in results.taxonomy), np.int64)
    held = [(KNOWN, known, "taxonomy.csv", tree)]
    for name, scores in ((SCORES, results.scores), (SCENES, results.scenes)):
        if scores is not None:
            none = np.array([NO_TAXON])
            held += [
                (name, scores.truth, "taxonomy.csv", none if name == SCENES else tree),
                (name, scores.classes.taxon_ids, KNOWN, known),
                (name, scores.inner.taxon_ids, "taxonomy.csv", tree),
            ]
    for name, taxon_ids, other, among in held:
        if not _all_in(taxon_ids, among):
            raise UserError(
                f"{folder / name} has taxa that are not in {other} beside it; evaluate again"
            )


def _all_in(taxon_ids: np.ndarray, among: np.ndarray) -> bool:
    """Whether all are among others; by pieces, since there may be hundreds a photograph."""
    pieces = np.array_split(taxon_ids, len(taxon_ids) // _CHECKED_AT_ONCE + 1)
    return all(np.isin(piece, among).all() for piece in pieces)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
