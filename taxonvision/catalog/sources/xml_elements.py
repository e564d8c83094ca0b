"""The elements below an XML document's root, one at a time, with their lines.

expat itself is driven, since ElementTree hides lines. A document that declares a type is refused:
entities, by which small files become huge or name other files, live there only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from taxonvision.catalog.sources.records import opened
from taxonvision.errors import UserError

_CHUNK = 2**16  # bytes
_DEEPEST = 20


class Line(NamedTuple):
    """An element and the line on which it begins."""

    number: int
    element: Element


def elements(path: Path, root: str) -> Iterator[Line]:
    """Yield the children of the root element, called `root` without namespace; names as `{uri}x`.

    Memory is that of one child. Raises UserError with file and line for what is no such document.
    """
    with opened(path) as file:
        reader = _Reader(path, root)
        while chunk := file.read(_CHUNK):
            yield from reader.feed(chunk)
        yield from reader.feed(b"", last=True)


def local_name(tag: str) -> str:
    """The name without namespace."""
    return tag.rpartition("}")[2]


class _Reader:
    def __init__(self, path: Path, root: str) -> None:
        self._path = path
        self._root = root
        self._depth = 0
        self._line = 0
        self._builder = TreeBuilder()
        self._done: list[Line] = []
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text

    def feed(self, chunk: bytes, last: bool = False) -> list[Line]:
        """The children that end in this part of the file."""
        try:
            self._parser.Parse(chunk, last)
        except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: encodings
            line = self._parser.CurrentLineNumber
            reason = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else error
            raise UserError(f"{self._path}, line {line}: not XML: {reason}") from None
        done, self._done = self._done, []
        return done

    def _refuse(self, reason: str) -> UserError:
        return UserError(f"{self._path}, line {self._parser.CurrentLineNumber}: {reason}")

    def _doctype(self, *declaration: object) -> None:
        raise self._refuse("a document type is declared, which is not read; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and local_name(tag) != self._root:
            raise self._refuse(f"the document is <{local_name(tag)[:60]}>, not <{self._root}>")
        if self._depth > _DEEPEST:
            raise self._refuse(f"elements are nested more than {_DEEPEST} deep")
        if self._depth == 2:
            self._line = self._parser.CurrentLineNumber
            self._builder = TreeBuilder()
        if self._depth > 1:
            self._builder.start("{" * ("}" in tag) + tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        if self._depth >= 1:
            self._builder.end("{" * ("}" in tag) + tag)
        if self._depth == 1:
            self._done.append(Line(self._line, self._builder.close()))

    def _text(self, text: str) -> None:
        if self._depth > 1:
            self._builder.data(text)
