"""Results made from scores, and photographs to go with them, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from taxonvision.evaluation.results import KnownTaxa, Results
from taxonvision.evaluation.scores import Labelled, keep
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

GENERA = {"Pieris": ("rapae", "napi"), "Papilio": ("machaon", "xuthus"), "Aglais": ("io",)}


def small_tree() -> tuple[Taxonomy, list[int]]:
    """Five species in three genera of one order, and a species that is no class (99)."""
    taxa = [Taxon.of_rank(1, None, "order", "Lepidoptera")]
    classes = []
    for number, (genus, species) in enumerate(GENERA.items(), start=1):
        taxa.append(Taxon.of_rank(10 * number, 1, "genus", genus))
        for place, name in enumerate(species, start=1):
            taxon_id = 10 * number + place
            taxa.append(Taxon.of_rank(taxon_id, 10 * number, "species", f"{genus} {name}"))
            classes.append(taxon_id)
    return Taxonomy([*taxa, Taxon.of_rank(99, 20, "species", "Papilio glaucus")]), classes


def results_of(
    folder: Path,
    taxonomy: Taxonomy,
    class_taxon_ids: Sequence[int],
    full: np.ndarray,
    truth: Sequence[int],
    names: Names | None = None,
    model: str = "small",
) -> Results:
    """Results of scores [n, C]; photograph i is called `photo<i>` and an observation of its own."""
    labelled = Labelled.of([f"photo{i}" for i in range(len(truth))], np.array(truth, np.int64))
    scores = keep(
        labelled,
        [np.asarray(full, np.float32)],
        RollUp(taxonomy, class_taxon_ids),
        class_taxon_ids,
    )
    manifest = {
        "model": {"name": model, "fingerprint": "a" * 64, "bytes": 4_100_000,
                  "classes": len(class_taxon_ids)},
        "catalog": {"fingerprint": "b" * 64, "folder": "catalog"},
        "split": "test",
        "median_latency_ms": 5.2,
        "threads": 2,
        "taxonvision": "0.1",
        "fingerprint": "c" * 64,
    }  # fmt: skip
    training = np.arange(len(class_taxon_ids), dtype=np.int64) * 7
    known = KnownTaxa(np.array(class_taxon_ids, np.int64), training)
    return Results(folder, manifest, taxonomy, scores, known, names=names or {})


def likely(rng: np.random.Generator, truth: Sequence[int], classes: Sequence[int]) -> np.ndarray:
    """Scores [n, C] that are mostly right."""
    scores = rng.dirichlet(np.full(len(classes), 0.3), len(truth))
    for row, taxon_id in enumerate(truth):
        if taxon_id in classes:
            scores[row, classes.index(taxon_id)] += 0.6
    return scores / scores.sum(axis=1, keepdims=True)


def photographs_of(folder: Path, truth: Sequence[int]) -> Mapping[str, Path]:
    """A photograph of one colour a taxon for each, by its id."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for number, taxon_id in enumerate(truth):
        colour = np.random.default_rng(taxon_id).integers(0, 256, 3)
        pixels = np.broadcast_to(colour.astype(np.uint8), (90, 120, 3))
        paths[f"photo{number}"] = folder / f"{number}.png"
        Image.fromarray(pixels).save(paths[f"photo{number}"])
    return paths
