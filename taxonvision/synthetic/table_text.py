"""Columns of numbers to tab-separated text, a block of rows at once, and the text to files.

A column of text is a matrix of characters in which 0 stands for no character; a table is its
columns side by side without the zeros.
"""

from __future__ import annotations

import contextlib
import functools
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from taxonvision.parallel import map_in_order

# (rows, width) ASCII codes, 0 where there is no character
Text: TypeAlias = NDArray[np.uint8]

LARGEST_INTEGER = 10**8 - 1
_GROUP = 10_000  # integers are written four digits at a time
_PIECE = 2**20  # bytes deflated at once
# RFC 1952: deflate, no file name, no time, fastest, unknown system. Then the end of a stream.
_GZIP_HEADER, _LAST_BLOCK = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff", b"\x03\x00"


def words(texts: Sequence[str]) -> Text:
    """ASCII texts as a table to look up rows in."""
    return np.array(texts, dtype="S").view(np.uint8).reshape(len(texts), -1)


def integers(values: NDArray[np.int64]) -> Text:
    """Whole numbers from 0 to 99,999,999 in decimal."""
    highest, plain_or_padded = _digit_groups()
    high, low = np.divmod(values, _GROUP)
    return beside([highest[high], plain_or_padded[low + _GROUP * (high > 0)]])


def degrees(values: NDArray[np.float64]) -> Text:
    """Angles from -180 to 180, to the millionth, with ten decimals as iNaturalist writes them."""
    whole_degrees, thousandths = _degree_groups()
    millionths = np.rint(values * 1e6).astype(np.int64)
    whole, fraction = np.divmod(np.abs(millionths), 1_000_000)
    signed = whole_degrees[whole + len(whole_degrees) // 2 * (millionths < 0)]
    return beside([signed, thousandths[fraction // 1000], thousandths[fraction % 1000], "0000"])


def uuids(rng: np.random.Generator, count: int) -> Text:
    """Random UUIDs, version 4 (RFC 9562): (count, 36)."""
    raw = rng.integers(0, 2**64, (count, 2), dtype=np.uint64)
    quads = raw.astype("<u8", copy=False).view("<u2").reshape(count, 8)
    quads[:, 3] = quads[:, 3] & 0x0FFF | 0x4000
    quads[:, 4] = quads[:, 4] & 0x3FFF | 0x8000
    digits = _hexadecimal()[quads].reshape(count, 32)
    text = np.full((count, 36), ord("-"), np.uint8)
    for start, end, dashes in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
        text[:, start + dashes : end + dashes] = digits[:, start:end]
    return text


def beside(columns: Sequence[Text | str]) -> Text:
    """Columns put together to one; a text stands for a column that is the same in all rows."""
    rows = max(len(column) for column in columns if not isinstance(column, str))
    same = {text: words([text]) for text in columns if isinstance(text, str)}
    return np.hstack(
        [
            np.broadcast_to(same[column], (rows, same[column].shape[1]))
            if isinstance(column, str)
            else column
            for column in columns
        ]
    )


def lines(columns: Sequence[Text | str]) -> bytes:
    """The rows of a table with these columns, as `beside` takes them."""
    cells = [part for column in columns for part in (column, "\t")]
    return beside([*cells[:-1], "\n"]).tobytes().translate(None, b"\0")


def write_tables(
    folder: Path,
    headers: Mapping[str, Sequence[str]],
    chunks: Iterable[tuple[str, bytes]],
    *,
    compress: bool,
) -> None:
    """Write `<table>.csv`, or `<table>.csv.gz`, for each table of `headers`.

    Args:
        folder: where to.
        headers: the columns of each table.
        chunks: the text of whole rows, each with its table; tables may alternate.
        compress: one gzip stream a table, deflated in pieces by as many threads as there are cores
            (the method of pigz); neither they nor the length of the chunks change its bytes.
    """
    with contextlib.ExitStack() as stack:
        files = {
            name: stack.enter_context((folder / f"{name}.csv{'.gz' * compress}").open("wb"))
            for name in headers
        }
        titles = [(name, ("\t".join(columns) + "\n").encode()) for name, columns in headers.items()]
        pieces = _pieces(titles, chunks)
        if compress:
            _write_gzip(files, pieces)
        else:
            for name, piece in pieces:
                files[name].write(piece)


def _write_gzip(files: Mapping[str, BinaryIO], pieces: Iterable[tuple[str, bytes]]) -> None:
    checksums, lengths = dict.fromkeys(files, 0), dict.fromkeys(files, 0)
    for file in files.values():
        file.write(_GZIP_HEADER)
    for name, piece, deflated in map_in_order(_deflate, pieces):
        checksums[name] = zlib.crc32(piece, checksums[name])
        lengths[name] += len(piece)
        files[name].write(deflated)
    for name, file in files.items():
        file.write(_LAST_BLOCK + struct.pack("<II", checksums[name], lengths[name] % 2**32))


def _deflate(piece: tuple[str, bytes]) -> tuple[str, bytes, bytes]:
    """Deflate a piece so that others can follow: the flush ends it on a whole byte."""
    name, text = piece
    stream = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, -zlib.MAX_WBITS)
    return name, text, stream.compress(text) + stream.flush(zlib.Z_SYNC_FLUSH)


def _pieces(
    titles: Sequence[tuple[str, bytes]], chunks: Iterable[tuple[str, bytes]]
) -> Iterator[tuple[str, bytes]]:
    """The text of each table cut anew, all pieces but its last of one length."""
    waiting = {name: bytearray(title) for name, title in titles}
    for name, chunk in chunks:
        text = waiting[name]
        text += chunk
        whole = len(text) - len(text) % _PIECE
        for start in range(0, whole, _PIECE):
            yield name, bytes(text[start : start + _PIECE])
        del text[:whole]
    for name, text in waiting.items():
        yield name, bytes(text)


@functools.cache
def _digit_groups() -> tuple[Text, Text]:
    """The digits above the last four, and the last four: as they are, then padded with zeros."""
    plain = [str(value) for value in range(_GROUP)]
    padded = [f"{value:04d}" for value in range(_GROUP)]
    return words(["", *plain[1:]]), words(plain + padded)


@functools.cache
def _degree_groups() -> tuple[Text, Text]:
    """Whole degrees and the point, positive, then negative; and three decimals."""
    whole = [f"{sign}{value}." for sign in ("", "-") for value in range(181)]
    return words(whole), words([f"{value:03d}" for value in range(1000)])


@functools.cache
def _hexadecimal() -> Text:
    """Four hexadecimal digits of every number of 16 bits: (65536, 4)."""
    return words([f"{value:04x}" for value in range(2**16)])
