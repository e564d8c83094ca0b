from __future__ import annotations

import errno
import zipfile

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

keras = load_keras()

from taxonvision.training import checkpoints  # noqa: E402
from taxonvision.training.checkpoints import Checkpoints, read_values, write_values  # noqa: E402


def variables(start=0.0):
    """One of each kind that networks and optimisers have."""
    return [
        keras.Variable(np.full((2, 3), start + 0.5, np.float32), name="kernel"),
        keras.Variable(int(start) + 7, dtype="int64", name="iterations"),
        keras.Variable(np.array([1, 2 + int(start)], np.uint32), dtype="uint32", name="seed"),
    ]


def values_of(some):
    return [np.asarray(each).tolist() for each in some]


def test_all_comes_back_to_the_last_bit(tmp_path):
    saved, others = variables(), variables(5.0)
    saved[0].assign([[1e-45, -0.0, 3.4e38], [1 / 3, float("inf"), -1e-20]])
    state = {"step": 3, "best": float("inf"), "loss": 0.1 + 0.2}
    kept = Checkpoints(tmp_path / "checkpoints")
    kept.save(3, saved, state)
    assert kept.newest() == 3
    assert kept.restore(3, others) == kept.state(3) == state
    for first, second in zip(saved, others, strict=True):
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes()


def test_the_newest_two_are_kept_and_nothing_else_is_touched(tmp_path):
    kept = Checkpoints(tmp_path)
    assert kept.steps() == []
    assert kept.newest() is None
    write_values(tmp_path / "best.npz", variables(), {})
    for step in (2, 10, 9, 100):
        kept.save(step, variables(), {})
    assert kept.steps() == [100, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.npz",
        "step-0000000010.npz",
        "step-0000000100.npz",
    ]


@pytest.mark.parametrize("size", [0, 1, 100, -1, -30])
def test_a_newest_one_that_is_cut_off_gives_way_to_the_one_before(tmp_path, capsys, size):
    kept = Checkpoints(tmp_path)
    kept.save(1, variables(1.0), {})
    kept.save(2, variables(2.0), {})
    path = tmp_path / "step-0000000002.npz"
    path.write_bytes(path.read_bytes()[:size])
    assert kept.newest() == 1
    assert capsys.readouterr().err.startswith(f"warning: {path} is damaged (")


def test_a_byte_that_flipped_anywhere_is_noticed_or_changes_nothing(tmp_path, capsys):
    kept, found = Checkpoints(tmp_path), variables()[:1]
    kept.save(1, variables(1.0)[:1], {"step": 1})
    kept.save(2, variables(2.0)[:1], {"step": 2})
    path = tmp_path / "step-0000000002.npz"
    whole = path.read_bytes()
    noticed = 0
    for place in range(0, len(whole), 2):
        flipped = bytearray(whole)
        flipped[place] ^= 0x41
        path.write_bytes(flipped)
        if kept.newest() == 1:
            noticed += 1
        else:
            assert kept.restore(2, found) == {"step": 2}, place
            assert (np.asarray(found[0]) == 2.5).all(), place
    assert noticed > len(whole) / 4
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == noticed
    assert all(line.endswith("an older one is used") for line in warnings)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    path = tmp_path / "values.npz"
    write_values(path, variables(), {})
    for others in (variables()[:2], [*variables(), *variables()], variables()[::-1]):
        before = values_of(others)
        with pytest.raises(UserError, match="is of another network"):
            read_values(path, others)
        assert values_of(others) == before
    with pytest.raises(UserError, match="cannot be read"):
        read_values(tmp_path / "none.npz", variables())


@pytest.mark.parametrize("fails", ["write", "fsync", "rename"])
def test_without_room_the_earlier_ones_stay(tmp_path, monkeypatch, fails):
    kept = Checkpoints(tmp_path)
    kept.save(1, variables(1.0), {"step": 1})

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    where = {"write": (np, "savez"), "fsync": (checkpoints.os, "fsync")}
    if fails == "rename":
        monkeypatch.setattr(type(tmp_path), "replace", full)
    else:
        monkeypatch.setattr(*where[fails], full)
    with pytest.raises(UserError) as refused:
        kept.save(2, variables(2.0), {})
    assert str(refused.value) == (
        f"the checkpoint {tmp_path / 'step-0000000002.npz'} cannot be written: No space left on "
        "device; the one before it is kept: make room and run the same command again"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000000001.npz"]
    assert kept.newest() == 1


def test_what_a_killed_run_left_half_written_is_no_checkpoint(tmp_path):
    kept = Checkpoints(tmp_path)
    kept.save(1, variables(1.0), {})
    (tmp_path / "step-0000000002.partial").write_bytes(b"PK")
    assert kept.newest() == 1
    kept.save(2, variables(2.0), {})
    assert kept.steps() == [2, 1]
    assert not list(tmp_path.glob("*.partial"))


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "step-0000000001.npz"
    np.savez(path, state=np.array([{"step": 1}], dtype=object), allow_pickle=True)
    assert zipfile.is_zipfile(path)
    with pytest.raises(UserError, match="cannot be read"):
        Checkpoints(tmp_path).state(1)
