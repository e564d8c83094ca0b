from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fakes import DIMENSION, FakeStore, backbone, direct, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.features import shard_files
from taxonvision.features.cache import default_cache
from taxonvision.features.search import Wanted

HERE = Path(__file__).parent


def filled(root, files, **options):
    store = FakeStore(root, **options)
    assert store.fill(stored(files), "features")
    return store


def features_of(store, files):
    """What the store answers when it is filled first."""
    photos = stored(files)
    result = store.fill(photos, "features")
    return store.features(photos)[0][:], result


def files_of(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_the_files_are_numpys(paths, tmp_path):
    filled(tmp_path, paths[:6])
    (folder,) = tmp_path.iterdir()
    assert json.loads((folder / "space.json").read_text())["dimension"] == DIMENSION
    keys = {path: np.load(path, allow_pickle=False) for path in folder.glob("*.keys.npy")}
    assert sorted(map(len, keys.values())) == [2 + 1, 4 + 1]
    for path, each in keys.items():
        values = np.load(str(path).replace(".keys", ""), mmap_mode="r", allow_pickle=False)
        assert (values.dtype, values.shape) == (np.float16, (len(each) - 1, DIMENSION))
        assert set(map(tuple, each["content"][:-1].tolist())) <= set(
            map(tuple, stored(paths).contents.tolist())
        )


SIZES = {"*.keys.npy": 128 + 5 * 20, "*[0-9a-f].npy": 128 + 4 * 2 * DIMENSION}
"""Bytes of the files of four photographs: a header, and rows."""


def flipped(path, at, bits):
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)


@settings(max_examples=30)
@given(
    st.sampled_from([(kind, at) for kind, size in SIZES.items() for at in range(size)]),
    st.integers(1, 255),
)
def test_any_flipped_byte_in_any_shard_is_noticed(paths, tmp_path_factory, place, bits):
    (kind, at), root = place, tmp_path_factory.mktemp("cache")
    filled(root, paths[:8])
    path = next(root.rglob(kind))
    assert path.stat().st_size == SIZES[kind]
    flipped(path, at, bits)
    features, result = features_of(FakeStore(root), paths[:8])
    assert np.array_equal(features, direct(paths[:8]))
    assert not Path(str(path).replace(".keys", "").replace(".npy", ".keys.npy")).exists()
    in_a_row = 128 <= at < (128 + 4 * 20 if kind == "*.keys.npy" else SIZES[kind])
    # what is not a photograph's own, a header or the closing row, costs none of them
    assert result.extracted == int(in_a_row)
    assert features_of(FakeStore(root), paths[:8])[1].known == 8


@settings(max_examples=30)
@given(st.integers(0, 250), st.integers(1, 255))
def test_any_flipped_byte_in_the_record_of_the_space_is_noticed(paths, tmp_path_factory, at, bits):
    root = tmp_path_factory.mktemp("cache")
    filled(root, paths[:4])
    record = next(root.rglob("space.json"))
    before = record.read_bytes()
    flipped(record, at, bits)
    features, result = features_of(FakeStore(root), paths[:4])
    assert np.array_equal(features, direct(paths[:4]))
    assert (result.known, record.read_bytes()) == (4, before)


@settings(max_examples=30)
@given(st.data())
def test_a_truncated_file_loses_only_what_is_cut_off(paths, tmp_path_factory, data):
    root = tmp_path_factory.mktemp("cache")
    filled(root, paths[:8])
    kind = data.draw(st.sampled_from(sorted(SIZES)))
    size = data.draw(st.integers(0, SIZES[kind] - 1))
    path = next(root.rglob(kind))
    path.write_bytes(path.read_bytes()[:size])
    features, result = features_of(FakeStore(root), paths[:8])
    assert np.array_equal(features, direct(paths[:8]))
    row = 20 if kind == "*.keys.npy" else 2 * DIMENSION
    assert result.extracted == 4 - min(4, max(0, size - 128) // row)


@settings(max_examples=30)
@given(st.binary(max_size=400), st.booleans())
def test_files_of_any_content_are_refused(paths, tmp_path_factory, content, of_keys):
    root = tmp_path_factory.mktemp("cache")
    filled(root, paths[:4])
    path = next(p for p in files_of(root) if p.name.endswith(".keys.npy") == of_keys)
    path.write_bytes(content)
    features, result = features_of(FakeStore(root), paths[:4])
    assert np.array_equal(features, direct(paths[:4]))
    assert result.extracted == 4


def test_damage_is_told_in_one_line_and_mended(paths, tmp_path, capsys):
    filled(tmp_path, paths[:8])
    for path in tmp_path.rglob("*[0-9a-f].npy"):
        flipped(path, -1, 1)
    capsys.readouterr()
    features, result = features_of(FakeStore(tmp_path), paths[:8])
    assert np.array_equal(features, direct(paths[:8]))
    assert (result.known, result.extracted) == (6, 2)
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "damaged" in each]
    assert line.endswith(
        " had 2 damaged files (6 rows kept, 2 lost), removed; what is missing is extracted again"
    )
    assert features_of(FakeStore(tmp_path), paths[:8])[1].known == 8


def test_damage_that_others_mend_does_not_disturb(paths, tmp_path):
    filled(tmp_path, paths[:4])
    mine, some = FakeStore(tmp_path), stored(paths[:2])
    assert mine.fill(some, "features").known == 2
    _, in_use = mine.kept(some.contents)
    values = next(tmp_path.rglob("*[0-9a-f].npy"))
    flipped(values, -1, 1)
    last = int(np.argmax(~FakeStore(tmp_path).kept(stored(paths[:4]).contents)[0]))
    assert last == 3
    assert np.array_equal(in_use[:], direct(paths[:2]))  # the file is still there
    (features,) = mine.features(some)
    os.utime(values, (time.time() - 7200,) * 2)
    assert filled(tmp_path, paths[:4]).extracted == 1
    assert not values.exists()
    assert np.array_equal(features[:], direct(paths[:2]))  # they are in the new one


def test_features_without_keys_or_keys_without_features_are_nothing(paths, tmp_path, capsys):
    filled(tmp_path, paths[:8])
    keys = sorted(tmp_path.rglob("*.keys.npy"))
    keys[0].unlink()
    Path(str(keys[1]).replace(".keys", "")).unlink()
    features, result = features_of(FakeStore(tmp_path), paths[:8])
    assert np.array_equal(features, direct(paths[:8]))
    assert result.extracted == 8
    assert not keys[1].exists()
    assert " had 1 damaged file (0 rows kept, 4 lost)," in capsys.readouterr().err


def test_what_killed_processes_left_is_removed_when_nobody_can_be_at_it(paths, tmp_path, capsys):
    filled(tmp_path, paths[:4])
    folder = next(tmp_path.iterdir())
    names = [f"{'a' * 32}.npy", f"{'b' * 32}.keys.unfinished", f"{'c' * 32}.npy", "notes.txt"]
    for name in names:
        (folder / name).write_bytes(b"x")
    for name in names[:2]:
        os.utime(folder / name, (time.time() - 7200,) * 2)
    capsys.readouterr()
    assert filled(tmp_path, paths[:4]).extracted == 0
    assert [(folder / name).exists() for name in names] == [False, False, True, True]
    assert "had 2 unfinished files of ended runs, removed" in capsys.readouterr().err


def test_features_of_another_space_copied_here_are_not_taken(paths, tmp_path):
    other = filled(tmp_path / "other", paths[:8], network=backbone(weight=0.25))
    mine = FakeStore(tmp_path / "mine")
    mine.fake.of = lambda pixels: -FakeStore(tmp_path / "third").fake.of(pixels)
    target = tmp_path / "mine" / mine.as_json()["spaces"][0]
    for path in (tmp_path / "other" / other.as_json()["spaces"][0]).iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    features, result = features_of(FakeStore(tmp_path / "mine"), paths[:8])
    assert (result.known, result.extracted) == (0, 8)
    assert np.array_equal(features, direct(paths[:8]))


def refusing(kind, number):
    """Opens files as `open` does, but no shard's features, or keys."""

    def opened(path, *options, **named):
        if str(path).endswith(".keys.npy") == (kind == "keys"):
            raise OSError(number, os.strerror(number), str(path))
        return open(path, *options, **named)  # noqa: PTH123, `Path.open` knows no opener

    return opened


@pytest.mark.parametrize("kind", ["keys", "values"])
@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOMEM, errno.ESTALE, errno.EACCES])
def test_what_cannot_be_read_just_now_stays(paths, tmp_path, monkeypatch, capsys, kind, number):
    filled(tmp_path, paths[:8])
    before = {path: path.read_bytes() for path in files_of(tmp_path)}
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(shard_files, "open", refusing(kind, number), raising=False)
        search = FakeStore(tmp_path)._caches[0].search(Wanted(stored(paths[:8]).contents))
        for _ in range(2):  # told once
            search.look()
            assert search.missing.all()
    said = capsys.readouterr().err
    assert re.fullmatch(
        rf"/\S*[0-9a-f]{{32}}(\.keys)?\.npy and 1 other file in the feature cache cannot be read: "
        rf"{os.strerror(number)}; kept as they are, what is missing is extracted again\n",
        said,
    )
    assert (".keys.npy" in said) == (kind == "keys")
    assert {path: path.read_bytes() for path in files_of(tmp_path)} == before
    search.look()  # it can be read again
    assert not search.missing.any()


def test_an_error_while_a_shard_is_read_is_no_damage(paths, tmp_path, monkeypatch, capsys):
    filled(tmp_path, paths[:4])

    class Failing(io.FileIO):
        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    before = {path: path.read_bytes() for path in files_of(tmp_path)}
    with monkeypatch.context() as patch:
        patch.setattr(shard_files, "open", lambda path, *_, **__: Failing(str(path)), raising=False)
        assert filled(tmp_path, paths[:4]).extracted == 4
    assert before.items() <= {path: path.read_bytes() for path in files_of(tmp_path)}.items()
    assert ".keys.npy in the feature cache cannot be read: Input/output error;" in (
        capsys.readouterr().err
    )


def test_a_damaged_shard_that_cannot_be_read_again_stays(paths, tmp_path, monkeypatch):
    filled(tmp_path, paths[:4])
    values = next(tmp_path.rglob("*[0-9a-f].npy"))
    flipped(values, -1, 1)

    def fail(*_):
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(shard_files.ShardFormat, "salvage", fail)
        assert filled(tmp_path, paths[:4]).extracted == 4
    assert Path(str(values).replace(".npy", ".keys.npy")).exists()


def test_links_folders_and_pipes_do_not_stop_it(paths, tmp_path):
    filled(tmp_path, paths[:8])
    keys = sorted(tmp_path.rglob("*.keys.npy"))
    keys[0].unlink()
    os.mkfifo(keys[0])
    keys[1].unlink()
    keys[1].mkdir()
    features, result = features_of(FakeStore(tmp_path), paths[:8])
    assert np.array_equal(features, direct(paths[:8]))
    assert result.extracted == 8


def test_a_full_disk_is_told_and_leaves_nothing_half_written(paths, tmp_path, monkeypatch):
    def full(path, parts):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shard_files, "_write", full)
    with pytest.raises(UserError, match="cannot be written: No space left on device; make room"):
        filled(tmp_path, paths[:4])
    assert [path.name for path in files_of(tmp_path)] == ["space.json"]


def test_features_removed_while_they_are_used_are_told(paths, tmp_path):
    photos, store = stored(paths[:4]), filled(tmp_path, paths[:4])
    (features,) = store.features(photos)
    for path in files_of(tmp_path):
        path.unlink()
    with pytest.raises(UserError, match="no longer is whole; the same command"):
        features[:]


FILL = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from fakes import FakeStore, stored
from taxonvision.features import shard_files, store
store._SHARD = 2
{more}
paths = sorted(Path({photos!r}).iterdir())
print("ready", flush=True)
sys.stdin.readline()
mine = FakeStore(Path({root!r}))
filled = mine.fill(stored(paths), "features", worker={worker}, workers={workers})
print(filled.extracted)
"""


def start(root, photos, worker=0, workers=1, more=""):
    program = FILL.format(
        here=str(HERE),
        root=str(root),
        photos=str(photos),
        worker=worker,
        workers=workers,
        more=more,
    )
    return subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_several_processes_fill_it_at_once(paths, tmp_path):
    shares = [(0, 2), (1, 2), (0, 1), (0, 1)]
    running = [start(tmp_path, paths[0].parent, *share) for share in shares]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    store = FakeStore(tmp_path)
    features, result = features_of(store, paths)
    assert np.array_equal(features, direct(paths))
    assert (result.known, store.extracted) == (12, 0)


@pytest.mark.slow
@pytest.mark.parametrize("written", [1, 2, 3])
def test_a_process_killed_between_features_and_keys_leaves_whole_shards(paths, tmp_path, written):
    more = f"""
import os, signal
write, count = shard_files._write, iter(range(100))
def dying(path, parts):
    if next(count) == {written}:
        path.write_bytes(next(iter(parts))[:50])
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, parts)
shard_files._write = dying
"""
    process = start(tmp_path, paths[0].parent, more=more)
    process.communicate("\n", timeout=60)
    assert process.returncode == -signal.SIGKILL
    store = FakeStore(tmp_path)
    features, result = features_of(store, paths)
    assert np.array_equal(features, direct(paths))
    assert result.known == written // 2 * 2


def test_the_default_is_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "taxonvision" / "features"
    for nonsense in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", nonsense)
        monkeypatch.setenv("HOME", "/somewhere")
        assert default_cache() == Path("/somewhere/.cache/taxonvision/features")
