"""Whether a bundle from elsewhere is what it says, before anybody trusts it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.runtime.bundle import Bundle, open_bundle, read_manifest
from taxonvision.runtime.bundle_files import CHECKSUMS, MANIFEST, BundleFiles, list_files
from taxonvision.runtime.verify_description import as_newest, check_description, check_schema
from taxonvision.runtime.verify_graph import check_graph
from taxonvision.runtime.verify_run import check_run
from taxonvision.runtime.verify_tree import (
    check_labels,
    check_names,
    check_table,
    check_thresholds,
    check_tree,
)
from taxonvision.text import several

_REQUIRED = (MANIFEST, "model.tflite", "taxonomy.csv", "labels.txt", "MODEL_CARD.md")
_MAX_FINDINGS = 20


def verify(place: Path) -> list[str]:
    """What is wrong with a bundle, one sentence each; none when a client may trust it.

    The bundle is taken as hostile. What is looked at rests on what was looked at before: the files
    and their checksums, bundle.json, the tables and the graph as it is written; only if all of that
    is in order, the model runs, in a process of its own. Nothing is written anywhere.

    Raises UserError for a place without a bundle, and for one that is refused before a file of it
    is read.
    """
    files = list_files(place)
    findings = _check_files(files)
    if findings:
        return findings
    try:
        manifest = as_newest(read_manifest(files.read, place))
    except UserError as error:
        return [_within(place, error)]
    findings = check_schema(manifest) or check_description(manifest, files)
    if findings:
        return findings
    try:
        bundle = open_bundle(place)
        findings = _check_contents(bundle, manifest["model"]["classes"])
        findings += check_graph(files.read("model.tflite"), manifest)
    except UserError as error:
        findings.append(_within(place, error))
    return findings or check_run(place, files.fingerprint, sum(files.sizes.values()))


def _check_files(files: BundleFiles) -> list[str]:
    damages = list(files.damages())
    damages += [f"{name} is not listed in {CHECKSUMS}" for name in files.unlisted()]
    damages += [f"{name} is missing" for name in _REQUIRED if name not in files.sizes]
    if len(damages) > _MAX_FINDINGS:
        more = several(len(damages) - _MAX_FINDINGS, "file")
        damages[_MAX_FINDINGS:] = [f"and so on for {more} more"]
    return damages


def _check_contents(bundle: Bundle, classes: int) -> list[str]:
    """The tables, each held against the tree."""
    findings = check_table(bundle.read("taxonomy.csv"))
    if findings:
        return findings
    taxonomy, class_taxon_ids = bundle.taxa()
    findings = check_tree(taxonomy, class_taxon_ids, classes)
    findings += check_labels(bundle.read("labels.txt"), taxonomy, class_taxon_ids)
    findings += check_thresholds(bundle.thresholds.by_taxon, taxonomy)
    for language in bundle.languages:
        try:
            names = replace(bundle, languages=(language,)).names()[language]
            findings += check_names(language, names, taxonomy)
        except UserError as error:
            findings.append(_within(bundle.source, error))
    outputs = set(class_taxon_ids)
    findings += [
        f"{golden.file} expects taxon {taxon_id}, which is no output of the model"
        for golden in bundle.golden
        for taxon_id in golden.top
        if taxon_id not in outputs
    ][:_MAX_FINDINGS]
    return findings


def _within(place: Path, error: UserError) -> str:
    """The sentence of an error without the place of the bundle, which is known."""
    return str(error).removeprefix(f"{place}: ")
