"""What a source has staged, read back from its work database."""

import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

from taxonvision.catalog.staging import ListedPhoto, Reject, Source, staging_in
from taxonvision.taxonomy.tree import Taxon, Taxonomy

# Without an observation of its own a photograph has its own id there.
_OBSERVATION = "CASE WHEN split_position IS NOT NULL THEN observation_id END"


@dataclass(frozen=True)
class Staged:
    photos: list[ListedPhoto]
    taxonomy: Taxonomy
    names: dict[str, dict[int, str]]
    rejects: list[Reject]
    source: Source


def staged(stage):
    """All that `stage(staging)`, a source, hands over."""
    with tempfile.TemporaryDirectory() as folder, staging_in(Path(folder, "work")) as staging:
        source = stage(staging)
        columns = [column.name for column in fields(ListedPhoto)]
        casts = {"observed_on": "observed_on::VARCHAR", "observation_id": _OBSERVATION}
        selected = ", ".join(casts.get(column, column) for column in columns)
        execute = staging.connection.execute
        photos = execute(f"SELECT {selected} FROM listed ORDER BY row").fetchall()
        taxa = execute("SELECT taxon_id, parent_taxon_id, rank, name, rank_level FROM listed_taxa")
        tree = Taxonomy(Taxon(*row) for row in taxa.fetchall())
        names: dict[str, dict[int, str]] = {}
        for taxon_id, language, name in execute("FROM listed_names").fetchall():
            names.setdefault(language, {})[taxon_id] = name
        rejects = execute("SELECT path, reason, line, is_photograph FROM rejects").fetchall()
        return Staged(
            [ListedPhoto(*row) for row in photos],
            tree,
            names,
            [Reject(*row) for row in rejects],
            source,
        )
