"""Which photograph goes into which shard: a function of the catalog and the options alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from taxonvision.catalog.catalog import SPLITS, Catalog
from taxonvision.errors import UserError
from taxonvision.tables import reading_parquet, write_parquet

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BYTES_A_PIXEL = 0.6  # of the JPEGs that `encode` writes
_BYTES_A_PHOTOGRAPH = 60_000  # where the catalog does not know how large its photographs are
_SHARDS_WANTED, _FEWEST_IN_SHARD = 16, 256


@dataclass(frozen=True)
class PrepareOptions:
    """What shards are made.

    Attributes:
        size: short side of the photographs in pixels; 0: as they are.
        shard_megabytes: about how large a shard becomes.
    """

    size: int = 256
    shard_megabytes: float = 128.0


@dataclass(frozen=True)
class PlannedShard:
    """A file to write; its photographs are the rows of the plan with its number."""

    number: int
    split: str
    file: str
    photographs: int


def plan_shards(catalog: Catalog, options: PrepareOptions, plan: Path) -> list[PlannedShard]:
    """Write the table `plan`, one row a photograph in the order of the shards; returns the shards.

    Within a split the photographs are dealt to shards in the order of a hash of their ids, so that
    who reads some files from their beginning meets many taxa. Small splits are cut into more shards
    than their bytes ask for, to keep several processes busy.

    Raises UserError when the catalog has no photographs or they cannot be read.
    """
    table = catalog.folder / "photos.parquet"
    with reading_parquet(table, "ingest") as connection:
        spill_into(connection, plan.parent)
        connection.read_parquet(str(table)).create_view("photos")
        shrunk = f"least(1, {options.size} / least(width, height))" if options.size else "1"
        sizes = connection.execute(
            "SELECT split, count(*), sum(coalesce("  # noqa: S608
            f"width * {shrunk} * height * {shrunk} * {_BYTES_A_PIXEL}, {_BYTES_A_PHOTOGRAPH}))"
            " FROM photos GROUP BY split"
        ).fetchall()
        if not sizes:
            raise UserError(f"{catalog.folder} has no photographs to prepare")
        splits = sorted((SPLITS.index(split), int(n), float(size)) for split, n, size in sizes)
        photographs = np.array([n for _, n, _ in splits], np.int64)
        counts = [_number_of_shards(n, size, options.shard_megabytes) for _, n, size in splits]
        connection.register(
            "splits",
            {
                "split": np.array([SPLITS[index] for index, _, _ in splits], dtype=object),
                "photographs": photographs,
                "shards": np.array(counts, np.int64),
                "first": np.cumsum(counts) - counts,
            },
        )
        connection.register(
            "classes",
            {
                "class_id": np.array([c.class_id for c in catalog.classes], np.int32),
                "class_taxon_id": np.array([c.taxon_id for c in catalog.classes], np.int64),
            },
        )
        # A split of n photographs in m shards: shard i has the places from n * i // m on.
        write_parquet(
            plan,
            connection,
            "SELECT first + ((place + 1) * shards - 1) // photographs AS shard, place, position,"
            " split, photo_id, path, class_id, class_taxon_id, license, attribution,"
            " observation_id, latitude, longitude FROM ("
            "  SELECT split, photo_id, path, class_id, coalesce(license, '') AS license,"
            "  coalesce(attribution, '') AS attribution,"
            "  coalesce(observation_id, '') AS observation_id,"
            "  coalesce(latitude, 'nan') AS latitude, coalesce(longitude, 'nan') AS longitude,"
            "  row_number() OVER (PARTITION BY split ORDER BY class_id, photo_id) - 1 AS position,"
            "  row_number() OVER (PARTITION BY split ORDER BY md5(photo_id), photo_id) - 1 AS place"
            "  FROM photos)"
            " JOIN splits USING (split) JOIN classes USING (class_id) ORDER BY shard, place",
        )
    shards: list[PlannedShard] = []
    for (index, n, _), count in zip(splits, counts, strict=True):
        shards += [
            PlannedShard(
                len(shards) + i,
                SPLITS[index],
                f"taxonvision-{SPLITS[index]}.tfrecord-{i:05d}-of-{count:05d}",
                n * (i + 1) // count - n * i // count,
            )
            for i in range(count)
        ]
    return shards


def spill_into(connection: DuckDBPyConnection, folder: Path) -> None:
    """Let tables too large for the memory spill into a folder, not into where the user stands."""
    spill = str(folder / "spill").replace("'", "''")
    connection.execute(f"SET temp_directory = '{spill}'")


def _number_of_shards(photographs: int, expected_bytes: float, megabytes: float) -> int:
    by_bytes = math.ceil(expected_bytes / (megabytes * 2**20))
    for_processes = min(_SHARDS_WANTED, photographs // _FEWEST_IN_SHARD)
    return min(photographs, max(1, by_bytes, for_processes))
