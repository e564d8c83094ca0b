"""Darwin Core archives: what `meta.xml` says of the tables in a folder or zip.

Format: dwc.tdwg.org/text (core and extensions, fields by index, defaults).
"""

from __future__ import annotations

import contextlib
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element

from taxonvision.catalog.sources.delimited import read_header
from taxonvision.catalog.sources.dwc_tables import TermTable
from taxonvision.catalog.sources.records import Dialect
from taxonvision.catalog.sources.unzip import member_names, unpack
from taxonvision.catalog.sources.xml_elements import elements, local_name
from taxonvision.errors import UserError
from taxonvision.text import one_line

META = "meta.xml"
_KEY = "core id"  # the column that ties tables together, where it has no term
_OCCURRENCE = "http://rs.tdwg.org/dwc/terms/Occurrence"
_MEDIA = (
    "http://rs.gbif.org/terms/1.0/Multimedia",
    "http://rs.tdwg.org/ac/terms/Multimedia",
    "http://rs.gbif.org/terms/1.0/Image",
)
_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
_ESCAPES = {r"\t": "\t", r"\n": "\n", r"\r": "\r"}
_MOST_FIELDS = 10_000


@dataclass(frozen=True)
class Archive:
    """The occurrences and the tables of media about them."""

    core: TermTable
    media: tuple[TermTable, ...]


def find_meta(path: Path) -> str | None:
    """The place of `meta.xml` in a folder or zip, at the top or in its only folder; or None."""
    if path.is_dir():
        names: Iterable[str] = (p.relative_to(path).as_posix() for p in path.glob(f"*/{META}"))
        names = [META] if (path / META).is_file() else list(names)
    else:
        names = [n for n in member_names(path) if PurePosixPath(n).name == META]
    tops = sorted((n for n in names if n.count("/") < 2), key=lambda n: n.count("/"))
    return tops[0] if tops else None


def read_archive(path: Path, meta: str, unpacked: Path) -> Archive:
    """Read `meta` in a folder or zip; of a zip what it names is unpacked into `unpacked`.

    Raises UserError for what is no archive of occurrences, or is written in a way not read here.
    """
    described = _fetch(path, meta, unpacked)
    core: TermTable | None = None
    media = []
    for line, element in elements(described, "archive"):
        kind = local_name(element.tag)
        row_type = element.get("rowType", "")
        where = f"{path}: {META}, line {line}"
        if kind == "core" and row_type == _OCCURRENCE:
            core = _table(path, meta, unpacked, element, where)
        elif kind == "core":
            raise UserError(
                f"{where}: the core is {one_line(row_type)[:100] or 'nothing'}, not Occurrence: "
                "the archive lists no observations"
            )
        elif kind == "extension" and row_type in _MEDIA:
            media.append(_table(path, meta, unpacked, element, where))
    if core is None:
        raise UserError(f"{path}: {META} describes no core")
    return Archive(core, tuple(media))


def _fetch(path: Path, name: str, unpacked: Path) -> Path:
    """The place of a file of the archive; UserError where there is none."""
    if path.is_dir():
        if not (path / name).is_file():
            raise UserError(f"{path} lacks {name}, which {META} names")
        return path / name
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            raise UserError(f"{path} lacks {name}, which {META} names")
    return unpack(path, name, unpacked)


def _table(path: Path, meta: str, unpacked: Path, element: Element, where: str) -> TermTable:
    locations = [e.text or "" for e in element.iter() if local_name(e.tag) == "location"]
    if len(locations) != 1:
        raise UserError(f"{where}: a table must be in one file, not {len(locations)}")
    location = PurePosixPath(locations[0].strip())
    if location.is_absolute() or ".." in location.parts or not location.name:
        raise UserError(f"{where}: {one_line(locations[0])[:100]!r} is no file of the archive")
    file = _fetch(path, (PurePosixPath(meta).parent / location).as_posix(), unpacked)
    dialect = _dialect(element, where)
    terms, defaults = _terms(element, where)
    key = "id" if local_name(element.tag) == "core" else "coreid"
    keys = [_index(e, where) for e in element if local_name(e.tag) == key]
    if len(keys) != 1 or keys[0] is None:
        raise UserError(f"{where}: there must be one <{key} index=...>")
    described = max([keys[0], *terms]) + 1
    width = _width(file, dialect, described)
    if width < described:
        raise UserError(f"{file}, line 1: {width} columns, but {META} describes column {described}")
    terms.setdefault(keys[0], _KEY)
    columns = tuple(terms.get(index, f"column {index}") for index in range(width))
    return TermTable(file, dialect, columns, terms[keys[0]], defaults)


def _width(file: Path, dialect: Dialect, described: int) -> int:
    """How many columns a table has, by its header, else by its first row."""
    if dialect.header_lines == 1:
        return len(read_header(file, dialect))
    with contextlib.suppress(UserError):  # a row as bad as others, or no row at all
        row = read_header(file, replace(dialect, header_lines=dialect.header_lines + 1))
        return max(len(row), described)
    return described


def _terms(element: Element, where: str) -> tuple[dict[int, str], dict[str, str]]:
    """The terms by column, and the defaults by term."""
    terms: dict[int, str] = {}
    defaults: dict[str, str] = {}
    for child in element:
        if local_name(child.tag) != "field":
            continue
        term = re.split("[/#]", child.get("term", ""))[-1]
        index = _index(child, where)
        if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", term):  # names of columns in SQL
            continue
        if index is not None:
            terms.setdefault(index, term)
        if default := child.get("default"):
            defaults[term] = default
    return terms, defaults


def _index(element: Element, where: str) -> int | None:
    text = element.get("index")
    if text is None:
        return None
    if not text.isdecimal() or int(text) >= _MOST_FIELDS:
        raise UserError(f"{where}: index must be the number of a column, not {text[:60]!r}")
    return int(text)


def _dialect(element: Element, where: str) -> Dialect:
    def said(name: str, default: str) -> str:
        text = element.get(name, default)
        return "".join(_ESCAPES.get(part, part) for part in re.split(r"(\\[tnr])", text))

    encoding = said("encoding", "UTF-8")
    if encoding.lower() not in _UTF8:
        raise UserError(f"{where}: tables in {encoding[:40]} are not read; save them as UTF-8")
    if said("linesTerminatedBy", "\n") not in ("\n", "\r\n"):
        raise UserError(f"{where}: linesTerminatedBy must be \\n or \\r\\n")
    delimiter, quote = said("fieldsTerminatedBy", ","), said("fieldsEnclosedBy", '"')
    if len(delimiter.encode()) != 1 or len(quote.encode()) > 1 or delimiter == quote:
        raise UserError(
            f"{where}: fieldsTerminatedBy must be one character, fieldsEnclosedBy one or none"
        )
    header = said("ignoreHeaderLines", "0") or "0"
    if not header.isdecimal() or int(header) > 100:
        raise UserError(f"{where}: ignoreHeaderLines must be a small number, not {header[:40]!r}")
    return Dialect(delimiter, quote, int(header))
