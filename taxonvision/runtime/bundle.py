"""The bundle: what a device receives, read and checked before use."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError, read_upright
from taxonvision.runtime.bundle_files import MANIFEST, open_files
from taxonvision.runtime.bundle_texts import (
    THRESHOLDS,
    read_json,
    read_names,
    read_taxa,
    read_thresholds,
    whole,
)
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.probabilities import are_shares, probabilities_of
from taxonvision.runtime.recognizer import Recognizer, Scorer
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.names import LANGUAGE
from taxonvision.taxonomy.tree import Taxonomy

SCHEMA_VERSION = 2
_LARGE_LOGIT = 1e9
_TFLITE = b"TFL3"  # after four bytes
_OUTPUT_KINDS = ("probabilities", "logits")


@dataclass(frozen=True)
class Golden:
    """A photograph in the bundle with the scores that every client must find.

    Attributes:
        file: its name in the bundle.
        exact: whether its pixels are the model's input as they are.
        tolerance: how far a score may differ, as a fraction of 1.
        top: taxon id to score of the best taxa, best first: shares of what all scores add up to.
        known: what they add up to.
        license: licence of the photograph.
        attribution: its line of credit.
    """

    file: str
    exact: bool
    tolerance: float
    top: Mapping[int, float]
    known: float
    license: str
    attribution: str


@dataclass(frozen=True)
class Bundle:
    """An opened bundle.

    Attributes:
        source: the folder or zip.
        fingerprint: SHA-256 over the checksums of all files: names exactly this bundle.
        name: what the model calls itself.
        quantization: the recipe: float32, float16, dynamic or int8.
        contract: how a photograph becomes the model's input.
        output_kind: what the model answers, "probabilities" or "logits".
        unknown_logit: of logits: that of "nothing that I know"; None: it always knows something.
        thresholds: what it takes to name a taxon.
        languages: codes of the languages with common names.
        golden: the photographs a client checks itself against.
        read: gives the bytes of a file that SHA256SUMS lists, compared with it.
        facts: what bundle.json tells of how it was made, for people.
    """

    source: Path
    fingerprint: str
    name: str
    quantization: str
    contract: Contract
    output_kind: str
    unknown_logit: float | None
    thresholds: Thresholds
    languages: tuple[str, ...]
    golden: tuple[Golden, ...]
    read: Callable[[str], bytes]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def taxa(self) -> tuple[Taxonomy, tuple[int, ...]]:
        """The tree, and the taxon id of each output of the model."""
        return read_taxa(self.read("taxonomy.csv"), self.source)

    def names(self) -> dict[str, dict[int, str]]:
        """Common names by language and taxon id."""
        files = {language: f"names/{language}.json" for language in self.languages}
        return {
            language: read_names(self.read(file), f"{self.source}: {file}")
            for language, file in files.items()
        }

    def recognizer(self, threads: int | None = None) -> Recognizer:
        """Load the model; UserError when it does not fit the bundle's own description."""
        content = self.read("model.tflite")
        model = TFLiteModel(content, f"{self.source}: model.tflite", threads)
        taxonomy, class_taxon_ids = self.taxa()
        size = self.contract.size
        if model.input.shape != (1, size, size, 3) or model.output.shape != (
            1,
            len(class_taxon_ids),
        ):
            raise UserError(
                f"{self.source}: model.tflite reads {list(model.input.shape)} and answers "
                f"{list(model.output.shape)}, which does not fit bundle.json and taxonomy.csv"
            )
        return Recognizer(
            name=self.name,
            fingerprint=self.fingerprint,
            bytes=len(content),
            threads=model.threads,
            contract=self.contract,
            class_taxon_ids=class_taxon_ids,
            taxonomy=taxonomy,
            names=self.names(),
            score=self._score(model),
            thresholds=self.thresholds,
            another=lambda threads: self._score(model.another(threads)),
            facts=self.facts,
        )

    def _score(self, model: TFLiteModel) -> Scorer:
        """From pixels to probabilities, whatever the model answers."""
        if self.output_kind == "probabilities":
            return model.run
        return lambda photographs: probabilities_of(model.run(photographs), self.unknown_logit)


def is_bundle(path: Path) -> bool:
    """True when `path` is a folder with a bundle.json, or a zip.

    A TFLite file with metadata has a zip behind the model, and is none.
    """
    if not path.is_file():
        return (path / MANIFEST).is_file()
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] != _TFLITE and zipfile.is_zipfile(path)
    except OSError:
        return False


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and compare every file with SHA256SUMS.

    Raises UserError for a missing or damaged file and for a format newer than this program.
    """
    read, fingerprint = open_files(path, (MANIFEST, "model.tflite", "taxonomy.csv"))
    manifest = read_manifest(read, path)
    try:
        return _parse(manifest, path, fingerprint, read)
    except (
        KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError,
    ) as error:  # fmt: skip
        raise UserError(
            f"{path}: {MANIFEST} lacks or garbles a field ({type(error).__name__}: "
            f"{str(error)[:200]}); export the bundle again"
        ) from None


def read_manifest(read: Callable[[str], bytes], path: Path) -> dict[str, Any]:
    """The object in a bundle.json of a version that this program reads, or UserError."""
    manifest = read_json(read(MANIFEST), f"{path}: {MANIFEST}")
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if type(version) is not int or version < 1:
        raise UserError(f"{path}: {MANIFEST} has no schema_version; export the bundle again")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path} was written by a newer taxonvision (bundle schema {version}, this one reads "
            f"{SCHEMA_VERSION}); install the newer version"
        )
    return dict(manifest)


def check_golden(bundle: Bundle, recognizer: Recognizer) -> list[str]:
    """Run the model on the golden photographs; one sentence for each that differs.

    Raises UserError for one that is no photograph or expects a taxon that the model lacks.
    """
    findings = []
    positions = {taxon_id: i for i, taxon_id in enumerate(recognizer.class_taxon_ids)}
    for golden in bundle.golden:
        unknown = [taxon_id for taxon_id in golden.top if taxon_id not in positions]
        if unknown:
            raise UserError(
                f"{bundle.source}: {golden.file} expects taxon {unknown[0]}, "
                "which is no output of the model"
            )
        try:
            image = read_upright(bundle.read(golden.file))
        except PhotographError as error:
            raise UserError(f"{bundle.source}: {golden.file} is no photograph: {error}") from None
        contract = recognizer.contract
        if golden.exact:  # cut already
            contract = replace(contract, crop_ratio=1.0)
        scores = recognizer.score(contract.apply(image)[None])[0]
        if not are_shares(scores):
            findings.append(f"{golden.file}: the model's scores are no shares of 1")
            continue
        known = float(scores.sum(dtype=np.float64))
        shares = scores[[positions[taxon_id] for taxon_id in golden.top]] / known
        differences = np.abs(shares - np.array(list(golden.top.values())))
        difference = max(float(differences.max()), abs(known - golden.known))
        if not difference <= golden.tolerance:
            findings.append(
                f"{golden.file}: a score differs by {difference:.4f}, "
                f"more than {golden.tolerance:g}"
            )
    return findings


def _parse(
    manifest: Mapping[str, Any], source: Path, fingerprint: str, read: Callable[[str], bytes]
) -> Bundle:
    contract = manifest["contract"]
    return Bundle(
        source=source,
        fingerprint=fingerprint,
        name=str(manifest["name"]),
        quantization=str(manifest["quantization"]),
        contract=Contract(whole(contract["size"]), float(contract["crop_ratio"])),
        output_kind=_output_kind(manifest),
        unknown_logit=_unknown_logit(manifest),
        thresholds=_thresholds(manifest["thresholds"], source, read),
        languages=tuple(_language(code) for code in manifest["languages"]),
        golden=tuple(_golden(entry, manifest["schema_version"]) for entry in manifest["golden"]),
        read=read,
        facts=_facts(manifest),
    )


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What is told of how it was made; nothing depends on it, so what is no text is left out."""
    source = manifest.get("source")
    made_of = source if isinstance(source, Mapping) else {}
    found = {
        "kind": "bundle",
        "version": manifest.get("version"),
        "quantization": manifest["quantization"],
        "backbone": made_of.get("backbone"),
        "catalog": made_of.get("catalog"),
    }
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _thresholds(value: Mapping[str, Any], source: Path, read: Callable[[str], bytes]) -> Thresholds:
    """Those of all taxa, and the table of those that have their own, where there is one."""
    thresholds = Thresholds.from_json(value)
    table = value.get("by_taxon")
    if table is None:
        return thresholds
    if table != THRESHOLDS:
        raise ValueError(f"thresholds.by_taxon is {str(table)[:50]!r} and not {THRESHOLDS}")
    return replace(thresholds, by_taxon=read_thresholds(read(THRESHOLDS), source))


def _unknown_logit(manifest: Mapping[str, Any]) -> float | None:
    """Models of version 1 have none."""
    if manifest["schema_version"] == 1:
        return None
    found = manifest["output"]["unknown_logit"]
    if found is not None and (type(found) not in (int, float) or not abs(found) < _LARGE_LOGIT):
        raise ValueError(f"{str(found)[:50]!r} is no logit")
    return found


def _output_kind(manifest: Mapping[str, Any]) -> str:
    """The models of version 1 all answer probabilities."""
    kind = "probabilities" if manifest["schema_version"] == 1 else manifest["output"]["kind"]
    if kind not in _OUTPUT_KINDS:
        raise ValueError(f"{str(kind)[:50]!r} is none of {', '.join(_OUTPUT_KINDS)}")
    return str(kind)


def _golden(entry: Mapping[str, Any], version: int) -> Golden:
    top = {whole(best["taxon_id"]): _fraction(best["score"]) for best in entry["top"]}
    if not top:
        raise ValueError("a golden photograph expects no taxon")
    return Golden(
        file=str(entry["file"]),
        exact=bool(entry["exact"]),
        tolerance=_fraction(entry["tolerance"]),
        top=top,
        known=1.0 if version == 1 else _fraction(entry["known"]),
        license=str(entry["license"]),
        attribution=str(entry["attribution"]),
    )


def _language(code: Any) -> str:
    """A code that can be part of a file's name."""
    if not LANGUAGE.fullmatch(code):
        raise ValueError(f"{code!r} is no code of a language")
    return str(code)


def _fraction(value: Any) -> float:
    """A score or threshold; float32 probabilities may be a little above 1."""
    number = float(value)
    if not 0 <= number <= 1.000001:
        raise ValueError(f"{value!r} is no fraction of 1")
    return number
