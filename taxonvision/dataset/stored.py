"""Where the photographs of a split lie, by column: thirty million of them fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from taxonvision.catalog.contents import contents_in, stored_halves
from taxonvision.catalog.examples import Examples
from taxonvision.dataset.plan import PrepareOptions
from taxonvision.dataset.shards import MANIFEST, Shards
from taxonvision.errors import UserError
from taxonvision.photograph import Piece, Source
from taxonvision.tables import reading_parquet

_WHOLE_FILE = -1


@dataclass(frozen=True)
class StoredPhotos:
    """The photographs of one split, numbered from 0 in the order of `Examples.photos`.

    Attributes:
        files: the files they lie in.
        file_numbers: int32 [n], positions in `files`.
        offsets: int64 [n], bytes before the photograph in its file.
        lengths: int64 [n], bytes; below 0: the whole file.
        class_ids: int32 [n].
        photo_id: the id of the photograph with a number, looked up where a fault is told.
        contents: keys uint64 [n, 2] of their bytes (`catalog.contents`), zeros where unknown.
        shrink_to: None: they are JPEGs as `prepare` writes them. Else they are photographs of any
            kind, which become such JPEGs as they are read, with a short side of so many pixels.

    """

    files: Sequence[Path]
    file_numbers: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    class_ids: np.ndarray
    photo_id: Callable[[int], str]
    contents: np.ndarray
    shrink_to: int | None = None

    def __len__(self) -> int:
        return len(self.class_ids)

    def source(self, number: int) -> Source:
        """Where the bytes of a photograph are."""
        path, length = self.files[self.file_numbers[number]], int(self.lengths[number])
        return path if length < 0 else Piece(path, int(self.offsets[number]), length)

    def name(self, number: int) -> str:
        """The photograph's id and place, for messages."""
        return f"photograph {self.photo_id(number)} ({self.source(number)})"

    def take(self, numbers: np.ndarray) -> StoredPhotos:
        """Those with numbers int64 [m], numbered anew in this order; of the files, only theirs."""
        used, file_numbers = np.unique(self.file_numbers[numbers], return_inverse=True)
        return replace(
            self,
            files=[self.files[number] for number in used.tolist()],
            file_numbers=file_numbers.astype(np.int32),
            offsets=self.offsets[numbers],
            lengths=self.lengths[numbers],
            class_ids=self.class_ids[numbers],
            photo_id=lambda number: self.photo_id(int(numbers[number])),
            contents=self.contents[numbers],
        )


def stored_photos(
    examples: Examples, split: str, shrink_to: int = PrepareOptions.size
) -> StoredPhotos:
    """The photographs of one split of a catalog or of its shards.

    Those of a catalog are shrunk as `prepare --size` does, here to `shrink_to`, so that training
    sees the same bytes as from shards of that size.

    Raises UserError when they cannot be read.
    """
    if isinstance(examples, Shards):
        return _in_shards(examples, split)
    photos = examples.photos(split)
    paths = [source for source in photos.sources if isinstance(source, Path)]
    return StoredPhotos(
        files=paths,
        file_numbers=np.arange(len(paths), dtype=np.int32),
        offsets=np.zeros(len(paths), np.int64),
        lengths=np.full(len(paths), _WHOLE_FILE, np.int64),
        class_ids=photos.class_ids,
        photo_id=photos.photo_ids.__getitem__,
        contents=photos.contents,
        shrink_to=shrink_to,
    )


def _in_shards(shards: Shards, split: str) -> StoredPhotos:
    names = [entry["file"] for entry in shards.manifest["files"]]
    with reading_parquet(shards.index, "prepare") as connection:
        connection.register(
            "files",
            {"file": np.array(names, object), "number": np.arange(len(names), dtype=np.int32)},
        )
        halves = stored_halves(connection, shards.index)
        columns = connection.execute(
            f"SELECT number, image_offset, image_length, class_id, {halves}"  # noqa: S608
            " FROM read_parquet(?) JOIN files USING (file) WHERE split = ? ORDER BY position",
            [str(shards.index), split],
        ).fetchnumpy()
    if len(columns["number"]) != shards.manifest["counts"][split]:
        raise UserError(f"{shards.index} is not that of {shards.folder / MANIFEST}; prepare again")

    def photo_id(number: int) -> str:
        with reading_parquet(shards.index, "prepare") as connection:
            row = connection.execute(
                "SELECT photo_id FROM read_parquet(?) WHERE split = ? AND position = ?",
                [str(shards.index), split, number],
            ).fetchone()
        return str(row[0]) if row else ""

    return StoredPhotos(
        files=[shards.folder / name for name in names],
        file_numbers=np.asarray(columns["number"], np.int32),
        offsets=np.asarray(columns["image_offset"], np.int64),
        lengths=np.asarray(columns["image_length"], np.int64),
        class_ids=np.asarray(columns["class_id"], np.int32),
        photo_id=photo_id,
        contents=contents_in(columns),
    )
