from __future__ import annotations

import gc
import io

import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog.catalog import open_catalog
from taxonvision.export.golden import make_golden_files
from taxonvision.photograph import read_upright
from taxonvision.runtime.contract import Contract


@pytest.fixture(scope="module")
def large_catalog(tmp_path_factory):
    """Two classes of photographs of 1200 × 900 pixels, all of which may travel."""
    from taxonvision.catalog.ingest import IngestOptions, ingest
    from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
    from taxonvision.storage import Recipe

    root = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(5)
    for number in range(12):
        folder = root / f"Genus species{number % 2}"
        folder.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
        coarse.resize((1200, 900)).save(folder / f"{number}.jpg")
    out = tmp_path_factory.mktemp("catalog") / "catalog"
    folder = FolderOptions(license="CC0-1.0", attribution="the tests")
    ingest(
        lambda staging: stage_folder(staging, root, folder),
        "folder",
        IngestOptions(),
        out,
        Recipe("ingest"),
    )
    return open_catalog(out)


def brightness(pixels: np.ndarray) -> np.ndarray:
    """Probabilities of two classes by how bright a photograph is."""
    bright = pixels.mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1)


def test_no_whole_photographs_are_kept_while_the_candidates_are_scored(large_catalog):
    kept = []

    def score(pixels):
        images = [found for found in gc.get_objects() if isinstance(found, Image.Image)]
        kept.extend(image.size for image in images if max(image.size) > 640)
        return brightness(pixels)

    gc.collect()
    assert make_golden_files(large_catalog, Contract(48), score, 0)
    assert kept == []


def test_pngs_are_the_contract_of_the_whole_photograph(large_catalog):
    contract = Contract(48, crop_ratio=0.9)
    whole = {
        contract.apply(read_upright(path)).tobytes()
        for split in ("test", "val", "train")
        for path in large_catalog.photos(split).paths
    }
    files = make_golden_files(large_catalog, contract, brightness, 0)
    exact = [np.asarray(Image.open(io.BytesIO(file.content))) for file in files if file.exact]
    assert len(exact) == 5
    assert all(pixels.tobytes() in whole for pixels in exact)
    jpegs = [Image.open(io.BytesIO(file.content)) for file in files if not file.exact]
    assert [max(jpeg.size) for jpeg in jpegs] == [640] * 3


def test_the_same_seed_gives_the_same_files(large_catalog):
    first, again = (make_golden_files(large_catalog, Contract(48), brightness, 3) for _ in "12")
    assert first == again


def test_photographs_travel_by_the_licences_allowed_and_keep_their_credit(
    large_catalog, monkeypatch
):
    def draw(species, rng, size):  # a real drawing takes half a second
        return Image.new("RGB", (size, size), tuple(rng.integers(0, 256, 3).tolist()))

    monkeypatch.setattr("taxonvision.export.golden.draw_photograph", draw)

    def credits_of(*licenses):
        files = make_golden_files(large_catalog, Contract(48), brightness, 0, licenses)
        return {(file.license, file.attribution) for file in files}

    assert credits_of("CC0", "CC-BY-NC") == {("CC0", "the tests")}
    assert credits_of("CC-BY-NC") == {("CC0-1.0", "synthetic picture by taxonvision")}
    assert credits_of() == credits_of("CC-BY-NC")
