"""What bundle.json says, held against its schema, against itself and against the files."""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from PIL import Image

from taxonvision.runtime.bundle_files import BundleFiles
from taxonvision.runtime.bundle_texts import THRESHOLDS
from taxonvision.runtime.device_files import device_file
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.text import one_line

_MAX_FINDINGS = 20
_LONGEST = 200  # characters of what a finding quotes
_NEEDS_NO_CREDIT = frozenset({"cc0", "cc0-1.0", "pd", "pdm", "public domain"})
_NO_LICENSES = frozenset({"", "none", "unknown", "c", "all rights reserved"})


def as_newest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A bundle.json of any version as the newest has it, what came later at its default.

    Version 2 added all of it; of the thresholds, version 1 has only `shown`.
    """
    if manifest["schema_version"] != 1:
        return dict(manifest)
    thresholds = manifest.get("thresholds")
    if isinstance(thresholds, dict):
        thresholds = {**Thresholds().as_json(), **thresholds}
    output = manifest.get("output")
    if isinstance(output, dict):
        output = {"unknown_logit": None, **output}
    golden = manifest.get("golden")
    if isinstance(golden, list):
        golden = [{"known": 1.0, **each} if isinstance(each, dict) else each for each in golden]
    added = dict.fromkeys(("calibration", "unknown", "validation", "region"))
    return {
        **added,
        "profile": "taxonvision",
        "head": {"rank": None},
        **manifest,
        "output": output,
        "thresholds": thresholds,
        "golden": golden,
        "schema_version": 2,
    }


def check_schema(manifest: Mapping[str, Any]) -> list[str]:
    """What in a bundle.json of the newest version is against bundle.schema.json."""
    from jsonschema import Draft202012Validator

    schema = json.loads(device_file("bundle.schema.json").read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema).iter_errors(manifest)
    try:
        return [
            f"bundle.json: {one_line(error.json_path)[:_LONGEST]}: "
            f"{one_line(error.message[: 10 * _LONGEST])[:_LONGEST]}"
            for error in islice(errors, _MAX_FINDINGS)
        ]
    except RecursionError:
        return ["bundle.json is nested deeper than any description of a model"]


def check_description(manifest: Mapping[str, Any], files: BundleFiles) -> list[str]:
    """What in a bundle.json of the right form contradicts itself or the files of the bundle."""
    sentences = [
        *_sizes(manifest, files),
        *_figures(manifest),
        *_threshold_table(manifest["thresholds"], files.sizes),
        *_languages(manifest["languages"], files.sizes),
        *_golden_files(manifest["golden"], files.sizes),
    ]
    if not sentences:
        sentences = list(_exact_pictures(manifest, files))
    return [f"bundle.json: {sentence}" for sentence in sentences]


def _sizes(manifest: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    model, size = manifest["model"], manifest["contract"]["size"]
    found = files.sizes["model.tflite"]
    if model["bytes"] != found:
        yield f"model.bytes is {model['bytes']}, and model.tflite has {found}"
    if manifest["input"]["shape"] != [1, size, size, 3]:
        yield f"input.shape is {manifest['input']['shape']}, and contract.size {size}"
    if manifest["output"]["shape"] != [1, model["classes"]]:
        yield f"output.shape is {manifest['output']['shape']}, and model.classes {model['classes']}"


def _figures(manifest: Mapping[str, Any]) -> Iterator[str]:
    try:
        Thresholds.from_json(manifest["thresholds"])
    except (KeyError, TypeError, ValueError) as error:
        yield f"thresholds: {one_line(str(error))[:_LONGEST]}"
    agreement, region = manifest["agreement"], manifest["region"]
    if agreement["same_name"] > agreement["photographs"]:
        yield "agreement: same_name is more than photographs"
    if region is None:
        return
    if region["taxa"] > region["of"]:
        yield f"region: {region['taxa']} taxa of {region['of']}"
    if region["taxa"] != manifest["model"]["classes"]:
        yield f"region.taxa is {region['taxa']}, and model.classes {manifest['model']['classes']}"
    if region["within"] is not None:
        latitude, longitude, kilometres = region["within"]
        if not (abs(latitude) <= 90 and abs(longitude) <= 180 and kilometres > 0):
            yield f"region.within is {region['within']}: no latitude, longitude and kilometres"


def _threshold_table(thresholds: Mapping[str, Any], names: Collection[str]) -> Iterator[str]:
    listed, there = "by_taxon" in thresholds, THRESHOLDS in names
    if listed and not there:
        yield f"thresholds.by_taxon needs {THRESHOLDS}, which is not there"
    if there and not listed:
        yield f"thresholds.by_taxon does not name {THRESHOLDS}, which is there"


def _languages(languages: list[str], names: Collection[str]) -> Iterator[str]:
    listed = {f"names/{language}.json" for language in languages}
    if len(listed) < len(languages):
        yield "languages: one stands there twice"
    there = {name for name in names if name.startswith("names/")}
    yield from _several(f"languages needs {name}, which is not there" for name in listed - there)
    yield from _several(f"languages does not list {name}" for name in there - listed)


def _golden_files(golden: list[Mapping[str, Any]], names: Collection[str]) -> Iterator[str]:
    listed = {entry["file"] for entry in golden}
    there = {name for name in names if name.startswith("golden/")}
    if len(listed) < len(golden):
        yield "golden: a file stands there twice"
    yield from _several(f"golden needs {name}, which is not there" for name in listed - there)
    yield from _several(f"golden does not list {name}" for name in there - listed)
    yield from _several(
        sentence for entry in golden for sentence in _golden_entry(entry["file"], entry)
    )


def _golden_entry(file: str, entry: Mapping[str, Any]) -> Iterator[str]:
    license, credit = entry["license"].strip().casefold(), entry["attribution"].strip()
    if license in _NO_LICENSES:
        yield f"{file} has no licence to travel with an app: {entry['license'][:50]!r}"
    elif not credit and license not in _NEEDS_NO_CREDIT:
        yield f"{file} is under {entry['license'][:50]!r} and has no attribution"
    scores = [best["score"] for best in entry["top"]]
    if len({best["taxon_id"] for best in entry["top"]}) < len(scores):
        yield f"{file} expects a taxon twice"
    if scores != sorted(scores, reverse=True):
        yield f"{file} expects taxa that are not listed best first"


def _exact_pictures(manifest: Mapping[str, Any], files: BundleFiles) -> Iterator[str]:
    """Exact files are the input pixel by pixel; only their headers are read here."""
    size = manifest["contract"]["size"]
    for entry in manifest["golden"]:
        if not entry["exact"]:
            continue
        try:
            with Image.open(io.BytesIO(files.read(entry["file"])), formats=["PNG"]) as picture:
                found, mode = picture.size, picture.mode
        except Exception:  # Pillow raises many kinds on damaged files
            yield f"{entry['file']} is no PNG, and exact"
            continue
        if found != (size, size) or mode != "RGB":
            yield (
                f"{entry['file']} has {found[0]} x {found[1]} pixels, {mode}; "
                f"exact files have {size} x {size}, RGB"
            )


def _several(sentences: Iterator[str]) -> Iterator[str]:
    return islice(sentences, _MAX_FINDINGS)
