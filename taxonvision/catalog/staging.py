"""What a source hands over: relations of a DuckDB work database, the same for every format.

A source fills these and knows nothing of rules, splits or classes:

- `listed`, a table or view with the columns `LISTED`, one row a photograph (or a record without
  any): what the source says of it, nothing opened yet;
- `listed_files (row, photo_id, path, license)`, the same rows, and `observed_taxa (taxon_id)`:
  only where a source can make them cheaper than from `listed`;
- `listed_taxa`, the tree as far as the source has one; `listed_names`, common names;
- `rejects`, the faulty rows that are in none of these, with file, line and the reason in words;
- `tables_read`, one row a table that was read.

The work database holds a part of the memory; what is larger spills to disk beside the catalog.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from taxonvision.catalog.splits import position_sql
from taxonvision.interrupts import interruptible, undisturbed
from taxonvision.parallel import cores
from taxonvision.tables import object_column
from taxonvision.taxonomy.names import Names
from taxonvision.taxonomy.tree import Taxonomy

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LISTED = {
    "row": "BIGINT",  # unique; the order in which the source lists its photographs
    "photo_id": "VARCHAR",
    "path": "VARCHAR",  # relative to the root, with forward slashes; NULL: there is no photograph
    "url": "VARCHAR",  # where it can be fetched
    "observation_key": "UBIGINT",  # equal for the photographs of one observation
    "observation_id": "VARCHAR",
    "split_position": "UBIGINT",  # a hash of the observation that never changes; NULL: by content
    "position": "INTEGER",  # of the photograph in its observation
    "taxon_id": "BIGINT",  # as observed; NULL: not identified
    "quality": "VARCHAR",  # research, needs_id or casual; NULL: not said
    "observer": "VARCHAR",
    "site": "VARCHAR",
    "latitude": "DOUBLE",
    "longitude": "DOUBLE",
    "observed_on": "DATE",
    "license": "VARCHAR",
    "attribution": "VARCHAR",
    "width": "INTEGER",
    "height": "INTEGER",
    "split": "VARCHAR",  # train, val or test where the source gives one
    "fault": "VARCHAR",  # why the row or its file cannot be used, where the source knows already
    "left_out": "VARCHAR",  # a key of `fates.LEFT_OUT` where the source knows already
}
"""The columns of `listed` and their DuckDB types; all but `row` and `photo_id` may be NULL."""

_OTHER_TABLES = """
CREATE TABLE listed_taxa (
    taxon_id BIGINT, parent_taxon_id BIGINT, rank_level DOUBLE, rank VARCHAR, name VARCHAR,
    active BOOLEAN
);
CREATE TABLE listed_names (taxon_id BIGINT, language VARCHAR, name VARCHAR);
CREATE TABLE rejects (path VARCHAR, line BIGINT, reason VARCHAR, is_photograph BOOLEAN);
CREATE TABLE tables_read (
    name VARCHAR, "rows" BIGINT, used BIGINT, faulty BIGINT, duplicates BIGINT
);
"""
_CHUNK = 100_000
_SECONDS_BETWEEN_INTERRUPTS = 0.1
_MEMORY_MB, _MEMORY_PER_CORE_MB = 1000, 250


@dataclass(frozen=True, slots=True)
class ListedPhoto:
    """One photograph as a source written in Python lists it; see `LISTED` for the meaning.

    Without `observation_id` the photograph stands alone: it is its own observation, and its split
    follows from its content.
    """

    photo_id: str
    path: str | None
    taxon_id: int | None
    split: str | None = None
    license: str | None = None
    attribution: str | None = None
    fault: str | None = None
    url: str | None = None
    observation_id: str | None = None
    position: int | None = None
    quality: str | None = None
    observer: str | None = None
    site: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    observed_on: str | None = None
    """ISO 8601 date."""
    width: int | None = None
    height: int | None = None
    left_out: str | None = None


@dataclass(frozen=True)
class Reject:
    """One faulty file or row and the reason in words.

    `line` is the line of the file `path` where that is a table; `is_photograph` says that the row
    or file counts among the photographs listed.
    """

    path: str
    reason: str
    line: int | None = None
    is_photograph: bool = True


@dataclass(frozen=True)
class Source:
    """What a source says beside its relations.

    Attributes:
        root: the folder that the paths of the photographs are relative to.
        other_files: files that are no photographs, counted by suffix.
    """

    root: Path
    other_files: dict[str, int] = field(default_factory=dict)


class Staging:
    """The work database of one ingest."""

    def __init__(self, connection: DuckDBPyConnection, folder: Path, photographs: Path) -> None:
        self.connection = connection
        self.folder = folder
        """A folder for what a source has to unpack; it is removed in the end."""
        self.photographs = photographs
        """A folder of the catalog, not yet made, for photographs that are in no files."""

    def at_once(self, *tasks: Callable[[Staging], None]) -> None:
        """Run tasks in threads, each with a connection of its own to the work database.

        The exception of the first that fails is raised when the others have stopped.
        """
        cursors = [self.connection.cursor() for _ in tasks]
        with ThreadPoolExecutor(len(tasks)) as pool:
            running = [
                pool.submit(task, Staging(cursor, self.folder, self.photographs))
                for task, cursor in zip(tasks, cursors, strict=True)
            ]
            try:
                done, _ = wait(running, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                while left := [future for future in running if not future.done()]:
                    for cursor in cursors:  # again and again: between two queries none is heard
                        cursor.interrupt()
                    wait(left, timeout=_SECONDS_BETWEEN_INTERRUPTS)
                raise
        for cursor in cursors:
            cursor.close()

    def add_photos(self, photos: Iterable[ListedPhoto]) -> None:
        """Fill `listed` with photographs listed in Python, in their order."""
        columns = ", ".join(f"{name} {kind}" for name, kind in LISTED.items())
        self.connection.execute(f"CREATE TABLE listed ({columns})")
        names = [column.name for column in fields(ListedPhoto)]
        start = 0
        remaining = iter(photos)
        while chunk := list(itertools.islice(remaining, _CHUNK)):
            values = {
                name: object_column([getattr(photo, name) for photo in chunk]) for name in names
            }
            values["row"] = np.arange(start, start + len(chunk))
            self.connection.register("chunk", values)
            self.connection.execute(
                f"INSERT INTO listed BY NAME SELECT {_of_chunk()} FROM chunk"  # noqa: S608
            )
            self.connection.unregister("chunk")
            start += len(chunk)

    def add_taxonomy(self, taxonomy: Taxonomy) -> None:
        """Fill `listed_taxa` with a checked tree, all taxa active."""
        taxa = list(taxonomy)
        self._insert(
            "listed_taxa",
            taxon_id=[taxon.taxon_id for taxon in taxa],
            parent_taxon_id=[taxon.parent_taxon_id for taxon in taxa],
            rank_level=[taxon.rank_level for taxon in taxa],
            rank=[taxon.rank for taxon in taxa],
            name=[taxon.name for taxon in taxa],
            active=[True] * len(taxa),
        )

    def add_names(self, names: Names) -> None:
        """Fill `listed_names`."""
        rows = [(t, code, name) for code, by_taxon in names.items() for t, name in by_taxon.items()]
        self._insert(
            "listed_names",
            taxon_id=[row[0] for row in rows],
            language=[row[1] for row in rows],
            name=[row[2] for row in rows],
        )

    def add_rejects(self, rejects: Sequence[Reject]) -> None:
        """Add faulty files or rows."""
        self._insert(
            "rejects",
            path=[reject.path for reject in rejects],
            line=[reject.line for reject in rejects],
            reason=[reject.reason for reject in rejects],
            is_photograph=[reject.is_photograph for reject in rejects],
        )

    def add_table_read(
        self, name: str, rows: int, *, used: int, faulty: int = 0, duplicates: int = 0
    ) -> None:
        """Say how many rows a table had, and what became of them: the three add up to `rows`."""
        values = [name, rows, used, faulty, duplicates]
        self.connection.execute("INSERT INTO tables_read VALUES (?, ?, ?, ?, ?)", values)

    def _insert(self, table: str, **columns: list[Any]) -> None:
        if not next(iter(columns.values())):
            return
        self.connection.register("chunk", {name: object_column(v) for name, v in columns.items()})
        self.connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM chunk")  # noqa: S608
        self.connection.unregister("chunk")


@contextlib.contextmanager
def staging_in(folder: Path, photographs: Path | None = None) -> Iterator[Staging]:
    """Yield an empty work database in `folder`, which is made for it.

    `photographs` is the folder for photographs that a source has to write as files.
    """
    with undisturbed():
        import duckdb

    unpacked = folder / "unpacked"
    unpacked.mkdir(parents=True)
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{_MEMORY_MB + _MEMORY_PER_CORE_MB * cores()}MB",
        "threads": cores(),
        "temp_directory": str(folder / "spilled"),
    }
    with duckdb.connect(config=config) as opened, interruptible(opened) as connection:
        connection.execute(_OTHER_TABLES)
        yield Staging(connection, unpacked, photographs or folder / "photographs")


def _of_chunk() -> str:
    """The columns of `listed` from those of `ListedPhoto`."""
    given = {column.name for column in fields(ListedPhoto)} | {"row"}
    observation = "coalesce(observation_id, photo_id)::VARCHAR"
    computed = {
        "observation_key": position_sql(observation),
        "observation_id": observation,
        "split_position": position_sql("observation_id::VARCHAR"),
    }
    return ", ".join(
        f"({computed.get(name, name)})::{kind} AS {name}"
        for name, kind in LISTED.items()
        if name in computed or name in given
    )
