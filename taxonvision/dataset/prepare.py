"""A catalog becomes shards: TFRecord files that TFDS opens, and an index of what lies where."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import PIL

import taxonvision
from taxonvision.catalog.catalog import SPLITS, Catalog
from taxonvision.dataset.encode import QUALITY
from taxonvision.dataset.metadata import write_metadata
from taxonvision.dataset.plan import PlannedShard, PrepareOptions, plan_shards, spill_into
from taxonvision.dataset.shards import INDEX, MANIFEST, SCHEMA_VERSION, TABLES
from taxonvision.dataset.tfrecord import AFTER_PAYLOAD
from taxonvision.dataset.write_shard import PLAN, UNFINISHED, ShardJob, write_shard
from taxonvision.errors import UserError
from taxonvision.parallel import map_in_processes
from taxonvision.progress import say, track
from taxonvision.storage import Recipe, publish_resuming, read_json, replacing_file, write_json
from taxonvision.tables import reading_parquet, write_parquet

FEWEST_FOR_WORKERS = 500  # photographs; fewer are written sooner than processes start
_WORK = "work"

WriteShards = Callable[[Sequence[ShardJob]], Generator[int, None, None]]
"""A way to write shards; yields the number of photographs of each when it is written."""


def prepare(
    catalog: Catalog,
    options: PrepareOptions,
    out: Path,
    recipe: Recipe,
    *,
    write_shards: WriteShards | None = None,
    overwrite: bool = False,
) -> Mapping[str, Any]:
    """Write the shards `out` of a catalog; returns their manifest.

    However a run ends, the next one of the same recipe goes on at the next shard. The bytes depend
    on the catalog and the options alone, not on the way the shards are written, which is in
    processes unless told.

    Raises UserError when a photograph can no longer be read.
    """
    import google_crc32c  # noqa: F401 - where one is missing, that is told before the work
    import tensorflow_datasets  # noqa: F401

    with publish_resuming(
        out, MANIFEST, recipe, version=_version(), overwrite=overwrite
    ) as partial:
        folder = partial.absolute()
        if not (folder / MANIFEST).exists():
            with _telling_what_is_kept(folder):
                jobs = _write_files(catalog, options, folder, write_shards or in_processes())
                _write_index(jobs, folder)
            shards = [job.shard for job in jobs]
            write_metadata(shards, catalog.classes, folder)
            for table in TABLES:
                if (catalog.folder / table).is_file():  # of an earlier version without changes.csv
                    shutil.copyfile(catalog.folder / table, folder / table)
            _write_manifest(catalog, options, shards, recipe, folder)
        shutil.rmtree(folder / _WORK, ignore_errors=True)
    return read_json(out / MANIFEST)


def in_processes(workers: int | None = None) -> WriteShards:
    """Shards written by processes, as many as there are cores unless told."""

    def write(jobs: Sequence[ShardJob]) -> Generator[int, None, None]:
        few = sum(job.shard.photographs for job in jobs) < FEWEST_FOR_WORKERS
        return map_in_processes(write_shard, jobs, 1 if workers is None and few else workers)

    return write


def _version() -> str:
    """What the bytes of a shard depend on besides the recipe."""
    return f"taxonvision {taxonvision.__version__}, Pillow {PIL.__version__}"


@contextmanager
def _telling_what_is_kept(folder: Path) -> Iterator[None]:
    """When the block raises, say that finished shards are kept, or remove a folder without any."""
    try:
        yield
    except BaseException:
        finished = len(list(folder.glob("*.tfrecord-*")))
        if finished:
            say(f"{finished} finished shards are kept in {folder}; the same command goes on there")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_files(
    catalog: Catalog, options: PrepareOptions, folder: Path, write_shards: WriteShards
) -> list[ShardJob]:
    """Write what is missing of the shards' files; returns the jobs of all."""
    work = folder / _WORK
    work.mkdir(exist_ok=True)
    for path in work.glob(f"*{UNFINISHED}"):  # of workers that were killed
        path.unlink(missing_ok=True)
    with replacing_file(work / PLAN) as plan:
        shards = plan_shards(catalog, options, plan)
    root = catalog.root.absolute()
    jobs = [ShardJob(shard, folder, work, root, options.size) for shard in shards]
    missing = [job for job in jobs if not job.target.exists()]
    if len(missing) < len(jobs):
        say(f"{len(jobs) - len(missing)} of {len(jobs)} shards are there already")
    if missing:
        photographs = sum(job.shard.photographs for job in missing)
        with closing(write_shards(missing)) as written:
            for _ in track(written, photographs, "writing shards", size=int):
                pass
    return jobs


def _write_index(jobs: Sequence[ShardJob], folder: Path) -> None:
    """Put the shards' parts of the index together; UserError when a file is not what they say."""
    order = f"list_position({list(SPLITS)}, split), position"
    with reading_parquet(folder / INDEX, "prepare") as connection:
        spill_into(connection, folder / _WORK)
        connection.read_parquet([str(job.index) for job in jobs]).create_view("parts")
        with replacing_file(folder / INDEX) as index:
            write_parquet(index, connection, f"SELECT * FROM parts ORDER BY {order}")  # noqa: S608
        rows = connection.execute(
            'SELECT file, count(*), max("offset" + length) FROM parts GROUP BY file'
        ).fetchall()
    indexed = {file: (count, end + AFTER_PAYLOAD) for file, count, end in rows}
    for job in jobs:
        size = job.target.stat().st_size
        if indexed.get(job.shard.file) != (job.shard.photographs, size):
            job.target.unlink()
            raise UserError(f"{job.target} was damaged; the same command makes it again")


def _write_manifest(
    catalog: Catalog,
    options: PrepareOptions,
    shards: Sequence[PlannedShard],
    recipe: Recipe,
    folder: Path,
) -> None:
    counts = {split: sum(s.photographs for s in shards if s.split == split) for split in SPLITS}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "made_by": recipe.as_json(),
        "taxonvision": taxonvision.__version__,
        "fingerprint": catalog.fingerprint,
        "size": options.size,
        "quality": QUALITY,
        "counts": {"used": sum(counts.values()), "classes": len(catalog.classes), **counts},
        "files": [
            {
                "file": shard.file,
                "split": shard.split,
                "photographs": shard.photographs,
                "bytes": (folder / shard.file).stat().st_size,
            }
            for shard in shards
        ],
    }
    with replacing_file(folder / MANIFEST) as file:
        write_json(file, manifest)
