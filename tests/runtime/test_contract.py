from __future__ import annotations

import io
import time

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from taxonvision import photograph
from taxonvision.errors import UserError
from taxonvision.photograph import PhotographError, read_upright
from taxonvision.runtime.contract import Contract


def stripes(widths_and_colors, height: int) -> Image.Image:
    columns = [np.full((height, width, 3), color, np.uint8) for width, color in widths_and_colors]
    return Image.fromarray(np.concatenate(columns, axis=1))


def test_takes_the_centre_square():
    wide = stripes([(30, 255), (40, 100), (30, 255)], 40)
    assert (Contract(20).apply(wide) == 100).all()
    tall = wide.transpose(Image.Transpose.ROTATE_90)
    assert (Contract(20).apply(tall) == 100).all()


def test_crop_ratio_takes_a_part_of_the_square():
    image = stripes([(25, 255), (50, 100), (25, 255)], 100)
    assert (Contract(25, crop_ratio=0.5).apply(image) == 100).all()
    assert (Contract(25, crop_ratio=1.0).apply(image) == 255).any()


def test_shrinking_is_antialiased():
    checkerboard = (np.indices((320, 320)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = Image.fromarray(checkerboard).convert("RGB")
    assert np.abs(Contract(32).apply(image).astype(int) - 127).max() <= 2


def test_a_picture_of_the_right_size_is_passed_on_pixel_by_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8)
    assert (Contract(24).apply(Image.fromarray(pixels)) == pixels).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (7, 5)])
def test_odd_sizes_work(size):
    pixels = Contract(16).apply(Image.new("RGB", size, (9, 8, 7)))
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (9, 8, 7)).all()


def test_a_turned_photograph_gives_the_same_pixels():
    upright = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "PNG", exif=exif)
    turned = read_upright(buffer.getvalue())
    assert (Contract(16).apply(turned) == Contract(16).apply(upright)).all()


def test_matches_tensorflows_antialiased_resize():
    import tensorflow as tf

    rng = np.random.default_rng(2)
    smooth = Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8)).resize((200, 200))
    ours = Contract(48).apply(smooth).astype(float)
    theirs = tf.image.resize(np.asarray(smooth), (48, 48), antialias=True).numpy()
    assert np.abs(ours - theirs).mean() < 0.6


@pytest.mark.parametrize("size", [0, -1, 8193])
def test_sizes_that_no_network_has_are_refused(size):
    with pytest.raises(ValueError, match="size must be"):
        Contract(size)
    assert Contract(8192).size == 8192


@pytest.mark.parametrize("crop_ratio", [0.0, -0.5, 1.01, float("nan"), float("inf")])
def test_ratios_outside_the_square_are_refused(crop_ratio):
    with pytest.raises(ValueError, match="crop_ratio must be"):
        Contract(32, crop_ratio)


def test_two_huge_photographs_are_never_held_at_once(tmp_path, monkeypatch):
    for number in range(8):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{number}.png")
    monkeypatch.setattr(photograph, "_HUGE_PIXELS", 64 * 64 - 1, raising=False)
    held, most = set(), []
    real_load, real_apply = PngImageFile.load, Contract.apply

    def load(image):
        held.add(id(image))
        most.append(len(held))
        time.sleep(0.01)
        return real_load(image)

    def apply(contract, image):
        pixels = real_apply(contract, image)
        held.discard(id(image))
        return pixels

    monkeypatch.setattr(PngImageFile, "load", load)
    monkeypatch.setattr(Contract, "apply", apply)
    monkeypatch.setattr("taxonvision.parallel.cores", lambda: 4)
    assert len(list(Contract(8).read(sorted(tmp_path.iterdir())))) == 8
    assert max(most) == 1


def test_too_little_memory_to_shrink_one_is_a_reason(tmp_path, monkeypatch):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    def fail(contract, image):
        raise MemoryError

    monkeypatch.setattr(Contract, "apply", fail)
    (answer,) = Contract(4).read([tmp_path / "a.png"])
    assert str(answer) == "too large for the memory of this computer"


def test_reads_in_order_and_tells_what_cannot_be_read(tmp_path):
    paths = []
    for value in range(100):
        path = tmp_path / f"{value}.png"
        Image.new("RGB", (8, 8), (value, value, value)).save(path)
        paths.append(path)
    paths.insert(50, tmp_path / "missing.png")
    read = list(Contract(4).read(paths))
    assert isinstance(read[50], PhotographError)
    good = [pixels[0, 0, 0] for pixels in read if isinstance(pixels, np.ndarray)]
    assert good == list(range(100))
    with pytest.raises(UserError, match=r"missing\.png is listed .* \(no such file\)"):
        list(Contract(4).read_batches(paths, 8))
    batches = list(Contract(4).read_batches(paths[:50], 8))
    assert [len(batch) for batch in batches] == [8] * 6 + [2]
