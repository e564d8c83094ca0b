"""A model names the photographs of a split; what it says is kept as results."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import taxonvision
from taxonvision.catalog.examples import Examples, Observed, warn_if_shrunk_below
from taxonvision.errors import UserError
from taxonvision.evaluation.metrics import accuracy_by_taxon, metrics
from taxonvision.evaluation.report.results_page import write_results_report
from taxonvision.evaluation.results import (
    KNOWN,
    MANIFEST,
    SCHEMA_VERSION,
    SCORES,
    KnownTaxa,
    write_known,
)
from taxonvision.evaluation.score_files import write_scores
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.photograph import Source
from taxonvision.progress import say, track
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.storage import Recipe, digest_of, publish, write_json
from taxonvision.tables import write_csv
from taxonvision.taxonomy.names import Names, write_names
from taxonvision.taxonomy.tree import Taxonomy, write_taxonomy

_BATCH = 32
_TIMED_PHOTOGRAPHS = 50


def evaluate(
    recognizer: Recognizer,
    catalog: Examples,
    split: str,
    out: Path,
    recipe: Recipe,
    *,
    overwrite: bool = False,
) -> None:
    """Score all photographs of a split, of a catalog or its shards, and write the results `out`.

    Raises UserError when the split is empty or the model knows none of the catalog's taxa.
    """
    photos = catalog.photos(split)
    if not len(photos):
        counts = {name: catalog.manifest["counts"][name] for name in ("train", "val", "test")}
        raise UserError(f"{catalog.folder} has no photograph in the split {split}: {counts}")
    taxon_of_class = np.array([c.taxon_id for c in catalog.classes], np.int64)
    truth = taxon_of_class[photos.class_ids]
    known = np.isin(truth, recognizer.class_taxon_ids)
    if not known.any():
        raise UserError(
            f"{recognizer.name} knows none of the taxa in the split {split} of {catalog.folder}: "
            "the taxon ids of model and catalog differ"
        )
    if not known.all():
        say(
            f"warning: {len(np.unique(truth[~known]))} taxa of the split are no class of the "
            f"model; their {int((~known).sum())} photographs count as named wrong"
        )
    contract = recognizer.contract
    warn_if_shrunk_below(catalog, math.floor(contract.size / contract.crop_ratio))
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        tree = _both_trees(recognizer.taxonomy, catalog.taxonomy)
        latency = _median_latency(recognizer, photos.sources[:_TIMED_PHOTOGRAPHS])
        scores = keep(
            _labelled(photos.photo_ids, truth, catalog.observed(split)),
            _score(recognizer, photos.sources, split),
            recognizer.roll_up,
            recognizer.class_taxon_ids,
        )
        write_scores(partial / SCORES, scores)
        write_taxonomy(partial / "taxonomy.csv", tree)
        write_names(partial / "names.csv", _names_in(tree, catalog.names, recognizer.names))
        write_known(partial / KNOWN, _known(recognizer, catalog, taxon_of_class))
        figures = metrics(scores, tree)
        write_json(partial / "metrics.json", figures)
        by_taxon = accuracy_by_taxon(scores, tree)
        write_csv(
            partial / "taxa.csv",
            ("taxon_id", "name", "photographs", "right", "top1"),
            ((t.taxon_id, t.name, t.photographs, t.right, f"{t.top1:.4f}") for t in by_taxon),
        )
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "made_by": recipe.as_json(),
            "taxonvision": taxonvision.__version__,
            "model": {
                "name": recognizer.name,
                "fingerprint": recognizer.fingerprint,
                "bytes": recognizer.bytes,
                "classes": len(recognizer.class_taxon_ids),
            },
            "catalog": {
                "fingerprint": catalog.fingerprint,
                "folder": str(catalog.folder.absolute()),
            },
            "split": split,
            "thresholds": recognizer.thresholds.as_json(),
            "median_latency_ms": latency,
            "threads": recognizer.threads,
            "fingerprint": digest_of(
                [recognizer.fingerprint, catalog.fingerprint, split, recipe.digest]
            ),
        }
        write_json(partial / MANIFEST, manifest)
        write_results_report(partial / "report.html", manifest, figures, by_taxon, scores, tree)


def _both_trees(first: Taxonomy, second: Taxonomy) -> Taxonomy:
    return Taxonomy([*first, *(taxon for taxon in second if taxon.taxon_id not in first)])


def _labelled(photo_ids: list[str], truth: np.ndarray, observed: Observed) -> Labelled:
    return Labelled(
        photo_ids, observed.observation_ids, truth, observed.latitudes, observed.longitudes
    )


def _known(recognizer: Recognizer, catalog: Examples, taxon_of_class: np.ndarray) -> KnownTaxa:
    trained = taxon_of_class[catalog.photos("train").class_ids]
    counts = dict(zip(*(a.tolist() for a in np.unique(trained, return_counts=True)), strict=True))
    taxon_ids = recognizer.class_taxon_ids
    return KnownTaxa(
        np.array(taxon_ids, np.int64), np.array([counts.get(t, 0) for t in taxon_ids], np.int64)
    )


def _names_in(tree: Taxonomy, *sources: Names) -> Names:
    """The common names of the tree's taxa; of two for one taxon the first source's."""
    names: dict[str, dict[int, str]] = {}
    for source in sources:
        for language, by_taxon in source.items():
            known = names.setdefault(language, {})
            known.update((t, name) for t, name in by_taxon.items() if t in tree and t not in known)
    return names


def _score(recognizer: Recognizer, sources: Sequence[Source], split: str) -> Iterator[np.ndarray]:
    batches = recognizer.contract.read_batches(sources, _BATCH)
    for batch in track(batches, len(sources), f"scoring {split}", size=len):
        yield recognizer.score(batch)


def _median_latency(recognizer: Recognizer, sources: Sequence[Source]) -> float:
    """Milliseconds that the model takes for one photograph, its decoding not counted."""
    seconds = []
    for batch in recognizer.contract.read_batches(sources, 1):
        start = time.perf_counter()
        recognizer.score(batch)
        seconds.append(time.perf_counter() - start)
    warm = seconds[len(seconds) // 5 :]
    return round(1000 * statistics.median(warm), 3)
