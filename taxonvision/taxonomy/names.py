"""Common names of taxa by language, `names.csv`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from taxonvision.errors import UserError
from taxonvision.tables import read_csv, taxon_id_in, write_csv
from taxonvision.text import one_line

LANGUAGE = re.compile("[A-Za-z][A-Za-z0-9_-]*")  # becomes the name of a file in a bundle
COLUMNS = ("taxon_id", "language", "name")
Names = Mapping[str, Mapping[int, str]]
"""Language code (`en`, `de`, ...) to taxon id to common name."""


def read_names(path: Path) -> dict[str, dict[int, str]]:
    """The common names in a `names.csv`, by language and taxon id."""
    names: dict[str, dict[int, str]] = {}
    for row in read_csv(path, COLUMNS):
        if not LANGUAGE.fullmatch(row["language"]):
            raise UserError(
                f"{path}, line {row.line}: a language is a code as en or de, "
                f"not {row['language']!r}"
            )
        by_taxon = names.setdefault(row["language"], {})
        by_taxon[taxon_id_in(row, "taxon_id", path)] = one_line(row["name"])
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
