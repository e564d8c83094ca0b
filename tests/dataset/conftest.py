from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog.catalog import Catalog, open_catalog
from taxonvision.cli.main import main
from taxonvision.dataset.plan import PrepareOptions
from taxonvision.dataset.prepare import prepare
from taxonvision.dataset.shards import Shards, open_shards
from taxonvision.storage import Recipe


def _prepare(catalog, out, **options) -> Path:
    small = PrepareOptions(size=32, shard_megabytes=0.005)  # a few of the small photographs each
    prepare(catalog, small, out, Recipe("prepare"), **options)
    return out


@pytest.fixture(scope="session")
def prepare_small():
    """Prepares an opened catalog of small photographs as several shards."""
    return _prepare


@pytest.fixture(scope="session")
def small_shards(small_catalog, tmp_path_factory) -> Path:
    """Shards of the small catalog."""
    return _prepare(open_catalog(small_catalog), tmp_path_factory.mktemp("shards") / "shards")


@pytest.fixture(scope="session")
def observed_catalog(small_catalog, tmp_path_factory) -> Catalog:
    """The small catalog, opened, some of whose photographs are of known observations and places."""
    folder = tmp_path_factory.mktemp("observed") / "catalog"
    shutil.copytree(small_catalog, folder)
    table = str(folder / "photos.parquet")
    with duckdb.connect() as connection:
        connection.read_parquet(table).create("photos")
        connection.execute(
            "UPDATE photos SET observation_id = 'o' || (rowid // 2), latitude = 50 + rowid / 7.0,"
            " longitude = -rowid WHERE rowid % 5 > 0"
        )
        connection.execute("UPDATE photos SET observation_id = NULL WHERE rowid % 5 = 0")
        connection.table("photos").write_parquet(table)
    return open_catalog(folder)


@pytest.fixture(scope="session")
def observed_shards(observed_catalog, tmp_path_factory) -> Shards:
    """Its shards, opened."""
    out = tmp_path_factory.mktemp("observed_shards") / "shards"
    return open_shards(_prepare(observed_catalog, out))


@pytest.fixture
def own_shards(small_shards, tmp_path) -> Path:
    """Shards of the small catalog that a test may spoil."""
    return Path(shutil.copytree(small_shards, tmp_path / "own" / "shards"))


@pytest.fixture
def own_catalog(small_catalog, photo_folder, tmp_path):
    """The small catalog, opened, with photographs that a test may spoil."""
    root = tmp_path / "own" / "photos"
    shutil.copytree(photo_folder, root)
    return dataclasses.replace(open_catalog(small_catalog), root=root)


@pytest.fixture(scope="session")
def content_of():
    """All files below a folder with what is in them."""

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}

    return content


def _texture(width, height, seed=5) -> Image.Image:
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for scale in (4, 8, 16, 32, 64):
        cells = rng.normal(0, 4 * scale**0.5, (height // scale + 2, width // scale + 2, 3))
        pixels += np.kron(cells, np.ones((scale, scale, 1)))[:height, :width]
    return Image.fromarray((pixels + 128).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def texture():
    """Makes a picture with structure at all scales, as photographs have."""
    return _texture


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A catalog of eight JPEGs in the split train, turned by EXIF in all ways."""
    root = tmp_path_factory.mktemp("photographs")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = root / "train" / f"class {orientation % 2}" / f"{orientation}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        _texture(500, 375, orientation).save(path, quality=92, exif=exif)
    out = tmp_path_factory.mktemp("of_photographs") / "catalog"
    assert main(["ingest", f"--input={root}", f"--out={out}"]) == 0
    return out
