"""Photographs opened before they are used."""

import hashlib
import io

import duckdb
import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog import opening
from taxonvision.catalog.duplicates import perceptual_hash
from taxonvision.catalog.opening import open_photographs
from taxonvision.photograph import read_upright


def picture(seed, kind="PNG", size=(12, 8), **options):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def opened(tmp_path):
    """Opens files, content by path, and gives what is told of each; `add` lists more of them."""
    root = tmp_path / "root"
    root.mkdir()
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE listed_files (row BIGINT, path VARCHAR); CREATE TABLE chosen (row BIGINT)"
            + ";"
            + opening.TABLES
        )

        def opened(files, chosen=None):
            for row, (path, content) in enumerate(files.items()):
                if content is not None:
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    (root / path).write_bytes(content)
                connection.execute("INSERT INTO listed_files VALUES (?, ?)", [row, path])
                if chosen is None or path in chosen:
                    connection.execute("INSERT INTO chosen VALUES (?)", [row])
            opened.count = open_photographs(connection, root)
            return told()

        def told():
            query = "SELECT path, t.* FROM {} t JOIN listed_files USING (row) ORDER BY row"
            sound, faulty = (
                {path: tuple(rest) for path, _, *rest in
                 connection.execute(query.format(table)).fetchall()}
                for table in ("opened", "faulty_file")
            )  # fmt: skip
            return sound, {path: reason for path, (reason,) in faulty.items()}

        opened.root, opened.connection, opened.told = root, connection, told
        yield opened


def test_what_a_photograph_tells(opened):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {"a/1.png": picture(1), "2.jpg": picture(2, "JPEG", size=(40, 20), exif=exif)}
    sound, faulty = opened(files)
    assert faulty == {}
    for path, size, orientation in (("a/1.png", (12, 8), 1), ("2.jpg", (20, 40), 6)):
        upright = read_upright(opened.root / path)
        assert upright.size == size
        digest = hashlib.sha256(files[path]).hexdigest()
        assert sound[path] == (digest, *size, orientation, perceptual_hash(upright))


def test_a_picture_of_one_colour_has_no_hash(opened):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "navy").save(buffer, "PNG")
    sound, _ = opened({"navy.png": buffer.getvalue(), "1.png": picture(1)})
    assert sound["navy.png"][-1] is None
    assert isinstance(sound["1.png"][-1], int)


def test_files_that_cannot_be_used_are_told_with_the_reason(opened):
    (opened.root / "folder.jpg").mkdir()
    (opened.root / "link.jpg").symlink_to("gone.jpg")
    files = {
        "1.png": picture(1), "empty.jpg": b"", "text.jpg": b"hello", "absent.jpg": None,
        "folder.jpg": None, "link.jpg": None,
    }  # fmt: skip
    sound, faulty = opened(files)
    assert list(sound) == ["1.png"]
    assert faulty == {
        "empty.jpg": "empty file",
        "text.jpg": "not an image of a known format",
        "absent.jpg": "no such file",
        "folder.jpg": "cannot be read: Is a directory",
        "link.jpg": "dangling link",
    }


@pytest.mark.parametrize("path", ["../out.png", "a/../../out.png", "/etc/hostname", "a\0b.png"])
def test_no_file_outside_the_folder_is_opened(opened, path):
    (opened.root.parent / "out.png").write_bytes(picture(1))
    sound, faulty = opened({path: None})
    assert sound == {}
    assert faulty == {path: "the path leads out of the folder of the photographs"}


def test_each_is_opened_once_and_only_those_chosen(opened):
    files = {f"{n}.png": picture(n) for n in range(4)} | {"bad.png": b""}
    sound, faulty = opened(files, chosen=["0.png", "2.png", "bad.png"])
    assert (opened.count, sorted(sound), sorted(faulty)) == (3, ["0.png", "2.png"], ["bad.png"])
    for file in opened.root.iterdir():
        file.unlink()
    opened.connection.execute("DELETE FROM chosen WHERE row = 4")  # as `choose` does
    assert open_photographs(opened.connection, opened.root) == 0
    opened.connection.execute("INSERT INTO chosen VALUES (1)")
    assert open_photographs(opened.connection, opened.root) == 1
    assert opened.told()[1]["1.png"] == "no such file"


def test_more_than_are_kept_in_memory(opened, monkeypatch):
    monkeypatch.setattr(opening, "_CHUNK", 7)
    files = {f"{n:03}.png": picture(n) if n % 5 else b"" for n in range(50)}
    sound, faulty = opened(files)
    assert list(sound) == [path for path, content in files.items() if content]
    assert list(faulty) == [path for path, content in files.items() if not content]
    digests = [hashlib.sha256(content).hexdigest() for content in files.values() if content]
    assert [told[0] for told in sound.values()] == digests
