"""Which taxa just missed becoming a class, and by how many photographs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taxonvision.catalog.eligibility import COLUMNS
from taxonvision.tables import reading_parquet


@dataclass(frozen=True)
class MissedTaxon:
    """A taxon with photographs, but too few.

    Attributes:
        taxon_id: its id.
        name: scientific.
        rank: its rank.
        photographs: that may be used, with those of taxa below that count as its own.
        missing: photographs that it lacks.
        class_taxon_id: the taxon above it that its photographs train; None where there is none.
        left_out: which of its photographs were left out and why, in words; "" for none.
    """

    taxon_id: int
    name: str
    rank: str
    photographs: int
    missing: int
    class_taxon_id: int | None
    left_out: str


@dataclass(frozen=True)
class Missed:
    """The taxa nearest to the threshold, the nearest first, and how many there are in all."""

    nearest: tuple[MissedTaxon, ...]
    total: int


_COLUMNS = ", ".join(f"'{column}': 'VARCHAR'" for column in COLUMNS)
_TOO_FEW = f"""
CREATE TABLE missed AS
SELECT taxon_id::BIGINT AS taxon_id, coalesce(name, '') AS name, coalesce(rank, '') AS rank,
    usable::BIGINT + from_below::BIGINT AS photographs, missing::BIGINT AS missing,
    nullif(class_taxon_id, '')::BIGINT AS class_taxon_id,
    coalesce(regexp_extract(reason, '; left out: (.*)$', 1, 's'), '') AS left_out
FROM read_csv(
    ?, auto_detect = false, header = true, delim = ',', quote = '"', escape = '"',
    columns = {{{_COLUMNS}}}
)
WHERE included = 'false' AND missing::BIGINT > 0 AND usable::BIGINT + from_below::BIGINT > 0
"""  # noqa: S608


def find_missed(catalog: Path, known: Collection[int], most: int = 50) -> Missed | None:
    """The taxa of a catalog that lack a few photographs; None where it does not tell.

    Args:
        catalog: its folder; `eligibility.csv` in it is read.
        known: taxa that the release knows whatever this catalog has of them.
        most: how many to name.

    Raises UserError when the table is damaged.
    """
    table = catalog / "eligibility.csv"
    if not table.is_file():
        return None
    with reading_parquet(table, "ingest") as connection:
        connection.register("known", {"taxon_id": np.array(sorted(known), np.int64)})
        connection.execute(_TOO_FEW, [str(table)])
        connection.execute("DELETE FROM missed WHERE taxon_id IN (SELECT taxon_id FROM known)")
        rows = connection.execute(
            "SELECT * FROM missed ORDER BY missing, photographs DESC, name, taxon_id LIMIT ?",
            [most],
        ).fetchall()
        (total,) = connection.execute("SELECT count(*) FROM missed").fetchone() or (0,)
    return Missed(tuple(MissedTaxon(*row) for row in rows), int(total))
