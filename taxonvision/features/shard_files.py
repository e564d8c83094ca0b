"""One shard of the feature cache: two NumPy files, and how they are proven to be whole.

`NAME.npy` holds features float16 [m, D]. `NAME.keys.npy` holds m + 1 rows: of each photograph the
key of its content and the CRC-32 of key and features, and a last row with the CRC-32 of all others.
The checksums start from the digest of the feature space, so that no row of another space passes.
The file of keys comes last and by renaming: without it there is no shard. Files never change.

Their headers are compared byte by byte with what was written and never interpreted, so that a
file of any content is either read rightly or refused. Only bytes that were read prove damage: what
the system does not let one read just now, an OSError, says nothing of the shard.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from taxonvision.errors import UserError
from taxonvision.photograph import at_once

KEYS, VALUES, UNFINISHED = ".keys.npy", ".npy", ".keys.unfinished"
NAME = re.compile(r"([0-9a-f]{32})(\.keys\.npy|\.npy|\.keys\.unfinished)")
"""What the files of the cache are called."""
HEADER = 128
"""Bytes before the first row of either file."""
MOST_ROWS = 2**16
"""No shard has more; the position within one is kept in 16 bits."""
_KEY = np.dtype([("content", "<u8", (2,)), ("crc", "<u4")])
_VALUE = np.dtype("<f2")
_MOST_KEYS = HEADER + (MOST_ROWS + 1) * _KEY.itemsize


class DamagedError(Exception):
    """A shard is not as it was written."""


@dataclass(frozen=True)
class ShardFormat:
    """What all shards of a feature space have in common.

    Attributes:
        folder: where they lie.
        dimension: D.
        seed: the CRC-32 that their checksums start from.

    """

    folder: Path
    dimension: int
    seed: int

    def values_path(self, name: str) -> Path:
        """The file of a shard's features."""
        return self.folder / f"{name}{VALUES}"

    def keys_path(self, name: str) -> Path:
        """The file of a shard's keys."""
        return self.folder / f"{name}{KEYS}"

    def write(self, contents: np.ndarray, values: np.ndarray) -> str:
        """Write a new shard of keys uint64 [m, 2] and features float16 [m, D]; returns its name.

        Raises UserError when the disk does not take it.
        """
        name = uuid.uuid4().hex
        keys = np.zeros(len(contents) + 1, _KEY)
        keys["content"][:-1] = contents
        values = np.ascontiguousarray(values, _VALUE)
        keys["crc"][:-1] = _checksums(keys["content"][:-1], values, self.seed)
        keys["crc"][-1] = crc32(keys[:-1].tobytes(), self.seed)
        unfinished = self.folder / f"{name}{UNFINISHED}"
        try:
            _write(self.values_path(name), [_values_header(values.shape), values.data])
            _write(unfinished, [_keys_header(len(keys)), keys.tobytes()])
            unfinished.rename(self.keys_path(name))
            _sync_folder(self.folder)
        except OSError as error:
            for path in (unfinished, self.values_path(name)):
                with contextlib.suppress(OSError):
                    path.unlink()
            raise UserError(
                f"the feature cache {self.folder} cannot be written: {error.strerror}; make room "
                "there, or name another folder by --cache"
            ) from None
        return name

    def read_keys(self, name: str) -> np.ndarray:
        """The keys of a shard, uint64 [m, 2].

        Raises FileNotFoundError when it is gone, OSError when it cannot be read, DamagedError when
        it is not whole.
        """
        data = _read(self.keys_path(name), _MOST_KEYS)
        rows = (len(data) - HEADER) // _KEY.itemsize
        if rows < 1 or rows > MOST_ROWS + 1 or len(data) != HEADER + rows * _KEY.itemsize:
            raise DamagedError
        keys = np.frombuffer(data, _KEY, offset=HEADER)
        closing = keys[-1]
        if (
            data[:HEADER] != _keys_header(rows)
            or closing["content"].any()
            or closing["crc"] != crc32(keys[:-1].tobytes(), self.seed)
        ):
            raise DamagedError
        return np.ascontiguousarray(keys["content"][:-1], np.uint64)

    def check(self, name: str, count: int, rows: np.ndarray) -> None:
        """Compare some of the `count` rows of a shard whose keys are whole with their checksums.

        `rows` are ascending positions. They are read, not mapped: a disk that fails is an error
        that can be caught.

        Raises FileNotFoundError when the shard is gone, OSError when it cannot be read,
        DamagedError when a row is damaged.
        """
        keys = np.frombuffer(_read(self.keys_path(name), _MOST_KEYS), _KEY, offset=HEADER)
        path, width = self.values_path(name), self.dimension * _VALUE.itemsize
        if len(keys) != count + 1:
            raise DamagedError
        first, last = int(rows[0]), int(rows[-1]) + 1
        try:
            with open(path, "rb", opener=at_once) as file:
                whole = os.fstat(file.fileno()).st_size == HEADER + count * width
                if not whole or file.read(HEADER) != _values_header((count, self.dimension)):
                    raise DamagedError
                file.seek(HEADER + first * width)
                data = file.read((last - first) * width)
        except FileNotFoundError:
            if self.keys_path(name).exists():
                raise DamagedError from None
            raise
        if len(data) != (last - first) * width:
            raise DamagedError
        values = np.frombuffer(data, _VALUE).reshape(-1, self.dimension)[rows - first]
        if (_checksums(keys["content"][rows], values, self.seed) != keys["crc"][rows]).any():
            raise DamagedError

    def salvage(self, name: str) -> tuple[np.ndarray, np.ndarray, int]:
        """What is still good in a damaged shard.

        Returns keys uint64 [g, 2], features float16 [g, D] and how many rows there seem to have
        been. Each row is proven by its own checksum; the rest of both files may be anything.

        Raises OSError when a file cannot be read.
        """
        width = self.dimension * _VALUE.itemsize
        keys_data = _what_is_left(self.keys_path(name), _MOST_KEYS)
        values_data = _what_is_left(self.values_path(name), HEADER + MOST_ROWS * width)
        keyed, stored = len(keys_data) // _KEY.itemsize, len(values_data) // width
        rows, listed = min(keyed, stored), max(keyed - 1, stored)
        keys = np.frombuffer(keys_data[: rows * _KEY.itemsize], _KEY)
        values = np.frombuffer(values_data[: rows * width], _VALUE).reshape(-1, self.dimension)
        good = _checksums(keys["content"], values, self.seed) == keys["crc"]
        contents = np.ascontiguousarray(keys["content"][good], np.uint64)
        return contents, values[good], listed

    def withdraw(self, name: str) -> None:
        """Take a shard out by removing its keys; one that is gone, or cannot be, is no error.

        The file of features stays for a while, for those who have found good rows in it.
        """
        with contextlib.suppress(OSError):
            self.keys_path(name).unlink()
        with contextlib.suppress(OSError):
            os.utime(self.values_path(name))  # as if it were being written, `cache._ABANDONED`


def _checksums(contents: np.ndarray, values: np.ndarray, seed: int) -> np.ndarray:
    """CRC-32 of each row's key and features, uint32 [m]."""
    keys, features = np.ascontiguousarray(contents), np.ascontiguousarray(values)
    rows = zip(keys, features, strict=True)
    each = (crc32(value.data, crc32(key.data, seed)) for key, value in rows)
    return np.fromiter(each, np.uint32, len(keys))


def _values_header(shape: tuple[int, ...]) -> bytes:
    return _header("'<f2'", tuple(map(int, shape)))


def _keys_header(rows: int) -> bytes:
    return _header("[('content', '<u8', (2,)), ('crc', '<u4')]", (rows,))


def _header(descr: str, shape: tuple[int, ...]) -> bytes:
    """Version 1.0 of NumPy's format, filled up to `HEADER` bytes."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    start = b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(HEADER - 11) + b"\n"


def _read(path: Path, most: int) -> bytes:
    """The bytes of a file; DamagedError for one that is none or has more than `most`."""
    with open(path, "rb", opener=at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise DamagedError
        return file.read()


def _what_is_left(path: Path, most: int) -> bytes:
    """The bytes of a file after its header; none of one that is gone or is no such file."""
    try:
        return _read(path, most)[HEADER:]
    except (FileNotFoundError, DamagedError):
        return b""


def _write(path: Path, parts: Iterable[bytes | memoryview]) -> None:
    with path.open("xb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())  # a node that is lost must not leave a hollow one


def _sync_folder(folder: Path) -> None:
    """Make a renaming last; not all file systems know how."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
