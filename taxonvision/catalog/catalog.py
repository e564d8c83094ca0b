"""The catalog on disk: which photographs are used, of which class, in which split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.catalog.contents import OF_SHA256, contents_in
from taxonvision.catalog.examples import OF_OBSERVED, Observed, count_rows_by_class
from taxonvision.errors import UserError
from taxonvision.photograph import Source
from taxonvision.storage import digest_of, file_digest, read_manifest
from taxonvision.tables import reading_parquet
from taxonvision.taxonomy.classes import TaxonClass, read_classes
from taxonvision.taxonomy.names import read_names
from taxonvision.taxonomy.tree import Taxonomy, read_taxonomy

MANIFEST = "catalog.json"
SCHEMA_VERSION = 1
SPLITS = ("train", "val", "test")
_FIELDS = {"root": str, "root_from_catalog": str, "counts": dict, "fingerprint": str}
PHOTO_COLUMNS = {
    "photo_id": "VARCHAR",
    "path": "VARCHAR",
    "sha256": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "orientation": "TINYINT",
    "observation_id": "VARCHAR",
    "taxon_id": "BIGINT",
    "class_id": "INTEGER",
    "split": "VARCHAR",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "observed_on": "DATE",
    "license": "VARCHAR",
    "attribution": "VARCHAR",
    "url": "VARCHAR",
}
"""The columns of `photos.parquet` and their DuckDB types."""


@dataclass(frozen=True)
class Photos:
    """Photographs by column, all of the same length n.

    Attributes:
        photo_ids: n ids.
        paths: n absolute paths.
        class_ids: int32 [n].
        licenses: n licences, "" where unknown.
        attributions: n lines of credit, "" where unknown.
        contents: keys uint64 [n, 2] of their bytes (`catalog.contents`), zeros where unknown.
    """

    photo_ids: list[str]
    paths: list[Path]
    class_ids: np.ndarray
    licenses: list[str]
    attributions: list[str]
    contents: np.ndarray

    def __len__(self) -> int:
        return len(self.photo_ids)

    @property
    def sources(self) -> Sequence[Source]:
        """Where the photographs are: the paths."""
        return self.paths

    def take(self, indices: np.ndarray) -> Photos:
        """The photographs at these positions, in this order."""
        chosen = indices.tolist()
        return Photos(
            [self.photo_ids[i] for i in chosen],
            [self.paths[i] for i in chosen],
            self.class_ids[indices],
            [self.licenses[i] for i in chosen],
            [self.attributions[i] for i in chosen],
            self.contents[indices],
        )


@dataclass(frozen=True)
class Catalog:
    """An opened catalog; its photographs are read on demand."""

    folder: Path
    root: Path
    manifest: Mapping[str, Any]
    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: dict[str, dict[int, str]]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the photographs' content, labels and splits, the classes and the tree."""
        return str(self.manifest["fingerprint"])

    @property
    def shrunk_to(self) -> int:
        """0: its photographs are as they were found."""
        return 0

    def photos(self, split: str) -> Photos:
        """The photographs of one split, ordered by class and photo id.

        Raises UserError when the table cannot be read.
        """
        table = self.folder / "photos.parquet"
        with reading_parquet(table, "ingest") as connection:
            columns = connection.execute(
                f"SELECT photo_id, path, class_id, {OF_SHA256},"  # noqa: S608
                " coalesce(license, '') AS license, coalesce(attribution, '') AS attribution"
                " FROM read_parquet(?) WHERE split = ? ORDER BY class_id, photo_id",
                [str(table), split],
            ).fetchnumpy()
        return Photos(
            photo_ids=columns["photo_id"].tolist(),
            paths=[self.root / path for path in columns["path"].tolist()],
            class_ids=np.asarray(columns["class_id"], dtype=np.int32),
            licenses=columns["license"].tolist(),
            attributions=columns["attribution"].tolist(),
            contents=contents_in(columns),
        )

    def observed(self, split: str) -> Observed:
        """Whose observations they are and where, in the order of `photos`."""
        table = self.folder / "photos.parquet"
        with reading_parquet(table, "ingest") as connection:
            columns = connection.execute(
                f"SELECT {OF_OBSERVED} FROM read_parquet(?)"  # noqa: S608
                " WHERE split = ? ORDER BY class_id, photo_id",
                [str(table), split],
            ).fetchnumpy()
        return Observed.of_columns(columns)

    def count_by_class(self, split: str) -> np.ndarray:
        """How many photographs of one split each class has, int64 [K]."""
        table = self.folder / "photos.parquet"
        return count_rows_by_class(table, split, len(self.classes), "ingest")


def read_catalog_manifest(folder: Path) -> dict[str, Any]:
    """What a catalog says of itself; UserError when it is none."""
    return read_manifest(folder, MANIFEST, "catalog", "ingest", SCHEMA_VERSION, _FIELDS)


def open_catalog(folder: Path) -> Catalog:
    """Open a catalog; UserError when it is none or its photographs are no longer to be found."""
    manifest = read_catalog_manifest(folder)
    return Catalog(
        folder=folder,
        root=_find_root(folder, manifest),
        manifest=manifest,
        classes=read_classes(folder / "classes.csv"),
        taxonomy=read_taxonomy(folder / "taxonomy.csv"),
        names=read_names(folder / "names.csv"),
    )


def fingerprint(folder: Path) -> str:
    """SHA-256 over what a model learns from: the photographs, their labels and splits, the tree.

    The photographs' part is the sum (bitwise, without carry) of one MD5 a photograph, so that ten
    million need no sorting; it tells catalogs apart and is no protection against forgery.
    """
    import duckdb

    with duckdb.connect() as connection:
        photographs = connection.execute(
            "SELECT count(*), bit_xor(md5_number("
            "concat_ws('|', coalesce(sha256, ''), class_id, split, photo_id)))::VARCHAR"
            " FROM read_parquet(?)",
            [str(folder / "photos.parquet")],
        ).fetchone()
    tables = [file_digest(folder / name) for name in ("classes.csv", "taxonomy.csv", "names.csv")]
    return digest_of([photographs, tables])


def _find_root(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Where the photographs are: as recorded, or moved together with the catalog."""
    recorded = Path(manifest["root"])
    beside = folder / manifest["root_from_catalog"]
    for root in (recorded, beside):
        if root.is_dir():
            return root
    raise UserError(
        f"the photographs of {folder} were in {recorded}, which does not exist; "
        "put them back or ingest again"
    )
