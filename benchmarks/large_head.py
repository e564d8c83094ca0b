"""A model of 60,000 taxa made small enough for a phone: `export --head_rank=256`, int8.

The claims: model.tflite under 25 MB and the whole bundle under 35 MB; exported in under 3 minutes
and 6 GB; the logits correlate by 0.99 or more with those of the float model with the same factors,
in the mean over photographs; no two of the ten best scores of a photograph are equal.

    python benchmarks/large_head.py [--taxa=60000 --workdir=DIR]

The tree is that of `synth --metadata_only`, the photographs are those of 24 of its species. Their
rows of the head are trained; those of the other taxa are drawn: what those of a genus and a family
have in common, and spread over the directions of the features as trained rows are. The peer is the
float32 export of the same factors.
"""

from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import app, flags
from commands import Claims, listen, taxonvision

_TAXA = flags.DEFINE_integer("taxa", 60_000, "classes of the head", lower_bound=100)
_RANK = flags.DEFINE_integer("rank", 256, "of its factors", lower_bound=1)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")
_BEST = 10
_EXPONENT = 0.2
"""Rows of the trained head of benchmarks/butterflies.py are as large along a principal direction of
the features as the variance there to about this power (root mean square over 100 classes: 0.24 and
0.11 where the variance is 10.3 and 0.36 of its mean)."""
_SHARES = {"family": 0.5, "genus": 0.3, "species": 0.2}
"""Of the variance of a row."""
_LOGITS_DEVIATION = 3.0


def main(argv: list[str]) -> int:
    """Draw, train, widen the head, export; print the verdicts."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        _make_small_model(work)
        _widen(work)
        inputs = [f"--model={work / 'wide'}", f"--catalog={work / 'catalog'}"]
        rank = f"--head_rank={_RANK.value}"
        ran = listen("export", *inputs, rank, f"--out={work / 'bundle'}")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
        taxonvision(
            "export", *inputs, rank, "--quantize=float32,int8", "--output_type=logits",
            f"--out={work / 'logits'}",
        )  # fmt: skip
        pixels = _photographs(work)
        correlation = _correlation(work, pixels)
        tied = _tied(work, pixels)
        bundle = sum(p.stat().st_size for p in (work / "bundle").rglob("*") if p.is_file())
        small, large = (
            (work / each / "model.tflite").stat().st_size
            for each in ("logits/int8", "logits/float32")
        )
    print(f"\n{_TAXA.value:,} taxa, rank {_RANK.value}, {len(pixels)} photographs")
    print(f"int8 model / float32 model: {small / large:.2f}")
    claims = Claims()
    claims.judge("model.tflite, MB < 25", small / 1e6, small < 25e6)
    claims.judge("whole bundle, MB < 35", bundle / 1e6, bundle < 35e6)
    claims.judge("export, seconds < 180", ran.seconds, ran.seconds < 180)
    claims.judge("peak of all processes, GB < 6", peak, peak < 6)
    claims.judge("correlation of logits >= 0.99", correlation, correlation >= 0.99)
    claims.judge("photographs with a tie among the ten best", tied, tied == 0)
    return claims.exit_code


def _make_small_model(work: Path) -> None:
    """A model of the 24 species that have photographs, named after 24 taxa of the large tree."""
    from taxonvision.synthetic.large_tree import make_large_tree
    from taxonvision.tables import read_csv, write_csv
    from taxonvision.taxonomy.ranks import RANK_LEVELS

    tree = make_large_tree(_TAXA.value, 0)
    taxonvision("synth", f"--out={work / 'synth'}")
    species = tree.rows("species")
    spread = species[np.linspace(0, len(species) - 1, 24).astype(int)].tolist()
    folders = [row["class"] for row in read_csv(work / "synth/class_taxa.csv")]
    write_csv(
        work / "class_taxa.csv",
        ("class", "taxon_id", "scientific_name"),
        [
            (folder, int(tree.taxon_ids[row]), tree.names[row])
            for folder, row in zip(folders, spread, strict=True)
        ],
    )
    write_csv(
        work / "taxonomy.csv",
        ("taxon_id", "parent_taxon_id", "rank_level", "rank", "name"),
        (
            (
                int(tree.taxon_ids[row]),
                int(tree.taxon_ids[parent]) if parent >= 0 else "",
                f"{RANK_LEVELS[tree.ranks[row]]:g}", tree.ranks[row], tree.names[row],
            )
            for row, parent in enumerate(tree.parents.tolist())
        ),
    )  # fmt: skip
    taxonvision(
        "ingest", f"--input={work / 'synth/photos'}", f"--labels={work / 'synth/labels.csv'}",
        f"--taxa={work / 'class_taxa.csv'}", f"--taxonomy={work / 'taxonomy.csv'}",
        "--license=CC0-1.0", "--attribution=taxonvision synth", f"--out={work / 'catalog'}",
    )  # fmt: skip
    taxonvision("train", f"--catalog={work / 'catalog'}", f"--out={work / 'small'}")


def _widen(work: Path) -> None:
    """Add rows of all other species of the tree to the head."""
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.dataset.stored import stored_photos
    from taxonvision.features.cache import default_cache
    from taxonvision.features.store import FeatureStore
    from taxonvision.models.classifier import assemble
    from taxonvision.models.directory import open_model, write_model
    from taxonvision.models.engine import load_keras
    from taxonvision.models.parts import parts_of
    from taxonvision.models.trained_on import TrainedOn
    from taxonvision.storage import Recipe, replacing
    from taxonvision.synthetic.large_tree import make_large_tree
    from taxonvision.taxonomy.classes import TaxonClass
    from taxonvision.taxonomy.tree import read_taxonomy

    load_keras()
    small, catalog = open_model(work / "small"), open_catalog(work / "catalog")
    backbone, kernel, bias = parts_of(small)
    photos = stored_photos(catalog, "train")
    store = FeatureStore(default_cache(), backbone, small.contract)
    store.fill(photos, "features")
    features = store.features(photos)[0][:]

    tree = make_large_tree(_TAXA.value, 0)
    species = tree.rows("species")
    rows = _rows(features, [tree.above(rank)[species] for rank in _SHARES])
    taxon_ids = tree.taxon_ids[species].tolist()
    known = [c.taxon_id for c in small.classes]
    others = [at for at, taxon_id in enumerate(taxon_ids) if taxon_id not in set(known)]
    wide, offsets = rows[:, others], np.zeros(len(others), np.float32)
    # The best of 60,000 normal numbers is 4.3 deviations above their mean: the trained taxa win on
    # their own photographs, and drawn ones come next.
    offsets -= (features.mean(axis=0) @ wide).astype(np.float32)
    best = (features @ kernel + bias).max(axis=1)
    offsets += np.float32(np.median(best) - 6 * _LOGITS_DEVIATION)
    order = [*known, *(taxon_ids[at] for at in others)]
    names = dict(zip(taxon_ids, (tree.names[row] for row in species), strict=True))
    classes = [
        TaxonClass(number, taxon_id, names[taxon_id], "species", "active", "1")
        for number, taxon_id in enumerate(order)
    ]
    with replacing(work / "wide") as partial:
        write_model(
            partial,
            assemble(
                backbone.model,
                np.concatenate([kernel, wide], axis=1),
                np.concatenate([bias, offsets]),
                temperature=small.temperature,
            ),
            name="wide",
            recipe=Recipe("train"),
            contract=small.contract,
            classes=classes,
            taxonomy=read_taxonomy(work / "taxonomy.csv"),
            names={"en": {taxon_id: f"common {name}" for taxon_id, name in names.items()}},
            history=[],
            facts={
                name: small.manifest[name]
                for name in ("backbone", "catalog", "metrics", "calibration", "unknown")
                if name in small.manifest
            },
            trained_on=TrainedOn.nothing(),
        )


def _rows(features: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of a head for taxa of a tree: float32 [D, C].

    Args:
        features: of photographs, float32 [n, D].
        groups: int64 [C] each, what groups the taxa at a rank, for each of `_SHARES`.
    """
    rng = np.random.default_rng(0)
    covariance = np.cov(features, rowvar=False).astype(np.float64)
    values, vectors = np.linalg.eigh(covariance)
    size = np.maximum(values, 0) ** _EXPONENT
    drawn = np.zeros((len(values), len(groups[0])), np.float32)
    for group, share in zip(groups, _SHARES.values(), strict=True):
        _, inverse = np.unique(group, return_inverse=True)
        common = rng.standard_normal((len(values), inverse.max() + 1), np.float32)
        drawn += np.sqrt(share, dtype=np.float32) * common[:, inverse]
    rows = (vectors * size).astype(np.float32) @ drawn
    deviation = np.sqrt(np.mean(np.square((features[:200] - features.mean(axis=0)) @ rows)))
    return (rows * (_LOGITS_DEVIATION / deviation)).astype(np.float32)


def _photographs(work: Path) -> np.ndarray:
    """Those of the split test, uint8 [n, S, S, 3]."""
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.runtime.bundle import open_bundle

    contract = open_bundle(work / "bundle").contract
    paths = open_catalog(work / "catalog").photos("test").paths
    return np.concatenate(list(contract.read_batches(paths, 32)))


def _correlation(work: Path, pixels: np.ndarray) -> float:
    """Of the int8 logits with the float ones, mean over photographs."""
    from taxonvision.runtime.tflite import TFLiteModel

    int8, float32 = (
        TFLiteModel((work / "logits" / each / "model.tflite").read_bytes(), each).run(pixels)
        for each in ("int8", "float32")
    )
    found = [np.corrcoef(a, b)[0, 1] for a, b in zip(int8, float32, strict=True)]
    print(json.dumps({"correlation, lowest of a photograph": float(np.min(found))}))
    return float(np.mean(found))


def _tied(work: Path, pixels: np.ndarray) -> int:
    """Photographs on which two of the ten best scores are equal."""
    from taxonvision.runtime.bundle import open_bundle

    scores = open_bundle(work / "bundle").recognizer().score(pixels)
    best = -np.sort(-scores, axis=1)[:, :_BEST]
    return int((np.diff(best, axis=1) == 0).any(axis=1).sum())


if __name__ == "__main__":
    app.run(main)
