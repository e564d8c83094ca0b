"""One shard: photographs in, a TFRecord file and its part of the index out, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.catalog.contents import CONTENT_COLUMNS, content_of
from taxonvision.dataset.encode import encode
from taxonvision.dataset.plan import PlannedShard
from taxonvision.dataset.tfrecord import AFTER_PAYLOAD, BEFORE_PAYLOAD, record, serialize_example
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError, listed_but_unusable, read_bytes
from taxonvision.tables import reading_parquet, write_parquet
from taxonvision.text import reason_of

INDEX_COLUMNS = {
    "split": "VARCHAR",
    "position": "BIGINT",
    "file": "VARCHAR",
    "offset": "BIGINT",
    "length": "BIGINT",
    "photo_id": "VARCHAR",
    "class_id": "INTEGER",
    "image_offset": "BIGINT",
    "image_length": "BIGINT",
    "license": "VARCHAR",
    "attribution": "VARCHAR",
    "observation_id": "VARCHAR",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    **CONTENT_COLUMNS,
}
"""The columns of `index.parquet` and their DuckDB types.

`position` counts from 0 in the split, in the order of `Catalog.photos`; `offset` and `length` tell
where in the file the record's payload lies, a tf.train.Example, `image_offset` and `image_length`
where its JPEG does. Bytes. `observation_id` is "" where unknown; the coordinates are degrees, NULL
where unknown. `content_high` and `content_low` are the key of that JPEG
(`catalog.contents`).
"""
PLAN, UNFINISHED = "plan.parquet", ".unfinished"


@dataclass(frozen=True)
class ShardJob:
    """What a worker, perhaps on another machine, needs to write one shard.

    Attributes:
        shard: the shard.
        folder: absolute; the file is written there.
        work: absolute; holds the plan, and gets the shard's part of the index.
        root: absolute; the paths of photographs are relative to it.
        size: short side in pixels, 0: as they are.
    """

    shard: PlannedShard
    folder: Path
    work: Path
    root: Path
    size: int

    @property
    def target(self) -> Path:
        """The file to write."""
        return self.folder / self.shard.file

    @property
    def index(self) -> Path:
        """The shard's part of the index."""
        return self.work / f"{self.shard.file}.index.parquet"


def write_shard(job: ShardJob) -> int:
    """Write a shard that is not there yet; returns how many photographs it has.

    Raises UserError when a photograph can no longer be read.
    """
    if not job.target.exists():
        columns = _planned(job)
        with _appearing(job.target, job.work) as file:
            places, contents = _write_records(file, job, columns)
            with _appearing(job.index, job.work) as index:
                _write_index(index, job, columns, places, contents)
    return job.shard.photographs


def _planned(job: ShardJob) -> Mapping[str, np.ndarray]:
    """The shard's photographs, rows of the plan by column."""
    plan = job.work / PLAN
    with reading_parquet(plan, "prepare") as connection:
        return connection.execute(
            "SELECT * FROM read_parquet(?) WHERE shard = ? ORDER BY place",
            [str(plan), job.shard.number],
        ).fetchnumpy()


def _write_records(
    file: Path, job: ShardJob, columns: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Write the photographs.

    Returns where they lie, int64 [n, 4], the index's columns of bytes, and keys uint64 [n, 2].
    """
    places = np.empty((job.shard.photographs, 4), np.int64)
    contents = np.empty((job.shard.photographs, 2), np.uint64)
    offset = 0
    with file.open("wb") as records:
        for row, (image, example) in enumerate(_examples(job, columns)):
            records.write(record(example))
            offset += BEFORE_PAYLOAD
            places[row] = offset, len(example), offset + example.index(image), len(image)
            contents[row] = content_of(image)
            offset += len(example) + AFTER_PAYLOAD
    return places, contents


def _examples(job: ShardJob, columns: Mapping[str, np.ndarray]) -> Iterator[tuple[bytes, bytes]]:
    """Each photograph's JPEG, and the serialized tf.train.Example with it."""
    names = ("path", "class_id", "class_taxon_id", "photo_id", "license", "attribution")
    rows = zip(*(columns[name].tolist() for name in names), strict=True)
    for path, class_id, taxon_id, photo_id, license_, attribution in rows:
        try:
            image = encode(read_bytes(job.root / path), job.size)
        except PhotographError as error:
            raise UserError(listed_but_unusable(job.root / path, error)) from None
        yield (
            image,
            serialize_example(
                {
                    "image": image,
                    "label": class_id,
                    "taxon_id": taxon_id,
                    "photo_id": photo_id.encode(),
                    "license": license_.encode(),
                    "attribution": attribution.encode(),
                }
            ),
        )


def _write_index(
    path: Path,
    job: ShardJob,
    columns: Mapping[str, np.ndarray],
    places: np.ndarray,
    contents: np.ndarray,
) -> None:
    import duckdb

    rows = {
        **columns,
        "file": np.array([job.shard.file] * len(places), dtype=object),
        "offset": places[:, 0],
        "length": places[:, 1],
        "image_offset": places[:, 2],
        "image_length": places[:, 3],
        "content_high": contents[:, 0],
        "content_low": contents[:, 1],
    }
    selected = ", ".join(_as_stored(name, kind) for name, kind in INDEX_COLUMNS.items())
    query = f"SELECT {selected} FROM rows ORDER BY image_offset"  # noqa: S608
    try:
        with duckdb.connect() as connection:
            connection.register("rows", {name: rows[name] for name in INDEX_COLUMNS})
            write_parquet(path, connection, query)
    except duckdb.Error as error:
        raise UserError(f"{path} cannot be written ({reason_of(error, 200)})") from None


def _as_stored(name: str, kind: str) -> str:
    value = f'CAST("{name}" AS {kind})'
    known = f"nullif({value}, 'nan')" if kind == "DOUBLE" else value  # NaN is no degree
    return f'{known} AS "{name}"'


@contextmanager
def _appearing(path: Path, work: Path) -> Iterator[Path]:
    """A file in `work` that becomes `path` at the end; two may write the same at a time."""
    unfinished = work / f"{path.name}.{secrets.token_hex(8)}{UNFINISHED}"
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        with suppress(OSError):
            unfinished.unlink()
