"""Photographs without an organism."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from taxonvision.dataset.negatives import digest_of_scenes, drawn_scenes, read_scenes, scenes_in
from taxonvision.errors import UserError
from taxonvision.runtime.contract import Contract


@pytest.fixture
def folder(tmp_path):
    """Three photographs, one of them deep, one file that is damaged and one that is none."""
    root = tmp_path / "scenes"
    (root / "deep" / "deeper").mkdir(parents=True)
    for number, name in enumerate(["b.jpg", "a.png", "deep/deeper/c.jpg"]):
        Image.new("RGB", (40, 30), (80 * number, 20, 20)).save(root / name)
    (root / "broken.jpg").write_bytes(b"404 Not Found")
    (root / "notes.txt").write_text("no photograph")
    return root


def test_photographs_in_any_depth_sorted(folder):
    names = [path.relative_to(folder).as_posix() for path in scenes_in(folder)]
    assert names == ["a.png", "b.jpg", "broken.jpg", "deep/deeper/c.jpg"]


def test_what_cannot_be_read_is_said_and_left_out(folder, capsys):
    batches = list(read_scenes(scenes_in(folder), Contract(16), 2))
    assert [batch.shape for batch in batches] == [(2, 16, 16, 3), (1, 16, 16, 3)]
    reds = np.concatenate(batches)[:, 8, 8, 0]
    np.testing.assert_allclose(reds, [80, 0, 160], atol=4)
    [line] = capsys.readouterr().err.splitlines()
    assert line == f"left out: {folder / 'broken.jpg'}: not an image of a known format"


def test_of_many_faults_the_first_are_told(folder, capsys):
    for number in range(7):
        (folder / f"heic{number}.heic").touch()
    scenes_in(folder)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert "heic is not read; convert it to JPEG" in lines[0]
    assert lines[-1] == "left out: 2 photographs more of --negatives"


@pytest.mark.parametrize(
    ("kind", "message"),
    [("missing", "does not exist"), ("file", "is no folder"), ("empty", "no photograph in")],
)
def test_no_folder_of_photographs(tmp_path, kind, message):
    path = tmp_path / "negatives"
    if kind == "file":
        path.touch()
    elif kind == "empty":
        path.mkdir()
    with pytest.raises(UserError, match=message):
        scenes_in(path)


def test_none_of_them_can_be_read(folder):
    with pytest.raises(UserError, match=r"can be read; .*broken\.jpg: not an image"):
        list(read_scenes([folder / "broken.jpg"], Contract(16), 2))


def test_the_digest_is_that_of_the_content_and_not_of_the_place(folder, tmp_path):
    def digest(root) -> str:
        return digest_of_scenes(root, scenes_in(root))

    first = digest(folder)
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert digest(moved) == first
    (moved / "b.jpg").rename(moved / "d.jpg")
    renamed = digest(moved)
    (moved / "d.jpg").write_bytes((moved / "d.jpg").read_bytes() + b"\0")
    assert len({first, renamed, digest(moved)}) == 3


def test_drawn_scenes_depend_on_the_seed_and_their_number():
    contract = Contract(24, 0.875)
    scenes = drawn_scenes(contract, 3, 1)
    assert scenes.shape == (3, 24, 24, 3)
    assert scenes.dtype == np.uint8
    assert (drawn_scenes(contract, 2, 1) == scenes[:2]).all()
    assert (drawn_scenes(contract, 1, 2) != scenes[0]).any()
    assert (scenes[0] != scenes[1]).any()


def test_it_is_light():
    code = (
        "import sys, taxonvision.dataset.negatives; "
        "print(sorted({'tensorflow', 'duckdb', 'taxonvision.synthetic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
