"""A listing becomes a catalog: every photograph is opened once, then classes and splits follow."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import taxonvision
from taxonvision.catalog.catalog import (
    MANIFEST,
    PHOTO_COLUMNS,
    SCHEMA_VERSION,
    SPLITS,
    fingerprint,
)
from taxonvision.catalog.listing import ListedPhoto, Listing, Reject
from taxonvision.catalog.splits import split_by_hash
from taxonvision.errors import UserError
from taxonvision.parallel import map_in_order
from taxonvision.photograph import PhotographError, decode, read_bytes
from taxonvision.progress import track
from taxonvision.storage import Recipe, publish, write_json
from taxonvision.tables import write_csv, write_parquet
from taxonvision.taxonomy.classes import TaxonClass, write_classes
from taxonvision.taxonomy.names import write_names
from taxonvision.taxonomy.tree import Taxonomy, write_taxonomy

ELIGIBILITY_COLUMNS = (
    "taxon_id", "name", "rank", "photographs", "rejected", *SPLITS, "included", "reason",
)  # fmt: skip


@dataclass(frozen=True)
class _Opened:
    """What opening a photograph told; sizes in pixels, upright."""

    sha256: str
    width: int
    height: int
    orientation: int


def ingest(
    listing: Listing, source: str, out: Path, recipe: Recipe, *, overwrite: bool = False
) -> Mapping[str, Any]:
    """Open every listed photograph and write the catalog `out`; returns its manifest.

    Photographs that cannot be used go to `rejects.csv` with the reason and stop nothing. Every
    taxon with at least one usable photograph becomes a class.

    Raises UserError when no photograph at all can be used.
    """
    if not listing.photos and not listing.rejects:
        raise UserError(f"there is no photograph below {listing.root}")
    with publish(out, MANIFEST, recipe, overwrite=overwrite) as partial:
        used, opened, rejects = _open_all(listing)
        if not used:
            first = min(rejects, key=lambda reject: reject.path)
            raise UserError(
                f"none of the {len(rejects)} files below {listing.root} can be used; "
                f"{first.path}: {first.reason}"
            )
        splits = [p.split or split_by_hash(o.sha256) for p, o in zip(used, opened, strict=True)]
        classes = _classes(used, listing.taxonomy)
        _write_photos(partial / "photos.parquet", used, opened, splits, classes)
        write_classes(partial / "classes.csv", classes)
        write_taxonomy(
            partial / "taxonomy.csv", listing.taxonomy.closure(p.taxon_id for p in listing.photos)
        )
        write_names(partial / "names.csv", listing.names)
        _write_eligibility(partial / "eligibility.csv", listing, used, splits)
        write_csv(
            partial / "rejects.csv",
            ("path", "reason"),
            sorted((reject.path, reject.reason) for reject in rejects),
        )
        manifest = {
            "schema_version": SCHEMA_VERSION,
            "made_by": recipe.as_json(),
            "taxonvision": taxonvision.__version__,
            "source": source,
            "root": str(listing.root.absolute()),
            "root_from_catalog": os.path.relpath(listing.root.absolute(), out.absolute()),
            "counts": {
                "photographs": len(used) + len(rejects),
                "used": len(used),
                "rejected": len(rejects),
                "classes": len(classes),
                **{split: splits.count(split) for split in SPLITS},
                "other_files": dict(sorted(listing.other_files.items())),
            },
            "fingerprint": fingerprint(partial),
        }
        write_json(partial / MANIFEST, manifest)
    return manifest


def _open_all(listing: Listing) -> tuple[list[ListedPhoto], list[_Opened], list[Reject]]:
    def open_one(photo: ListedPhoto) -> _Opened | str:
        if photo.fault:
            return photo.fault
        try:
            data = read_bytes(listing.root / photo.path)
            image, orientation = decode(data)
        except PhotographError as error:
            return str(error)
        return _Opened(hashlib.sha256(data).hexdigest(), *image.size, orientation)

    used, opened, rejects = [], [], list(listing.rejects)
    results = track(map_in_order(open_one, listing.photos), len(listing.photos), "opening")
    for photo, result in zip(listing.photos, results, strict=True):
        if isinstance(result, str):
            rejects.append(Reject(photo.path, result))
        else:
            used.append(photo)
            opened.append(result)
    return used, opened, rejects


def _classes(used: Sequence[ListedPhoto], taxonomy: Taxonomy) -> list[TaxonClass]:
    """The classes in order of the scientific name."""
    taxa = sorted(
        (taxonomy[taxon_id] for taxon_id in {photo.taxon_id for photo in used}),
        key=lambda taxon: (taxon.name, taxon.taxon_id),
    )
    return [
        TaxonClass(class_id, taxon.taxon_id, taxon.name, taxon.rank, "active", "1")
        for class_id, taxon in enumerate(taxa)
    ]


def _write_photos(
    path: Path,
    used: Sequence[ListedPhoto],
    opened: Sequence[_Opened],
    splits: Sequence[str],
    classes: Sequence[TaxonClass],
) -> None:
    import duckdb

    class_of = {c.taxon_id: c.class_id for c in classes}
    columns = {
        "photo_id": _texts(p.photo_id for p in used),
        "path": _texts(p.path for p in used),
        "sha256": _texts(o.sha256 for o in opened),
        "width": np.array([o.width for o in opened], np.int32),
        "height": np.array([o.height for o in opened], np.int32),
        "orientation": np.array([o.orientation for o in opened], np.int8),
        "observation_id": _texts(p.photo_id for p in used),  # in folders each stands alone
        "taxon_id": np.array([p.taxon_id for p in used], np.int64),
        "class_id": np.array([class_of[p.taxon_id] for p in used], np.int32),
        "split": _texts(splits),
        "license": _texts(p.license or None for p in used),
        "attribution": _texts(p.attribution or None for p in used),
    }
    selected = ", ".join(
        f"CAST({name if name in columns else 'NULL'} AS {kind}) AS {name}"
        for name, kind in PHOTO_COLUMNS.items()
    )
    with duckdb.connect() as connection:
        connection.register("columns", columns)
        query = f"SELECT {selected} FROM columns ORDER BY class_id, photo_id"  # noqa: S608
        write_parquet(path, connection, query)


def _texts(values: Any) -> np.ndarray:
    return np.array(list(values), dtype=object)


def _write_eligibility(
    path: Path, listing: Listing, used: Sequence[ListedPhoto], splits: Sequence[str]
) -> None:
    """One row a taxon that was listed: its counts, and in words why it is a class or not."""
    listed = Counter(photo.taxon_id for photo in listing.photos)
    in_split = Counter((p.taxon_id, split) for p, split in zip(used, splits, strict=True))
    rows = []
    for taxon_id, photographs in listed.items():
        taxon = listing.taxonomy[taxon_id]
        counts = [in_split[taxon_id, split] for split in SPLITS]
        usable = sum(counts)
        reason = (
            f"included: {usable} usable photographs"
            if usable
            else f"not included: none of its {photographs} photographs can be used"
        )
        included = "true" if usable else "false"
        rejected = photographs - usable
        rows.append(
            (taxon_id, taxon.name, taxon.rank, photographs, rejected, *counts, included, reason)
        )
    write_csv(path, ELIGIBILITY_COLUMNS, sorted(rows, key=lambda row: (row[1], row[0])))
