"""Answers as JSON, JSON lines, CSV and rows of a table, photograph by photograph."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taxonvision.photograph import PhotographError
from taxonvision.runtime.answer import Answer, Suggestion
from taxonvision.tables import csv_lines
from taxonvision.text import of_path

Named = tuple[Path, Answer | PhotographError]
"""A photograph and what is said of it, or why it cannot be read."""

COLUMNS = {
    "photo": "VARCHAR",
    "place": "INTEGER",
    "taxon_id": "BIGINT",
    "name": "VARCHAR",
    "common_name": "VARCHAR",
    "rank": "VARCHAR",
    "score": "DOUBLE",
    "error": "VARCHAR",
    "known": "BOOLEAN",
    "sure_taxon_id": "BIGINT",
    "sure_name": "VARCHAR",
    "common_ancestor_taxon_id": "BIGINT",
    "common_ancestor_name": "VARCHAR",
}
"""Names and DuckDB's types of a table with one row a suggestion, or one a broken photograph."""


@dataclass(frozen=True)
class TextFormat:
    """A text made of `head`, one `entry` a photograph with `between` them, and `tail`."""

    entry: Callable[[Named], str]
    head: str = ""
    between: str = ""
    tail: str = ""

    def text(self, answers: Iterable[Named]) -> Iterator[str]:
        """The text piece by piece; the first comes with the first answer."""
        before = self.head
        for each in answers:
            yield before + self.entry(each)
            before = self.between
        yield self.tail


def rows_of(named: Named) -> Iterator[tuple[Any, ...]]:
    """The rows of a photograph, with the columns `COLUMNS` and None where there is nothing."""
    path, answer = named
    photo = of_path(path)
    if isinstance(answer, PhotographError):
        yield photo, None, None, None, None, None, None, str(answer), *[None] * 5
        return
    whole = answer.known, *_id_and_name(answer.sure), *_id_and_name(answer.common_ancestor)
    for place, suggestion in enumerate(answer.suggestions, start=1):
        yield photo, place, *_as_json(suggestion).values(), None, *whole


def _id_and_name(found: Suggestion | None) -> tuple[int | None, str | None]:
    return (found.taxon.taxon_id, found.taxon.name) if found else (None, None)


def _as_value(named: Named) -> dict[str, Any]:
    path, answer = named
    if isinstance(answer, PhotographError):
        return {"photo": of_path(path), "error": str(answer)}
    return {
        "photo": of_path(path),
        "known": answer.known,
        "sure": _as_json(answer.sure) if answer.sure else None,
        "common_ancestor": _as_json(answer.common_ancestor) if answer.common_ancestor else None,
        "suggestions": [_as_json(s) for s in answer.suggestions],
        "branch": [_as_json(s) for s in answer.branch],
    }


def _as_json(suggestion: Suggestion) -> dict[str, Any]:
    taxon = suggestion.taxon
    return {
        "taxon_id": taxon.taxon_id,
        "name": taxon.name,
        "common_name": suggestion.common_name,
        "rank": taxon.rank,
        "score": round(suggestion.score, 6),
    }


def _element(named: Named) -> str:
    """A photograph's object as it stands in an array with an indent of two."""
    text = json.dumps(_as_value(named), indent=2, ensure_ascii=False)
    return "  " + text.replace("\n", "\n  ")  # line breaks in strings are escaped


def _line(named: Named) -> str:
    return json.dumps(_as_value(named), ensure_ascii=False) + "\n"


def _csv_rows(named: Named) -> str:
    return csv_lines([[_cell(value) for value in row] for row in rows_of(named)])


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


TEXT_FORMATS = {
    "json": TextFormat(_element, head="[\n", between=",\n", tail="\n]\n"),
    "jsonl": TextFormat(_line),
    "csv": TextFormat(_csv_rows, head=",".join(COLUMNS) + "\n"),
}
