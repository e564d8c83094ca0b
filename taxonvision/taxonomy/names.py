"""Common names of taxa by language, `names.csv`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from taxonvision.tables import integer, read_csv, write_csv

COLUMNS = ("taxon_id", "language", "name")
Names = Mapping[str, Mapping[int, str]]
"""Language code (`en`, `de`, ...) to taxon id to common name."""


def read_names(path: Path) -> dict[str, dict[int, str]]:
    """The common names in a `names.csv`, by language and taxon id."""
    names: dict[str, dict[int, str]] = {}
    for row in read_csv(path, COLUMNS):
        by_taxon = names.setdefault(row["language"], {})
        by_taxon[integer(row, "taxon_id", path)] = row["name"]
    return names


def write_names(path: Path, names: Names) -> None:
    """Write `names.csv`, ordered by language and taxon id."""
    write_csv(
        path,
        COLUMNS,
        (
            (taxon_id, language, name)
            for language, by_taxon in sorted(names.items())
            for taxon_id, name in sorted(by_taxon.items())
        ),
    )
