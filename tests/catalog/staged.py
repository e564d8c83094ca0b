"""What a source has staged, read back from its work database."""

import atexit
import contextlib
import functools
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

from taxonvision.catalog.staging import ListedPhoto, Reject, Source, Staging, staging_in
from taxonvision.taxonomy.tree import Taxon, Taxonomy

# Without an observation of its own a photograph has its own id there.
_OBSERVATION = "CASE WHEN split_position IS NOT NULL THEN observation_id END"


@dataclass(frozen=True)
class Staged:
    photos: list[ListedPhoto]
    taxonomy: Taxonomy
    names: dict[str, dict[int, str]]
    rejects: list[Reject]
    tables: dict[str, tuple[int, int, int, int]]
    """Name to rows, used, faulty, duplicates."""
    source: Source


@functools.cache
def _work_database():
    """One work database for all tests of a process, for opening one takes longer than they do."""
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return stack.enter_context(staging_in(Path(folder, "work")))


def staged(stage, photographs=None):
    """All that `stage(staging)`, a source, hands over; it may write files to `photographs`."""
    work = _work_database()
    staging = Staging(work.connection, work.folder, photographs or work.photographs)
    execute = staging.connection.execute
    execute("DROP TABLE IF EXISTS listed")
    for table in ("listed_taxa", "listed_names", "rejects", "tables_read"):
        execute(f"DELETE FROM {table}")
    source = stage(staging)
    columns = [column.name for column in fields(ListedPhoto)]
    casts = {"observed_on": "observed_on::VARCHAR", "observation_id": _OBSERVATION}
    selected = ", ".join(casts.get(column, column) for column in columns)
    photos = execute(f"SELECT {selected} FROM listed ORDER BY row").fetchall()
    taxa = execute("SELECT taxon_id, parent_taxon_id, rank, name, rank_level FROM listed_taxa")
    tree = Taxonomy(Taxon(*row) for row in taxa.fetchall())
    names: dict[str, dict[int, str]] = {}
    for taxon_id, language, name in execute("FROM listed_names").fetchall():
        names.setdefault(language, {})[taxon_id] = name
    rejects = execute("SELECT path, reason, line, is_photograph FROM rejects").fetchall()
    tables = execute("FROM tables_read").fetchall()
    return Staged(
        photos=[ListedPhoto(*row) for row in photos],
        taxonomy=tree,
        names=names,
        rejects=[Reject(*row) for row in rejects],
        tables={name: tuple(counts) for name, *counts in tables},
        source=source,
    )
