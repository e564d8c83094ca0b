"""What is refused before a file is read, by everything that opens a bundle."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile

import pytest
from damaged_bundles import as_folder, as_zip, damaged, read_files, sealed

from taxonvision.errors import UserError
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.bundle_files import list_files


@pytest.fixture(scope="module")
def files(small_bundle):
    return read_files(small_bundle)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_zips_and_links_are_opened_by_nobody(files, tmp_path):
    kinds = ("zip", "link", "a pipe", "empty", "folder in", "nothing")
    for number, bundle in enumerate(b for b in damaged(files, 1) if b.what.startswith(kinds)):
        if bundle.what == "zip with 'golden'":  # a file more, which nobody reads
            continue
        (tmp_path / str(number)).mkdir()
        place = bundle.write(tmp_path / str(number))
        with pytest.raises(UserError) as caught:
            open_bundle(place)
        assert str(caught.value).isprintable(), bundle.what
    assert number > 40


def test_what_a_zip_declares_is_all_that_is_unpacked(files, tmp_path):
    """A file said to have 100 bytes, and packed so that it would be 64 MiB."""
    whole = sealed(files | {"more": bytes(2**26)})
    place = as_zip(whole, tmp_path)
    data = bytearray(place.read_bytes())
    for signature, field in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        name = data.index(b"more", data.index(b"SHA256SUMS") * (signature == b"PK\x01\x02"))
        start = data.rindex(signature, 0, name)
        struct.pack_into("<I", data, start + field, 100)
    del whole
    place.write_bytes(data)
    tracemalloc.start()
    try:
        findings = list(list_files(place).damages())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(findings) == 1
    assert findings[0].startswith("more ")
    assert peak < 2**23


def test_the_table_of_a_zip_is_not_read_again_for_each_file(files, tmp_path, monkeypatch):
    more = {f"more/{number}": b"" for number in range(500)}
    place = as_zip(sealed(files | more), tmp_path)
    opened = []

    class Counted(zipfile.ZipFile):
        def __init__(self, *arguments, **options):
            opened.append(1)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(zipfile, "ZipFile", Counted)
    assert list(list_files(place).damages()) == []
    assert len(opened) < 5


@pytest.mark.parametrize(
    ("name", "mebibytes"),
    [("bundle.json", 1), ("names/en.json", 32), ("taxonomy.csv", 64), ("golden/1.png", 64)],
)
def test_files_have_a_size_that_their_kind_can_have(files, tmp_path, name, mebibytes):
    place = as_folder(sealed(files), tmp_path)
    with (place / name).open("r+b") as file:
        file.truncate(mebibytes * 2**20 + 1)  # sparse
    with pytest.raises(UserError, match=f"{name} is refused: it has more than {mebibytes} MiB"):
        list_files(place)


def test_all_files_together_have_a_size_that_a_bundle_can_have(files, tmp_path):
    place = as_folder(sealed(files), tmp_path)
    for number in range(3):
        with (place / str(number)).open("wb") as file:
            file.truncate(2**30)
    with pytest.raises(UserError, match="is refused: it holds more than 2 GiB"):
        list_files(place)


def test_a_link_to_a_whole_bundle_is_followed(files, tmp_path):
    """Whoever names it on the command line knows it: `latest -> v3`."""
    (tmp_path / "latest").symlink_to(as_folder(sealed(files), tmp_path))
    assert list_files(tmp_path / "latest").unlisted() == []
