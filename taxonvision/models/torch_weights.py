"""Tensors out of a file in PyTorch's legacy format, without PyTorch and without trusting the file.

The format (torch/serialization.py, `_legacy_save`): four pickles (a magic number, the protocol
version, the sizes of types, the state dict, whose storages are persistent ids), a pickled list of
storage keys, then for each key an int64 count and the raw little-endian numbers.

A pickle is a program. Here only the operations that a state dict needs are let through, and the
only names it may call are an ordered dict and a recorder of tensor shapes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from taxonvision.errors import UserError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_LARGEST_PICKLE = 16 << 20
_DTYPES: dict[str, np.dtype] = {
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.LongStorage": np.dtype("<i8"),
}
# What protocol 2 uses for numbers, words, tuples, lists, dicts, the memo and calls. Without the
# rest no operation can ask for more memory than the file has bytes.
# fmt: off
_OPERATIONS = frozenset({
    "PROTO", "STOP", "MARK", "POP", "POP_MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT",
    "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1",
    "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
})
# fmt: on


@dataclass(frozen=True)
class _Storage:
    kind: str
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Malformed(Exception):  # noqa: N818 - never leaves this module
    """The file breaks a rule of the format; the message says which."""


def read_torch_weights(path: Path) -> dict[str, np.ndarray]:
    """Read a state dict saved by `torch.save` in the legacy format.

    Returns:
        Read-only arrays by name, float32 or int64, in the file's order and PyTorch's layout; they
        are views of the file's bytes and may be strided.

    Raises:
        UserError: the file is missing, truncated, of another format, or holds anything else than a
            state dict. Nothing in it is ever executed.

    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        return _tensors(content)
    except _Malformed as error:
        raise UserError(f"{path} is no legacy PyTorch state dict: {error}") from None


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    file = io.BytesIO(content)
    if _unpickle(file) != _MAGIC or _unpickle(file) != _PROTOCOL:
        raise _Malformed("it does not begin with the format's magic number and version")
    sizes = _unpickle(file)
    if not isinstance(sizes, Mapping) or sizes.get("little_endian") is not True:
        raise _Malformed("its numbers are not little-endian")
    state = _unpickle(file)
    keys = _unpickle(file)
    if not isinstance(state, Mapping) or not isinstance(keys, list):
        raise _Malformed("it holds no tensors by name")
    for name, tensor in state.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            raise _Malformed(f"{name!r} is no named tensor")
    kinds: dict[str, str] = {tensor.storage.key: tensor.storage.kind for tensor in state.values()}
    storages = {}
    position = file.tell()
    for key in keys:
        if not isinstance(key, str) or key not in kinds or key in storages:
            raise _Malformed("its list of storages does not match its tensors")
        storages[key], position = _storage(content, position, _DTYPES[kinds[key]])
    return {name: _view(name, tensor, storages) for name, tensor in state.items()}


def _storage(content: bytes, position: int, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Read the numbers of the storage at `position`; also returns the position behind them."""
    start = position + 8
    count = int.from_bytes(content[position:start], "little", signed=True)
    end = start + count * dtype.itemsize
    if count < 0 or start > len(content) or end > len(content):
        raise _Malformed("it ends before its last tensor")
    return np.frombuffer(content, dtype, count, start), end


def _view(name: str, tensor: _Tensor, storages: Mapping[str, np.ndarray]) -> np.ndarray:
    numbers = storages.get(tensor.storage.key)
    if numbers is None or len(numbers) != tensor.storage.count:
        raise _Malformed(f"the storage of {name} is missing or of another length")
    if numbers.dtype != _DTYPES[tensor.storage.kind]:
        raise _Malformed(f"the storage of {name} is of two types")
    last = tensor.offset + sum(
        (size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    # A stride of 0 would make a small storage look huge: no tensor has more numbers than it.
    if last >= len(numbers) or math.prod(tensor.shape) > len(numbers):
        raise _Malformed(f"{name} reaches beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, strides, writeable=False
    )


def _unpickle(file: io.BytesIO) -> Any:
    """Load the pickle at the file's position, which moves behind it."""
    start = file.tell()
    try:
        for operation, argument, _ in pickletools.genops(file):
            if operation.name not in _OPERATIONS:
                raise _Malformed(f"the operation {operation.name} has no place in it")
            read = file.tell() - start
            # The memo is an array as long as its highest index; honest pickles count up.
            if operation.name == "LONG_BINPUT" and int(argument or 0) > read:
                raise _Malformed("an index in it is far too large")
            if read > _LARGEST_PICKLE:
                raise _Malformed("its table of contents is far too large")
        file.seek(start)
        return _StateUnpickler(file).load()
    except _Malformed:
        raise
    except Exception as error:  # broken bytes fail in too many ways to be listed
        raise _Malformed(f"it is cut off or garbled ({type(error).__name__})") from None


class _StateUnpickler(pickle.Unpickler):
    """Knows five names, of which three are inert; a persistent id is a storage."""

    def find_class(self, module: str, name: str) -> Any:
        full_name = f"{module}.{name}"
        if full_name == "collections.OrderedDict":
            return OrderedDict
        if full_name == "torch._utils._rebuild_tensor_v2":
            return _Rebuilder()
        if full_name in _DTYPES:
            return full_name
        raise _Malformed(f"the name {full_name} has no place in it")

    def persistent_load(self, pid: Any) -> _Storage:
        tag, kind, key, _, count, view = pid
        if tag != "storage" or kind not in _DTYPES or view is not None:
            raise _Malformed("it refers to something else than a storage")
        if not isinstance(key, str) or not _is_size(count):
            raise _Malformed("one of its storages has no name or length")
        return _Storage(kind, key, count)


class _Rebuilder:
    """Stands for `torch._utils._rebuild_tensor_v2`: notes what a tensor would be made of.

    An object of its own for each mention, so that nothing a pickle does to it lasts.
    """

    def __call__(self, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
        sizes = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(map(_is_size, sizes)):
            raise _Malformed("one of its tensors has no storage or shape")
        if len(shape) != len(strides) or len(shape) > 8 or 0 in shape:
            raise _Malformed("one of its tensors has an impossible shape")
        return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31
