"""Chosen thresholds as a table: what `thresholds` writes and `export` reads."""

from __future__ import annotations

from pathlib import Path

from taxonvision.errors import AlreadyDone, UserError
from taxonvision.evaluation.thresholds import TaxonThreshold
from taxonvision.storage import place_of_file, replacing_file
from taxonvision.tables import Row, read_csv, taxon_id_in, write_csv

COLUMNS = (
    "taxon_id", "name", "rank", "rank_level", "threshold", "photographs", "named", "precision",
    "from",
)  # fmt: skip


def write_thresholds(path: Path, chosen: list[TaxonThreshold], *, overwrite: bool) -> None:
    """Write a table with one row a taxon.

    Raises AlreadyDone where the same table stands there, and UserError where anything else does
    and `overwrite` is false.
    """
    path = place_of_file(path)
    with replacing_file(path) as partial:
        write_csv(partial, COLUMNS, (_row(one) for one in chosen))
        if path.exists() and not overwrite:
            if path.read_bytes() == partial.read_bytes():
                raise AlreadyDone(str(path))
            raise UserError(
                f"{path} exists and holds something else; choose another --out or add --overwrite"
            )


def read_chosen(path: Path) -> dict[int, float]:
    """Thresholds by taxon id, from the columns `taxon_id` and `threshold` of a table.

    Raises UserError, with file and line, for a missing table or column, a taxon that stands in it
    twice, and what is no fraction of 1.
    """
    thresholds: dict[int, float] = {}
    for row in read_csv(path, ("taxon_id", "threshold")):
        taxon_id = taxon_id_in(row, "taxon_id", path)
        if taxon_id in thresholds:
            raise UserError(f"{path}, line {row.line}: taxon {taxon_id} is there twice")
        thresholds[taxon_id] = _fraction_in(row, path)
    return thresholds


def _row(one: TaxonThreshold) -> tuple[object, ...]:
    taxon, tally = one.taxon, one.tally
    precision = "" if tally.precision is None else f"{tally.precision:.4f}"
    return (
        taxon.taxon_id, taxon.name, taxon.rank, f"{taxon.rank_level:g}", one.threshold,
        tally.photographs, tally.named, precision, one.origin,
    )  # fmt: skip


def _fraction_in(row: Row, path: Path) -> float:
    try:
        value = float(row["threshold"])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:  # neither is NaN
        raise UserError(
            f"{path}, line {row.line}: threshold must be a fraction of 1, not {row['threshold']!r}"
        )
    return value
