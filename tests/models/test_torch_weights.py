import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.torch_weights import read_torch_weights

HEADER = (
    pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    + pickle.dumps(1001, 2)
    + pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2)
)


def tensor(key, count, shape, strides, offset=0, kind=b"FloatStorage"):
    """The pickle operations of one tensor, as torch.save writes them."""

    def integers(values):
        return b"(" + b"".join(b"J" + struct.pack("<i", value) for value in values) + b"t"

    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + word("storage")
        + b"ctorch\n" + kind + b"\n" + word(key) + word("cpu")
        + b"J" + struct.pack("<i", count) + b"NtQ"
        + b"J" + struct.pack("<i", offset)
        + integers(shape) + integers(strides)
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def state(**tensors):
    pairs = b"".join(word(name) + value for name, value in tensors.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + pairs + b"u."


def storage(*numbers):
    return struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers)


def write(tmp_path, *parts):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"".join(parts))
    return path


def small_file(**changes):
    arguments = {"key": "7", "count": 6, "shape": (2, 3), "strides": (1, 2)} | changes
    return [HEADER, state(w=tensor(**arguments)), pickle.dumps(["7"], 2), storage(*range(6))]


def test_reads_strided_tensors(tmp_path):
    found = read_torch_weights(write(tmp_path, *small_file()))
    assert list(found) == ["w"]
    assert found["w"].dtype == np.float32
    np.testing.assert_array_equal(found["w"], [[0, 2, 4], [1, 3, 5]])


def test_reads_counters(tmp_path):
    seen = tensor("7", 1, (), (), kind=b"LongStorage")
    parts = [HEADER, state(seen=seen), pickle.dumps(["7"], 2), struct.pack("<qq", 1, 123)]
    found = read_torch_weights(write(tmp_path, *parts))
    assert found["seen"].dtype == np.int64
    assert found["seen"] == 123


class Attack:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("place", range(3))
def test_runs_nothing(tmp_path, protocol, place):
    import os

    for function, argument in (
        (os.system, f"touch {tmp_path}/owned"),
        (eval, f"open({str(tmp_path / 'owned')!r}, 'w')"),
        (getattr, (OrderedDict, "popitem")),
    ):
        attack = pickle.dumps(Attack(function, argument), protocol)
        parts = [HEADER, *small_file()[1:3]]
        parts[place] = attack
        path = write(tmp_path, *parts, storage(*range(6)))
        with pytest.raises(UserError, match="is no legacy PyTorch state dict"):
            read_torch_weights(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "name", ["torch._utils\n_rebuild_parameter", "torch\nload", "collections\nUserDict"]
)
def test_refuses_other_names(tmp_path, name):
    hostile = b"\x80\x02c" + name.encode() + b"\n)R."
    with pytest.raises(UserError, match="has no place in it"):
        read_torch_weights(write(tmp_path, HEADER, hostile))


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo of two thousand million entries
        b"\x80\x05\x96\xff\xff\xff\xff\xff\x00\x00\x00.",  # a bytearray of 256 TB
        b"\x80\x02X\xff\xff\xff\x7fabc.",  # a word longer than the file
        b"\x80\x02" + b"(" * 100_000 + b".",
    ],
)
def test_claims_of_size_cost_no_memory(tmp_path, hostile):
    with pytest.raises(UserError):
        read_torch_weights(write(tmp_path, HEADER, hostile))


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (2, 4)},
        {"offset": 1},
        {"shape": (1000, 1000), "strides": (0, 0)},
        {"strides": (-1, 2)},
        {"shape": (2,)},
        {"shape": (0, 3)},
        {"count": 5},
        {"key": "8"},
        {"kind": b"LongStorage"},
    ],
)
def test_refuses_tensors_that_do_not_fit_their_storage(tmp_path, changes):
    with pytest.raises(UserError, match="is no legacy PyTorch state dict"):
        read_torch_weights(write(tmp_path, *small_file(**changes)))


def test_refuses_every_truncation(tmp_path):
    whole = b"".join(small_file())
    for length in range(len(whole)):
        with pytest.raises(UserError, match="is no legacy PyTorch state dict"):
            read_torch_weights(write(tmp_path, whole[:length]))


def test_garbled_bytes_are_read_or_refused(tmp_path):
    whole = b"".join(small_file())
    generator = np.random.default_rng(0)
    for _ in range(500):
        garbled = bytearray(whole)
        garbled[generator.integers(len(whole))] = generator.integers(256)
        try:
            read_torch_weights(write(tmp_path, garbled))
        except UserError as error:
            assert "is no legacy PyTorch state dict" in str(error)


def test_missing_file_and_other_formats(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_torch_weights(tmp_path / "absent.pth")
    for content in (b"", b"PK\x03\x04" + bytes(100), b"\x89HDF\r\n", pickle.dumps({}, 2)):
        with pytest.raises(UserError, match="is no legacy PyTorch state dict"):
            read_torch_weights(write(tmp_path, content))
