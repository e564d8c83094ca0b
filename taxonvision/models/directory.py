"""The model directory: the Keras model, its classes, tree and names, and how it was made."""

from __future__ import annotations

import datetime
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import taxonvision
from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.models.facts import facts_of
from taxonvision.models.trained_on import TrainedOn, write_trained_on
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.storage import Recipe, read_manifest, replacing_file, write_json
from taxonvision.tables import write_csv
from taxonvision.taxonomy.classes import (
    TaxonClass,
    active_ids,
    read_classes,
    retired_ids,
    write_classes,
)
from taxonvision.taxonomy.names import Names, read_names, write_names
from taxonvision.taxonomy.tree import Taxonomy, read_taxonomy, write_taxonomy
from taxonvision.text import reason_of

if TYPE_CHECKING:
    import keras

MANIFEST = "model.json"
SCHEMA_VERSION = 1
_FIELDS = {"name": str, "version": str, "contract": dict, "backbone": dict, "fingerprint": str}
_KERAS_FILE = "model.keras"


@dataclass(frozen=True)
class Lineage:
    """Where a model stands in a chain of releases; the default begins one.

    Attributes:
        version: 1, 2, 3 ...
        ancestors: what `model.json` says under `release` of the releases before, oldest first.
        changes: what happened to taxa since the parent, counted.
        gate: what the release gate said.
    """

    version: str = "1"
    ancestors: Sequence[Mapping[str, Any]] = ()
    changes: Mapping[str, int] | None = None
    gate: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Model:
    """A model directory, opened; the Keras model is loaded on demand."""

    folder: Path
    manifest: Mapping[str, Any]
    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: Names

    @property
    def name(self) -> str:
        """What the model calls itself."""
        return str(self.manifest["name"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all weights, the temperature, the classes and which of them are active."""
        return str(self.manifest["fingerprint"])

    @property
    def contract(self) -> Contract:
        """How photographs become its input."""
        try:
            return Contract(**self.manifest["contract"])
        except (TypeError, ValueError) as error:
            raise UserError(f"{self.folder / MANIFEST}: contract: {error}") from None

    @property
    def temperature(self) -> float:
        """What `load()` divides its logits by; 1 where nothing was calibrated."""
        return self._found("calibration", "temperature", 1.0)

    @property
    def unknown_threshold(self) -> float:
        """Probabilities that add up to less mean: no organism that I know; 0: never."""
        return self._found("unknown", "threshold", 0.0)

    @property
    def unknown_logit(self) -> float | None:
        """That of "no organism that I know" beside calibrated logits; None: there is none."""
        found = self.manifest.get("unknown")
        if found is None:
            return None
        value: Any = found.get("logit") if isinstance(found, Mapping) else None
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise UserError(f"{self.folder / MANIFEST}: unknown has no usable logit")
        return float(value)

    @property
    def thresholds(self) -> Thresholds:
        """What its scores mean."""
        try:
            return Thresholds(unknown=self.unknown_threshold)
        except ValueError as error:
            raise UserError(f"{self.folder / MANIFEST}: unknown: {error}") from None

    def _found(self, part: str, field: str, default: float) -> float:
        """A number of a part of the manifest that older models lack."""
        found = self.manifest.get(part)
        if found is None:
            return default
        value: Any = found.get(field) if isinstance(found, Mapping) else None
        usable = isinstance(value, int | float) and 0 <= value < math.inf
        if not usable or (default and not value):  # nothing can be divided by 0
            raise UserError(f"{self.folder / MANIFEST}: {part} has no usable {field}")
        return float(value)

    def load(self) -> keras.Model:
        """The Keras model: float32 [N, S, S, 3], RGB 0–255, to probabilities [N, C].

        Raises UserError when the file is damaged. No code from the file is run.
        """
        keras = load_keras()
        path = self.folder / _KERAS_FILE
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = reason_of(error, 200)
            raise UserError(f"{path} cannot be loaded as a Keras model: {reason}") from None

    def recognizer(self) -> Recognizer:
        """The model, loaded and ready to score photographs by Keras."""
        return self.recognizer_of(self.load())

    def recognizer_of(self, model: keras.Model) -> Recognizer:
        """The same for a Keras model that is loaded already. It answers active classes only."""
        active = active_ids(self.classes)

        def score(photographs: np.ndarray) -> np.ndarray:
            return np.asarray(model.predict_on_batch(photographs), np.float32)[:, active]

        return Recognizer(
            name=self.name,
            fingerprint=self.fingerprint,
            bytes=(self.folder / _KERAS_FILE).stat().st_size,
            threads=0,
            contract=self.contract,
            class_taxon_ids=tuple(self.classes[number].taxon_id for number in active),
            taxonomy=self.taxonomy,
            names=self.names,
            score=score,
            thresholds=self.thresholds,
            facts=facts_of(self.manifest),
        )


def release_of(model: Model) -> dict[str, Any]:
    """What `model.json` says of a release, as the releases after it list it."""
    recorded = model.manifest.get("release")
    if isinstance(recorded, dict):
        return dict(recorded)
    lineage = Lineage(str(model.manifest["version"]))
    return _release(
        model.name, model.fingerprint, None, model.classes, lineage, model.manifest.get("catalog")
    )


def _release(
    name: str,
    fingerprint: str,
    made_on: str | None,
    classes: Sequence[TaxonClass],
    lineage: Lineage,
    catalog: str | None,
) -> dict[str, Any]:
    return {
        "name": name,
        "version": lineage.version,
        "fingerprint": fingerprint,
        "made_on": made_on,
        "classes": {"active": len(active_ids(classes)), "retired": len(retired_ids(classes))},
        "changes": lineage.changes,
        "gate": lineage.gate,
        "catalog": catalog,
    }


def is_model(path: Path) -> bool:
    """True when `path` is a model directory."""
    return (path / MANIFEST).is_file()


def open_model(folder: Path) -> Model:
    """Open a model directory; UserError when it is none."""
    manifest = read_manifest(folder, MANIFEST, "model", "train", SCHEMA_VERSION, _FIELDS)
    return Model(
        folder=folder,
        manifest=manifest,
        classes=read_classes(folder / "classes.csv"),
        taxonomy=read_taxonomy(folder / "taxonomy.csv"),
        names=read_names(folder / "names.csv"),
    )


def write_model(
    folder: Path,
    model: keras.Model,
    *,
    name: str,
    recipe: Recipe,
    contract: Contract,
    classes: list[TaxonClass],
    taxonomy: Taxonomy,
    names: Names,
    history: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    trained_on: TrainedOn,
    lineage: Lineage | None = None,
) -> Mapping[str, Any]:
    """Write a model directory into the existing `folder`; returns its manifest.

    Args:
        folder: where to write.
        model: from float32 [N, S, S, 3] to probabilities [N, C].
        name: what the model calls itself.
        recipe: how it is made.
        contract: how photographs become its input.
        classes: class c is output c.
        taxonomy: the tree; what has no class below it is left out.
        names: common names; those of taxa left out are left out.
        history: one mapping an epoch, with the same keys.
        facts: what else `model.json` records: backbone, metrics, the catalog's fingerprint ...
        trained_on: the photographs that the head has learned from.
        lineage: the releases before; None: it is the first.
    """
    import tensorflow

    lineage = lineage or Lineage()
    model.save(folder / _KERAS_FILE)
    write_classes(folder / "classes.csv", classes)
    tree = taxonomy.closure(c.taxon_id for c in classes)
    write_taxonomy(folder / "taxonomy.csv", tree)
    kept = {
        language: {taxon_id: text for taxon_id, text in by_taxon.items() if taxon_id in tree}
        for language, by_taxon in names.items()
    }
    write_names(folder / "names.csv", kept)
    columns = list(history[0]) if history else ["epoch"]
    write_csv(folder / "history.csv", columns, ([row[c] for c in columns] for row in history))
    write_trained_on(folder, trained_on)
    made_on = datetime.date.today().isoformat()
    fingerprint = _fingerprint(model, classes)
    release = _release(name, fingerprint, made_on, classes, lineage, facts["catalog"])
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "version": lineage.version,
        "parent": _name_of(lineage.ancestors[-1]) if lineage.ancestors else None,
        "lineage": list(lineage.ancestors),
        "release": release,
        "made_by": recipe.as_json(),
        "contract": {"size": contract.size, "crop_ratio": contract.crop_ratio},
        **facts,
        "fingerprint": fingerprint,
        "packages": {
            "taxonvision": taxonvision.__version__,
            "tensorflow": tensorflow.__version__,
            "keras": load_keras().__version__,
            "numpy": np.__version__,
        },
    }
    with replacing_file(folder / MANIFEST) as path:  # where it is, all is
        write_json(path, manifest)
    return manifest


def _name_of(release: Mapping[str, Any]) -> dict[str, Any]:
    return {field: release[field] for field in ("name", "version", "fingerprint")}


def _fingerprint(model: keras.Model, classes: list[TaxonClass]) -> str:
    from taxonvision.models.classifier import temperature_of, unknown_logit_in

    digest = hashlib.sha256(repr([(c.taxon_id, c.status) for c in classes]).encode())
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    temperature, unknown_logit = temperature_of(model), unknown_logit_in(model)
    if temperature != 1 or unknown_logit is not None:  # others keep the one that they had
        digest.update(repr((temperature, unknown_logit)).encode())
    return digest.hexdigest()
