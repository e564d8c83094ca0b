"""Whether a bundle has what its profile promises to one client more. No model is run."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from taxonvision.export.inat import COMMON_NAMES, TAXONOMY_CSV, TAXONOMY_JSON
from taxonvision.export.inat_rules import check_contents
from taxonvision.export.mediapipe import LABELS, METADATA
from taxonvision.export.options import INAT, MEDIAPIPE
from taxonvision.runtime.bundle import read_manifest
from taxonvision.runtime.bundle_files import BundleFiles, list_files
from taxonvision.runtime.tflite import Tensor


def verify_profile(place: Path) -> list[str]:
    """What is missing or wrong, one sentence each, in a bundle that `runtime.verify` passed."""
    files = list_files(place)
    manifest = read_manifest(files.read, place)
    profile = manifest.get("profile")
    folder = f"{INAT}/"
    if profile == INAT:
        return [f"{INAT}: {finding}" for finding in _inat(files, manifest)]
    findings = []
    if any(name.startswith(folder) for name in files.sizes):
        findings.append(f"there is a folder {folder}, but the profile is {profile}")
    if profile == MEDIAPIPE:
        findings += _mediapipe(files)
    return findings


class _Described:
    """The model as bundle.json describes it, which it was held against."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.input, self.output = (
            Tensor(each["name"], tuple(each["shape"]), each["dtype"])
            for each in (manifest["input"], manifest["output"])
        )


def _inat(files: BundleFiles, manifest: dict[str, Any]) -> list[str]:
    names = (TAXONOMY_CSV, TAXONOMY_JSON, COMMON_NAMES)
    there = {name: f"{INAT}/{name}" for name in names if f"{INAT}/{name}" in files.sizes}
    contents = {name: files.read(path) for name, path in there.items()}
    return check_contents(contents, _Described(manifest))


def _mediapipe(files: BundleFiles) -> list[str]:
    """MediaPipe takes names from a zip behind the model, which metadata point to."""
    from ai_edge_litert.schema_py_generated import Model

    content = files.read("model.tflite")
    model = Model.GetRootAs(content, 0)
    kinds = [model.Metadata(number).Name() for number in range(model.MetadataLength())]
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = archive.getinfo(LABELS)
            stored = entry.compress_type == zipfile.ZIP_STORED and entry.file_size < len(content)
            labels = archive.read(entry) if stored else None
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError):
        labels = None
    if METADATA not in kinds or labels is None:
        return ["model.tflite lacks the metadata that MediaPipe reads"]
    if labels.split(b"\n") != files.read(LABELS).split(b"\n"):
        return [f"the {LABELS} inside model.tflite is another one"]
    return []
