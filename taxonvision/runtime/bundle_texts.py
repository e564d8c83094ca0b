"""The tables and texts of a bundle, read no more leniently than readers in other languages do."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from taxonvision.errors import UserError
from taxonvision.taxonomy.tree import Taxon, Taxonomy

TAXONOMY_COLUMNS = (
    "parent_taxon_id", "taxon_id", "rank_level", "rank", "leaf_class_id", "name",
)  # fmt: skip
THRESHOLDS = "thresholds.csv"
THRESHOLD_COLUMNS = ("taxon_id", "threshold")
_MAX_WHOLE = 2**63 - 1  # taxon ids live in int64 arrays
# What readers in every language take for the same number; Python's own take " 1_0 " too.
_WHOLE = re.compile("0|-?[1-9][0-9]*")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def whole(value: Any) -> int:
    """A whole number of 64 bits, or its digits; ValueError for anything else."""
    number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if type(number) is not int or abs(number) > _MAX_WHOLE:
        raise ValueError(f"{value!r} is no whole number of 64 bits")
    return number


def read_json(content: bytes, source: str) -> Any:
    """The value in a JSON text; UserError where it is none."""
    try:
        # As text: of bytes, Python would take UTF-16 too, which is not what other readers expect.
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_without_twins)
        # Python reads more than JSON: NaN and halves of surrogate pairs, which cannot be printed.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        reason = type(error).__name__ if isinstance(error, RecursionError) else str(error)[:200]
        raise UserError(f"{source} is no JSON: {reason}") from None
    return value


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of an object; of two of one name, readers would take either."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise ValueError(f"{name!r} stands in it twice")
        fields[name] = value
    return fields


def read_names(content: bytes, source: str) -> dict[int, str]:
    """Common names by taxon id, from `names/<language>.json`; UserError where it is none."""
    value = read_json(content, source)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        raise UserError(f"{source} does not hold a name for each taxon id")
    try:
        return {whole(taxon_id): name for taxon_id, name in value.items()}
    except ValueError as error:
        raise UserError(f"{source}: {str(error)[:200]}") from None


def read_thresholds(content: bytes, source: Path) -> dict[int, float]:
    """Thresholds, fractions of 1, by taxon id; UserError where thresholds.csv is garbled."""
    where = f"{source}: {THRESHOLDS}"
    found: dict[int, float] = {}
    try:
        rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
        header = next(rows, [])
        if tuple(header) != THRESHOLD_COLUMNS:
            raise ValueError(f"its columns are not {','.join(THRESHOLD_COLUMNS)}: {header}")
        for cells in rows:
            taxon_id, threshold = _threshold(cells)
            if taxon_id in found:  # of two, readers would take either
                raise ValueError(f"taxon {taxon_id} stands in it twice")
            found[taxon_id] = threshold
    except (ValueError, csv.Error) as error:
        raise UserError(f"{where} cannot be read: {str(error)[:200]}") from None
    return found


def _threshold(cells: Sequence[str]) -> tuple[int, float]:
    """A row of thresholds.csv; ValueError when it is garbled."""
    if len(cells) != len(THRESHOLD_COLUMNS) or not _NUMBER.fullmatch(cells[1]):
        raise ValueError(f"a row holds no taxon id and number: {cells}")
    threshold = float(cells[1])
    if not 0 <= threshold <= 1:
        raise ValueError(f"a threshold is no fraction of 1: {cells}")
    return whole(cells[0]), threshold


def read_taxa(content: bytes, source: Path) -> tuple[Taxonomy, tuple[int, ...]]:
    """The tree in taxonomy.csv, and the taxon id of each output; UserError where it is garbled."""
    where = f"{source}: taxonomy.csv"
    taxa = []
    outputs: list[tuple[int, int]] = []
    try:
        rows = csv.DictReader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
        for row in rows:
            taxon, output = _taxon(row)
            taxa.append(taxon)
            if output is not None:
                outputs.append((output, taxon.taxon_id))
    except KeyError as error:
        raise UserError(f"{where} has no column {error}") from None
    except (ValueError, csv.Error) as error:
        raise UserError(f"{where} cannot be read: {str(error)[:200]}") from None
    outputs.sort()
    if [output for output, _ in outputs] != list(range(len(outputs))):
        raise UserError(f"{where}: the leaf_class_ids do not count 0, 1, 2 ...")
    return Taxonomy(taxa, where), tuple(taxon_id for _, taxon_id in outputs)


def _taxon(row: Mapping[str, str]) -> tuple[Taxon, int | None]:
    """A row's taxon and the position of its output; ValueError or KeyError when it is garbled."""
    cells = {column: row[column] for column in TAXONOMY_COLUMNS}
    if None in row or None in row.values():  # where DictReader puts cells too many and too few
        raise ValueError(f"a row has not as many cells as the header: {list(cells.values())}")
    parent, output = cells["parent_taxon_id"], cells["leaf_class_id"]
    name, level = cells["name"].strip(), cells["rank_level"]
    if len(name.splitlines()) != 1 or len(cells["rank"].splitlines()) > 1:
        raise ValueError(f"a row lacks a name of one line, or a rank: {list(cells.values())}")
    if not _NUMBER.fullmatch(level) or not math.isfinite(float(level)):
        raise ValueError(f"a row lacks a rank_level: {list(cells.values())}")
    taxon = Taxon(
        taxon_id=whole(cells["taxon_id"]),
        parent_taxon_id=whole(parent) if parent else None,
        rank=cells["rank"],
        name=name,
        rank_level=float(level),
    )
    return taxon, whole(output) if output else None
