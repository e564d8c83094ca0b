"""Checks files and a model against what the iNaturalist and Seek apps can read.

It splits lines at every comma and knows no quotes, as the apps do, and takes the files as hostile.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from taxonvision.export.inat import (
    COLUMNS,
    COMMON_NAMES,
    LARGEST_ID,
    LIFE,
    SIZE,
    TAXONOMY_CSV,
    TAXONOMY_JSON,
)
from taxonvision.export.inat_names import check_names
from taxonvision.runtime.probabilities import are_shares
from taxonvision.runtime.tflite import Tensor

_FILES = (TAXONOMY_CSV, TAXONOMY_JSON, COMMON_NAMES)
_MAX_BYTES = 2**28  # a million taxa and names stay below
_ID = re.compile("[1-9][0-9]{0,9}")
_LEVEL = re.compile(r"(0|[1-9][0-9]{0,2})(\.[0-9]{0,3}[1-9])?")

Row = Mapping[str, str]


class Described(Protocol):
    """A model as the apps see it; `runtime.tflite.TFLiteModel` is one."""

    input: Tensor
    output: Tensor


def check_inat(folder: Path, model: Described, scores: np.ndarray | None = None) -> list[str]:
    """Say in a sentence each what the apps could not read in a folder that `write_inat` wrote.

    Args:
        folder: with `taxonomy.csv`, `taxonomy.json` and `commonNames.tar.gz`.
        model: the model beside it.
        scores: what it answers, float32 [n, N], which must be shares of 1; None: not looked at.
    """
    contents = {}
    for name in _FILES:
        path = folder / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= _MAX_BYTES:
            contents[name] = path.read_bytes()
    return check_contents(contents, model, scores)


def check_contents(
    contents: Mapping[str, bytes], model: Described, scores: np.ndarray | None = None
) -> list[str]:
    """The same for files that have been read, by their names in `inat/`."""
    findings = [f"{name} is missing or no file" for name in _FILES if name not in contents]
    rows: list[Row] | None = None
    if TAXONOMY_CSV in contents:
        rows, found = _read_rows(contents[TAXONOMY_CSV])
        findings += found
    if rows is not None:
        findings += _check_tree(rows)
        if TAXONOMY_JSON in contents:
            findings += _check_json(contents[TAXONOMY_JSON], rows)
        if COMMON_NAMES in contents:
            taxon_ids = {int(row["taxon_id"]) for row in rows}
            findings += [
                f"{COMMON_NAMES} {f}" for f in check_names(contents[COMMON_NAMES], taxon_ids)
            ]
    findings += _check_model(model, rows, scores)
    return findings


def _read_rows(content: bytes) -> tuple[list[Row] | None, list[str]]:
    """The rows, or None where they cannot be told apart; and what is wrong with single values."""
    try:
        lines = content.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return None, [f"{TAXONOMY_CSV} is not UTF-8"]
    if lines[-1] == "":
        lines.pop()
    if not lines or lines[0] != ",".join(COLUMNS):
        return None, [f"{TAXONOMY_CSV} does not begin with the columns {','.join(COLUMNS)}"]
    cells = [line.split(",") for line in lines[1:]]
    uneven = [number for number, each in enumerate(cells, 2) if len(each) != len(COLUMNS)]
    if uneven:
        return None, _first(f"{TAXONOMY_CSV}, line {n}: not 8 cells between commas" for n in uneven)
    rows: list[Row] = [dict(zip(COLUMNS, each, strict=True)) for each in cells]
    findings = [f"{TAXONOMY_CSV} has no taxon"] if not rows else []
    for column, (allowed, kind) in _VALUES.items():
        wrong = (n for n, row in enumerate(rows, 2) if not allowed(row[column]))
        findings += _first(f"{TAXONOMY_CSV}, line {n}: {column} must be {kind}" for n in wrong)
    return (None if findings else rows), findings


def _is_id(text: str) -> bool:
    return bool(_ID.fullmatch(text)) and int(text) <= LARGEST_ID


_VALUES: Mapping[str, tuple[Callable[[str], object], str]] = {
    "parent_taxon_id": (lambda t: not t or _is_id(t), f"empty or from 1 to {LARGEST_ID}"),
    "taxon_id": (_is_id, f"a whole number from 1 to {LARGEST_ID}"),
    "rank_level": (_LEVEL.fullmatch, "a number such as 20 or 33.5"),
    "leaf_class_id": (lambda t: t in ("", "0") or _is_id(t), "empty or a whole number"),
    "iconic_class_id": (lambda t: not t, "empty"),
    "spatial_class_id": (lambda t: not t, "empty"),
    "geo_threshold": (lambda t: not t, "empty"),
    "name": (
        # Java ends a line at a carriage return, too, and cuts blanks off.
        lambda t: t and t == t.strip() and not re.search('["\x00-\x1f\x85\u2028\u2029]', t),
        "a name without quotes, line breaks and outer blanks",
    ),
}


def _check_tree(rows: Sequence[Row]) -> list[str]:
    parents = {row["taxon_id"]: row["parent_taxon_id"] for row in rows}
    times = Counter(row["taxon_id"] for row in rows)
    inner = set(parents.values()) - {""}
    leaves = {row["taxon_id"]: row["leaf_class_id"] for row in rows if row["leaf_class_id"]}
    outputs = sorted(int(row["leaf_class_id"]) for row in rows if row["leaf_class_id"])
    findings = _first(f"taxon {t} is listed twice" for t, count in times.items() if count > 1)
    if str(LIFE) in parents or str(LIFE) in inner:
        findings.append(f"Life ({LIFE}) is named; the apps add it themselves")
    findings += _first(
        f"the parent {parent} of taxon {t} is not listed"
        for t, parent in parents.items()
        if parent and parent not in parents and parent != str(LIFE)
    )
    findings += _first(f"taxon {t} is among its own ancestors" for t in _cyclic(parents))
    findings += _first(
        f"taxon {t} has neither children nor a leaf_class_id"
        for t in parents
        if t not in inner and t not in leaves
    )
    findings += _first(
        f"taxon {t} has children and a leaf_class_id, whose score would be lost"
        for t in leaves
        if t in inner
    )
    if outputs != list(range(len(outputs))):
        findings.append("the leaf_class_ids do not count 0, 1, 2 ... without a gap")
    return findings


def _cyclic(parents: Mapping[str, str]) -> list[str]:
    """Taxa from which no way leads up to a root or out of the table."""
    safe: set[str] = set()
    cyclic: list[str] = []
    for start in parents:
        path: dict[str, None] = {}
        current = start
        while current in parents and current not in safe and current not in path:
            path[current] = None
            current = parents[current]
        if current in path:
            cyclic.append(current)
        safe.update(path)
    return cyclic


def _check_json(content: bytes, rows: Sequence[Row]) -> list[str]:
    try:
        objects = json.loads(content)
    except (ValueError, RecursionError) as error:
        return [f"{TAXONOMY_JSON} is no JSON: {type(error).__name__}"]
    if not isinstance(objects, list) or len(objects) != len(rows):
        return [f"{TAXONOMY_JSON} is no list of {len(rows)} objects, as {TAXONOMY_CSV} has rows"]
    pairs = enumerate(zip(objects, rows, strict=True), 2)
    differing = [n for n, (found, row) in pairs if repr(found) != repr(_object(row))]
    return _first(f"{TAXONOMY_JSON} differs from line {n} of {TAXONOMY_CSV}" for n in differing)


def _object(row: Row) -> dict[str, Any]:
    """What stands for a row in the JSON; its `repr` tells 3 from 3.0."""
    level = row["rank_level"]
    values: dict[str, Any] = {
        column: int(text) if text else None for column, text in row.items() if column in _WHOLE
    }
    values |= {"rank_level": float(level) if "." in level else int(level), "name": row["name"]}
    return {column: values.get(column) for column in COLUMNS}


_WHOLE = ("parent_taxon_id", "taxon_id", "leaf_class_id")


def _check_model(
    model: Described, rows: Sequence[Row] | None, scores: np.ndarray | None
) -> list[str]:
    findings = []
    shape = (1, SIZE, SIZE, 3)
    if model.input.shape != shape or model.input.dtype != "float32":
        findings.append(
            f"the model reads {model.input.dtype} {list(model.input.shape)}, the apps give it "
            f"float32 {list(shape)}"
        )
    if (
        model.output.dtype != "float32"
        or len(model.output.shape) != 2
        or model.output.shape[0] != 1
    ):
        findings.append(
            f"the model answers {model.output.dtype} {list(model.output.shape)}, the apps want "
            "float32 [1, N]"
        )
    elif rows is not None:
        leaves = sum(bool(row["leaf_class_id"]) for row in rows)
        if model.output.shape[1] != leaves:
            findings.append(
                f"the model has {model.output.shape[1]} outputs, {TAXONOMY_CSV} {leaves} leaves"
            )
    if not findings and scores is not None and not all(map(are_shares, scores)):
        findings.append("the model's scores are no shares of 1; it must end in a softmax")
    return findings


def _first(sentences: Iterable[str]) -> list[str]:
    """The first sentence, and how many more there are."""
    found = list(sentences)
    if len(found) <= 1:
        return found
    return [f"{found[0]} (and {len(found) - 1} more like it)"]
