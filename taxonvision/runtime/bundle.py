"""The bundle: what a device receives, read from a folder or a zip and checked before use."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.errors import UserError
from taxonvision.photograph import read_upright
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.taxonomy.tree import Taxon, Taxonomy

MANIFEST = "bundle.json"
CHECKSUMS = "SHA256SUMS"
SCHEMA_VERSION = 1
TAXONOMY_COLUMNS = (
    "parent_taxon_id", "taxon_id", "rank_level", "rank", "leaf_class_id", "name",
)  # fmt: skip
_MAX_FILE_BYTES = 2**31 - 1


@dataclass(frozen=True)
class Golden:
    """A photograph in the bundle with the scores that every client must find.

    Attributes:
        file: its name in the bundle.
        tolerance: how far a score may differ, as a fraction of 1.
        top: taxon id to score of the best taxa, best first.
        license: licence of the photograph.
        attribution: its line of credit.
    """

    file: str
    tolerance: float
    top: Mapping[int, float]
    license: str
    attribution: str


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; `read` gives the bytes of a file in it.

    Attributes:
        name: what the model calls itself.
        quantization: the recipe: float32, float16, dynamic or int8.
        contract: how a photograph becomes the model's input.
        threshold: a taxon with a rolled-up score above this is named as sure.
        languages: codes of the languages with common names.
        golden: the photographs a client checks itself against.
    """

    source: Path
    name: str
    quantization: str
    contract: Contract
    threshold: float
    languages: tuple[str, ...]
    golden: tuple[Golden, ...]
    read: Callable[[str], bytes]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums of all files: names exactly this bundle."""
        return hashlib.sha256(self.read(CHECKSUMS)).hexdigest()

    def taxa(self) -> tuple[Taxonomy, tuple[int, ...]]:
        """The tree, and the taxon id of each output of the model."""
        return _read_taxa(self.read("taxonomy.csv"), self.source)

    def names(self) -> dict[str, dict[int, str]]:
        """Common names by language and taxon id."""
        return {
            language: {
                int(taxon_id): name
                for taxon_id, name in json.loads(self.read(f"names/{language}.json")).items()
            }
            for language in self.languages
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
            score=model.run,
            threshold=self.threshold,
        )


def is_bundle(path: Path) -> bool:
    """True when `path` is a folder with a bundle.json, or a zip."""
    return (path / MANIFEST).is_file() or (path.is_file() and zipfile.is_zipfile(path))


def open_bundle(path: Path) -> Bundle:
    """Open a bundle and compare every file with SHA256SUMS.

    Raises UserError for a missing or damaged file and for a format newer than this program.
    """
    read = _zip_reader(path) if path.is_file() else _folder_reader(path)
    _check_sums(read, path)
    try:
        manifest = json.loads(read(MANIFEST))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: {MANIFEST} is no JSON") from None
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise UserError(f"{path}: {MANIFEST} has no schema_version; export the bundle again")
    if version > SCHEMA_VERSION:
        raise UserError(
            f"{path} was written by a newer taxonvision (bundle schema {version}, this one reads "
            f"{SCHEMA_VERSION}); install the newer version"
        )
    try:
        return _parse(manifest, path, read)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path}: {MANIFEST} lacks or garbles a field ({type(error).__name__}: {error}); "
            "export the bundle again"
        ) from None


def check_golden(bundle: Bundle, recognizer: Recognizer) -> list[str]:
    """Run the model on the golden photographs; one sentence for each that differs."""
    findings = []
    positions = {taxon_id: i for i, taxon_id in enumerate(recognizer.class_taxon_ids)}
    for golden in bundle.golden:
        pixels = recognizer.contract.apply(read_upright(bundle.read(golden.file)))
        scores = recognizer.score(pixels[None])[0]
        difference = max(
            abs(float(scores[positions[taxon_id]]) - score)
            for taxon_id, score in golden.top.items()
        )
        if not difference <= golden.tolerance:
            findings.append(
                f"{golden.file}: a score differs by {difference:.4f}, "
                f"more than {golden.tolerance:g}"
            )
    return findings


def _parse(manifest: Mapping[str, Any], source: Path, read: Callable[[str], bytes]) -> Bundle:
    contract = manifest["contract"]
    return Bundle(
        source=source,
        name=str(manifest["name"]),
        quantization=str(manifest["quantization"]),
        contract=Contract(int(contract["size"]), float(contract["crop_ratio"])),
        threshold=float(manifest["thresholds"]["shown"]),
        languages=tuple(str(language) for language in manifest["languages"]),
        golden=tuple(
            Golden(
                file=str(golden["file"]),
                tolerance=float(golden["tolerance"]),
                top={int(entry["taxon_id"]): float(entry["score"]) for entry in golden["top"]},
                license=str(golden["license"]),
                attribution=str(golden["attribution"]),
            )
            for golden in manifest["golden"]
        ),
        read=read,
    )


def _folder_reader(folder: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        path = folder / name
        try:
            if path.stat().st_size > _MAX_FILE_BYTES:
                raise UserError(f"{path} is larger than 2 GiB")
            return path.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from None

    return read


def _zip_reader(path: Path) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo(name).file_size > _MAX_FILE_BYTES:
                    raise UserError(f"{path}: {name} is larger than 2 GiB")
                return archive.read(name)
        except KeyError:
            raise UserError(f"{path} has no file {name}") from None
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise UserError(f"{path}: {name} cannot be read: {error}") from None

    return read


def _check_sums(read: Callable[[str], bytes], source: Path) -> None:
    listed = set()
    for line in read(CHECKSUMS).decode("utf-8", "replace").splitlines():
        expected, _, name = line.partition("  ")
        if not name or name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise UserError(f"{source}: {CHECKSUMS} has an unusable line {line!r}")
        if hashlib.sha256(read(name)).hexdigest() != expected:
            raise UserError(f"{source}: {name} is damaged: it differs from {CHECKSUMS}")
        listed.add(name)
    missing = {MANIFEST, "model.tflite", "taxonomy.csv"} - listed
    if missing:
        raise UserError(f"{source}: {CHECKSUMS} does not list {', '.join(sorted(missing))}")


def _read_taxa(content: bytes, source: Path) -> tuple[Taxonomy, tuple[int, ...]]:
    taxa = []
    outputs: dict[int, int] = {}
    try:
        for row in csv.DictReader(io.StringIO(content.decode("utf-8"))):
            taxon_id, parent = int(row["taxon_id"]), row["parent_taxon_id"]
            taxa.append(
                Taxon(
                    taxon_id=taxon_id,
                    parent_taxon_id=int(parent) if parent else None,
                    rank=row["rank"],
                    name=row["name"],
                    rank_level=float(row["rank_level"]),
                )
            )
            if row["leaf_class_id"]:
                outputs[int(row["leaf_class_id"])] = taxon_id
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{source}: taxonomy.csv cannot be read: {error}") from None
    if sorted(outputs) != list(range(len(outputs))):
        raise UserError(f"{source}: taxonomy.csv: the leaf_class_ids do not count 0, 1, 2 ...")
    return Taxonomy(taxa, f"{source}: taxonomy.csv"), tuple(outputs[i] for i in range(len(outputs)))
