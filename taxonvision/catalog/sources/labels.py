"""A table of labels: the class of each photograph and what else is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taxonvision.catalog.class_taxa import ClassPath
from taxonvision.catalog.sources.circumstances import date_in, degrees_in
from taxonvision.catalog.splits import split_named
from taxonvision.catalog.staging import ListedPhoto, Reject
from taxonvision.errors import UserError
from taxonvision.tables import Row, read_csv

_DETAILS = ("observation_id", "observer", "site", "location", "observed_on", "latitude",
            "longitude", "license", "attribution")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Labelled:
    """A photograph with the names of its class; the taxon is not yet known."""

    names: ClassPath
    photo: ListedPhoto


@dataclass(frozen=True)
class Labels:
    """The photographs of a table of labels; rows and files listed nowhere are each in here once.

    Attributes:
        photos: in the order of the table; a row that says again what another said is left out as a
            duplicate.
        rejects: rows that cannot be used.
        paths: all paths that the table names.
    """

    photos: list[Labelled]
    rejects: list[Reject]
    paths: frozenset[str]


def read_labels(table: Path, faults: Mapping[str, str | None]) -> Labels:
    """Read `file`, `class` or `label`, and where known `split` and the columns of `_DETAILS`.

    Args:
        table: the table; `file` is relative to the folder of photographs.
        faults: of every file in that folder what is wrong with it, None where nothing is.

    Raises:
        UserError: the table cannot be used, or a split is none.
    """
    rows = read_csv(table, ("file",))
    if not rows:
        raise UserError(f"{table} has no line after its header")
    class_column = "class" if "class" in rows[0] else "label"
    if class_column not in rows[0]:
        raise UserError(f"{table} has no column class or label; it has: {', '.join(rows[0])}")
    photos: list[Labelled] = []
    rejects: list[Reject] = []
    said_before: dict[str, tuple[int, tuple[str | None, ...]]] = {}
    for row in rows:
        path = PurePosixPath(row["file"]).as_posix()
        split = split_named(row.get("split", ""))
        if row.get("split") and split is None:
            raise UserError(
                f"{table}, line {row.line}: split must be train, val or test, not {row['split']!r}"
            )
        name = row[class_column]
        said = (name, split, *(row.get(column, "") for column in _DETAILS))
        where = f"{table.name}, line {row.line}"
        line, before = said_before.setdefault(path, (row.line, said))
        if not name:
            rejects.append(Reject(path, f"{where}: no {class_column}"))
        elif line == row.line:
            fault = faults.get(path, f"{where}: no such photograph below --input")
            photos.append(Labelled((name,), _photo(row, path, split, fault, where)))
        elif before == said:
            duplicate = ListedPhoto(path, path, None, split, left_out="duplicate")
            photos.append(Labelled((name,), duplicate))
        else:
            reason = f"{where}: listed before, in line {line}, and otherwise"
            rejects.append(Reject(path, reason))
    return Labels(photos, rejects, frozenset(said_before))


def _photo(row: Row, path: str, split: str | None, fault: str | None, where: str) -> ListedPhoto:
    """The photograph of a row; what the row says wrongly of it makes it faulty."""
    latitude = longitude = observed_on = None
    try:
        latitude = degrees_in(row.get("latitude"), "latitude")
        longitude = degrees_in(row.get("longitude"), "longitude")
        observed_on = date_in(row.get("observed_on", ""), "observed_on")
    except ValueError as error:
        fault = fault or f"{where}: {error}"
    return ListedPhoto(
        photo_id=path,
        path=path,
        taxon_id=None,
        split=split,
        license=row.get("license") or None,
        attribution=row.get("attribution") or None,
        fault=fault,
        observation_id=row.get("observation_id") or None,
        observer=row.get("observer") or None,
        site=row.get("site") or row.get("location") or None,
        latitude=latitude,
        longitude=longitude,
        observed_on=observed_on,
    )
