"""The chain of releases a model comes from, as its `model.json` tells it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.errors import UserError
from taxonvision.models.directory import MANIFEST, SCHEMA_VERSION
from taxonvision.storage import read_manifest
from taxonvision.text import one_line

_FIELDS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "version": (str, int),
    "fingerprint": str,
}
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class GateRecord:
    """What the gate said of a release: `loss` is a fraction, None where it could not judge."""

    passed: bool
    forced: bool
    loss: float | None


@dataclass(frozen=True)
class PastRelease:
    """One release of a chain; what a `model.json` does not tell is None.

    Attributes:
        name: what the model called itself.
        version: 1, 2, 3 ... as text.
        fingerprint: of its weights and classes.
        made_on: the day it was made, in ISO 8601.
        active: how many taxa it can name.
        retired: how many more classes it keeps that it no longer names.
        changes: what happened to taxa since the release before, counted by kind.
        gate: what the gate said.
        catalog: fingerprint of the catalog it was made from.
    """

    name: str
    version: str
    fingerprint: str
    made_on: str | None = None
    active: int | None = None
    retired: int | None = None
    changes: Mapping[str, int] | None = None
    gate: GateRecord | None = None
    catalog: str | None = None


def read_lineage(folder: Path) -> list[PastRelease]:
    """The releases of a model directory, oldest first, the model itself last.

    Only `model.json` is read. Raises UserError when the folder is no model or what is told of a
    release is damaged.
    """
    manifest = read_manifest(folder, MANIFEST, "model", "train", SCHEMA_VERSION, _FIELDS)
    path = folder / MANIFEST
    ancestors = manifest.get("lineage", [])
    if not isinstance(ancestors, list):
        raise UserError(f"{path}: lineage must be a list; {_CURE}")
    chain = [_release(value, f"{path}, lineage[{i}]") for i, value in enumerate(ancestors)]
    itself = _release(manifest.get("release", manifest), f"{path}, release")
    if itself.fingerprint != manifest["fingerprint"]:
        raise UserError(f"{path}: release tells of another model than this one; {_CURE}")
    return [*chain, itself]


_CURE = "the file is damaged: take it from a copy, or make the model again"


def _release(value: Any, where: str) -> PastRelease:
    """One entry, checked; `where` begins the sentence about what is wrong."""
    if not isinstance(value, dict):
        raise UserError(f"{where} must be an object; {_CURE}")
    for field, kinds in _FIELDS.items():
        if not _is(value.get(field), kinds):
            raise UserError(f"{where}: {field} is missing or no text; {_CURE}")
    for field in ("made_on", "catalog"):
        if not _is(value.get(field), (str, type(None))):
            raise UserError(f"{where}: {field} must be text; {_CURE}")
    classes = _counts(value, "classes", where) or {}
    return PastRelease(
        name=one_line(value["name"]),
        version=one_line(str(value["version"])),
        fingerprint=value["fingerprint"],
        made_on=_day(value.get("made_on"), where),
        active=classes.get("active"),
        retired=classes.get("retired"),
        changes=_counts(value, "changes", where),
        gate=_gate(value.get("gate"), where),
        catalog=value.get("catalog"),
    )


def _is(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value is of a type; true and false are no numbers."""
    return isinstance(value, kinds) and not isinstance(value, bool)


def _day(text: str | None, where: str) -> str | None:
    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise UserError(f"{where}: made_on must be a date, not {text[:20]!r}; {_CURE}") from None


def _counts(value: Mapping[str, Any], field: str, where: str) -> dict[str, int] | None:
    """How many of each kind; None where it is not told."""
    counts = value.get(field)
    if counts is None:
        return None
    if not isinstance(counts, dict) or not all(
        _is(count, int) and 0 <= count <= _LARGEST for count in counts.values()
    ):
        raise UserError(f"{where}: {field} must be whole numbers by kind; {_CURE}")
    return {one_line(kind): count for kind, count in counts.items()}


def _gate(value: Any, where: str) -> GateRecord | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not (
        isinstance(value.get("passed"), bool)
        and isinstance(value.get("forced", False), bool)
        and _is(value.get("loss"), (int, float, type(None)))
        and -1 <= (value.get("loss") or 0) <= 1  # and no NaN
    ):
        raise UserError(f"{where}: gate must have passed, forced and loss, a fraction; {_CURE}")
    return GateRecord(value["passed"], value.get("forced", False), value.get("loss"))
