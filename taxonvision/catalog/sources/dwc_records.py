"""Darwin Core as XML: a SimpleDarwinRecordSet, as iNaturalist's observations come with `.dwc`.

Each record has the terms of an occurrence; its data objects (EOL's extension) are its media.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from taxonvision.catalog.sources.dwc_tables import Loaded
from taxonvision.catalog.sources.xml_elements import elements, local_name
from taxonvision.catalog.staging import Staging
from taxonvision.progress import working
from taxonvision.text import one_line

ROOT = "SimpleDarwinRecordSet"
_RECORD, _MEDIUM = "SimpleDarwinRecord", "dataObject"
_KEYS = ("occurrenceID", "catalogNumber", "references")
_KEY = "occurrence id"
_CHUNK = 20_000


def load_records(
    staging: Staging, path: Path, core: tuple[str, Sequence[str]], media: tuple[str, Sequence[str]]
) -> tuple[Loaded, Loaded]:
    """Fill two tables, each given by name and terms: the records and their data objects.

    A record is named by its occurrenceID, catalogNumber or references. UserError for what is no
    such document.
    """
    for name, terms in (core, media):
        columns = ", ".join(f'"{column}" VARCHAR' for column in (_KEY, *terms))
        staging.connection.execute(f"CREATE OR REPLACE TABLE {name} ({columns}, line BIGINT)")
    records, objects = _Rows(staging, *core), _Rows(staging, *media)
    with working(f"reading {path.name}"):
        for line, record in elements(path, ROOT):
            if local_name(record.tag) != _RECORD:
                continue
            cells = _cells(record)
            key = next((cells[term] for term in _KEYS if term in cells), None)
            records.add(key, cells, line)
            for element in record:
                if local_name(element.tag) == _MEDIUM:
                    objects.add(key, _cells(element), line)
        records.flush()
        objects.flush()
    return (
        Loaded(core[0], _KEY, records.count, path, path.name),
        Loaded(media[0], _KEY, objects.count, path, f"{path.name}: {_MEDIUM}"),
    )


class _Rows:
    """Rows on their way into a table, many at once."""

    def __init__(self, staging: Staging, name: str, terms: Sequence[str]) -> None:
        self._connection = staging.connection
        self._name = name
        self._terms = terms
        self._rows: list[list[object]] = []
        self.count = 0

    def add(self, key: str | None, cells: dict[str, str], line: int) -> None:
        self._rows.append([key, *(cells.get(term) for term in self._terms), line])
        self.count += 1
        if len(self._rows) == _CHUNK:
            self.flush()

    def flush(self) -> None:
        if not self._rows:
            return
        columns = {}
        for name, values in zip((_KEY, *self._terms), zip(*self._rows, strict=True), strict=False):
            columns[name] = np.array(values, dtype=object)
        columns["line"] = np.array([row[-1] for row in self._rows], np.int64)
        self._connection.register("chunk", columns)
        self._connection.execute(f"INSERT INTO {self._name} BY NAME SELECT * FROM chunk")  # noqa: S608
        self._connection.unregister("chunk")
        self._rows.clear()


def _cells(element: Element) -> dict[str, str]:
    """The filled simple children by name, the first of each."""
    cells: dict[str, str] = {}
    for child in element:
        text = one_line(child.text or "")
        if text and not len(child):
            cells.setdefault(local_name(child.tag), text)
    return cells
