"""Shards on disk: photographs ready to be read, with all that the catalog says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.catalog.contents import contents_in, stored_halves
from taxonvision.catalog.examples import OF_OBSERVED, Observed, count_rows_by_class
from taxonvision.errors import UserError
from taxonvision.photograph import Piece
from taxonvision.storage import read_manifest
from taxonvision.tables import reading_parquet
from taxonvision.taxonomy.classes import TaxonClass, read_classes
from taxonvision.taxonomy.names import Names, read_names
from taxonvision.taxonomy.tree import Taxonomy, read_taxonomy

MANIFEST, INDEX = "shards.json", "index.parquet"
SCHEMA_VERSION = 1
TABLES = ("classes.csv", "taxonomy.csv", "names.csv", "changes.csv")
_FIELDS = {"fingerprint": str, "size": int, "counts": dict, "files": list}


@dataclass(frozen=True)
class ShardPhotos:
    """Photographs by column, all of the same length n, in the order of the catalog's.

    Attributes:
        photo_ids: n ids.
        sources: n JPEG files within the shards.
        class_ids: int32 [n].
        licenses: n licences, "" where unknown.
        attributions: n lines of credit, "" where unknown.
        contents: keys uint64 [n, 2] of the JPEGs (`catalog.contents`), zeros where unknown.
    """

    photo_ids: list[str]
    sources: list[Piece]
    class_ids: np.ndarray
    licenses: list[str]
    attributions: list[str]
    contents: np.ndarray

    def __len__(self) -> int:
        return len(self.photo_ids)


@dataclass(frozen=True)
class Shards:
    """Opened shards; their photographs are read on demand."""

    folder: Path
    manifest: Mapping[str, Any]
    classes: list[TaxonClass]
    taxonomy: Taxonomy
    names: Names

    @property
    def fingerprint(self) -> str:
        """That of the catalog they were made of."""
        return str(self.manifest["fingerprint"])

    @property
    def index(self) -> Path:
        """The table that tells where each photograph lies; `write_shard.INDEX_COLUMNS`."""
        return self.folder / INDEX

    @property
    def shrunk_to(self) -> int:
        """Short side in pixels to which larger photographs were shrunk; 0: they were not."""
        return int(self.manifest["size"])

    def photos(self, split: str) -> ShardPhotos:
        """The photographs of one split, in the order of `Catalog.photos`.

        Raises UserError when the index cannot be read or is not that of these shards.
        """
        with reading_parquet(self.index, "prepare") as connection:
            halves = stored_halves(connection, self.index)
            columns = connection.execute(
                f"SELECT photo_id, file, image_offset, image_length, class_id, {halves},"  # noqa: S608
                " license, attribution FROM read_parquet(?) WHERE split = ? ORDER BY position",
                [str(self.index), split],
            ).fetchnumpy()
        files = {entry["file"]: self.folder / entry["file"] for entry in self.manifest["files"]}
        complete = len(columns["photo_id"]) == self.manifest["counts"].get(split)
        if not (complete and files.keys() >= set(columns["file"])):
            raise UserError(f"{self.index} is not that of {self.folder / MANIFEST}; prepare again")
        where = (columns[name].tolist() for name in ("file", "image_offset", "image_length"))
        return ShardPhotos(
            photo_ids=columns["photo_id"].tolist(),
            sources=[Piece(files[file], *span) for file, *span in zip(*where, strict=True)],
            class_ids=np.asarray(columns["class_id"], dtype=np.int32),
            licenses=columns["license"].tolist(),
            attributions=columns["attribution"].tolist(),
            contents=contents_in(columns),
        )

    def observed(self, split: str) -> Observed:
        """Their observations and coordinates; nothing where an earlier version made the shards.

        Raises UserError when the index cannot be read.
        """
        with reading_parquet(self.index, "prepare") as connection:
            index = connection.read_parquet(str(self.index))
            if not {"observation_id", "latitude", "longitude"} <= set(index.columns):
                return Observed.nothing(int(self.manifest["counts"].get(split, 0)))
            columns = connection.execute(
                f"SELECT {OF_OBSERVED} FROM read_parquet(?)"  # noqa: S608
                " WHERE split = ? ORDER BY position",
                [str(self.index), split],
            ).fetchnumpy()
        return Observed.of_columns(columns)

    def count_by_class(self, split: str) -> np.ndarray:
        """How many photographs of one split each class has, int64 [K]."""
        return count_rows_by_class(self.index, split, len(self.classes), "prepare")


def is_shards(folder: Path) -> bool:
    """Whether the folder holds shards."""
    return (folder / MANIFEST).is_file()


def open_shards(folder: Path) -> Shards:
    """Open shards; UserError when they are none, or a file is missing or not of its size."""
    manifest = read_manifest(folder, MANIFEST, "set of shards", "prepare", SCHEMA_VERSION, _FIELDS)
    for entry in manifest["files"]:
        try:
            file, size = str(entry["file"]), int(entry["bytes"])
        except (TypeError, KeyError, ValueError):
            raise UserError(f"{folder / MANIFEST} lists files wrongly; prepare again") from None
        _check_file(folder / file, size)
    return Shards(
        folder=folder,
        manifest=manifest,
        classes=read_classes(folder / "classes.csv"),
        taxonomy=read_taxonomy(folder / "taxonomy.csv"),
        names=read_names(folder / "names.csv"),
    )


def _check_file(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}; prepare again") from None
    if found != size:
        raise UserError(f"{path} has {found} bytes and should have {size}; prepare again")
