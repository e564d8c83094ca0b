from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from taxonvision.dataset.encode import encode
from taxonvision.photograph import PhotographError, read_upright
from taxonvision.runtime.contract import Contract

ORIENTATION = 0x0112


def file_of(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(image, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return file_of(image, quality=95, exif=exif)


def opened(data):
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    assert ORIENTATION not in image.getexif()
    return image


@pytest.mark.parametrize(
    ("before", "size", "after"),
    [
        ((500, 375), 256, (341, 256)),
        ((375, 500), 256, (256, 341)),
        ((600, 600), 256, (256, 256)),
        ((3000, 20), 8, (1200, 8)),
        ((257, 256), 256, (257, 256)),
        ((200, 100), 256, (200, 100)),
        ((500, 375), 0, (500, 375)),
    ],
)
def test_the_short_side_is_shrunk_and_never_enlarged(before, size, after, texture):
    assert opened(encode(file_of(texture(*before), "PNG"), size)).size == after


@pytest.mark.parametrize("size", [0, 90, 91, 256])
def test_a_plain_jpeg_that_is_small_enough_keeps_its_bytes(size, texture):
    data = file_of(texture(120, 90), quality=70)
    assert encode(data, size) == data


@pytest.mark.parametrize("appended", [b"", b"a film" * 1000])
def test_metadata_are_left_out_and_pixels_are_not_touched(appended, texture):
    exif = Image.Exif()
    exif[ORIENTATION], exif[0x010E] = 1, "at home"
    options = {"exif": exif, "comment": b"at home", "icc_profile": b"profile" * 20_000}
    data = file_of(texture(120, 90), quality=70, **options) + appended
    assert encode(data, 0) == file_of(texture(120, 90), quality=70)


def damaged(data, seed):
    rng = np.random.default_rng(seed)
    flipped = bytearray(data)
    for place in rng.integers(2, len(data), rng.integers(1, 5)):
        flipped[place] = rng.integers(256)
    return bytes(flipped)


@pytest.mark.slow  # loads TensorFlow
def test_what_pillow_reads_of_damaged_files_tensorflow_reads_too(texture):
    import tensorflow as tf

    data = file_of(texture(120, 90), quality=80)
    kept = 0
    for seed in range(200):
        try:
            encoded = encode(damaged(data, seed), 0)
        except PhotographError:
            continue
        pixels = tf.io.decode_jpeg(encoded, channels=3).numpy()
        assert pixels.shape[:2] == opened(encoded).size[::-1]
        kept += 1
    assert kept > 100


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("JPEG", "RGB", {"progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("MPO", "RGB", {"save_all": True, "append_images": [Image.new("RGB", (120, 90))]}),
        ("PNG", "RGBA", {}),
        ("PNG", "I;16", {}),
        ("GIF", "P", {}),
        ("WEBP", "RGB", {"lossless": True}),
    ],
)
def test_all_else_becomes_a_plain_jpeg_of_the_same_pixels(kind, mode, options, texture):
    image = texture(120, 90)
    image = image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode)
    data = file_of(image, kind, **options)
    encoded = encode(data, 256)
    assert "progressive" not in opened(encoded).info
    difference = np.abs(np.asarray(opened(encoded), int) - np.asarray(read_upright(data), int))
    assert difference.mean() < 4


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("size", [0, 100])
def test_turned_photographs_become_upright(orientation, size, texture):
    data = turned(texture(300, 200), orientation)
    before = read_upright(data)
    after = opened(encode(data, size))
    assert (after.width > after.height) == (before.width > before.height)
    small = [np.asarray(image.resize((64, 64)), int) for image in (before, after)]
    assert np.abs(small[0] - small[1]).mean() < 2


@pytest.mark.parametrize("size", [(500, 375), (375, 500)])
def test_the_contract_finds_the_same_pixels(size, texture):
    data = turned(texture(*size), 6)
    contract = Contract(224)
    direct, shrunk = (
        contract.apply(read_upright(file)).astype(int) for file in (data, encode(data, 256))
    )
    assert np.abs(direct - shrunk).mean() < 2


@pytest.mark.parametrize("data", [b"", b"no picture", file_of(Image.new("RGB", (64, 64)))[:600]])
def test_what_is_no_photograph_is_refused(data):
    with pytest.raises(PhotographError):
        encode(data, 256)
