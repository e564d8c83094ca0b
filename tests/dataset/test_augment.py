from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taxonvision.dataset.augment import (
    CHANCES,
    Augmentation,
    augmented,
    centre_window,
    centred,
    chances,
    crop_window,
)
from taxonvision.dataset.batches import Batches, BatchOptions
from taxonvision.dataset.shards import open_shards
from taxonvision.dataset.stored import stored_photos
from taxonvision.runtime.contract import Contract

ONE = chances(0, 0, 0, 1)[0]


def window_of(height, width, chance, augmentation):
    import tensorflow as tf

    shape, seed = tf.constant([height, width, 3]), tf.constant(chance[:2])
    return crop_window(shape, seed, augmentation).numpy().tolist()


def run(jpeg, chance, size, augmentation):
    import tensorflow as tf

    return augmented(tf.constant(jpeg), tf.constant(chance), size, augmentation).numpy()


@pytest.fixture(scope="module")
def jpeg(texture):
    file = io.BytesIO()
    texture(341, 256).save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()


# Chance.


def test_the_numbers_of_a_position_do_not_depend_on_where_reading_began():
    whole = chances(3, 5, 0, 100)
    assert whole.shape == (100, CHANCES)
    assert whole.dtype == np.int64
    for first, count in ((0, 1), (17, 20), (99, 1)):
        assert np.array_equal(chances(3, 5, first, count), whole[first : first + count])


def test_no_two_positions_epochs_or_seeds_share_numbers():
    found = [chances(*where, 50) for where in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 2**33))]
    assert len(np.unique(np.stack(found))) == 4 * 50 * CHANCES


def test_half_of_the_photographs_are_mirrored():
    assert abs((chances(0, 0, 0, 10_000)[:, 2] < 0).mean() - 0.5) < 0.02


# Cutting.


@given(st.integers(60, 600), st.floats(0.6, 1.7), st.integers(0, 2**40), st.floats(0.2, 0.5))
def test_windows_lie_in_the_photograph_and_keep_to_the_limits(height, ratio, first, least_area):
    width = round(height * ratio)
    augmentation = Augmentation(least_area)
    top, left, h, w = window_of(height, width, chances(0, 0, first, 1)[0], augmentation)
    assert top >= 0
    assert left >= 0
    assert top + h <= height
    assert left + w <= width
    rounding = 1 / h + 1 / w
    assert h * w / (height * width) >= least_area * (1 - 2 * rounding)
    assert 3 / 4 * (1 - rounding) <= w / h <= 4 / 3 * (1 + rounding)


def test_windows_are_of_all_sizes_at_all_places():
    windows = np.array([window_of(300, 400, c, Augmentation()) for c in chances(0, 0, 0, 300)])
    top, left, h, w = windows.T
    areas = h * w / (300 * 400)
    assert areas.min() < 0.4
    assert areas.max() > 0.9
    assert 0.5 < areas.mean() < 0.7
    assert np.log(w / h).min() < -0.2
    assert np.log(w / h).max() > 0.2
    assert 0.4 < (top / np.maximum(1, 300 - h)).mean() < 0.6
    assert 0.4 < (left / np.maximum(1, 400 - w)).mean() < 0.6


def test_a_photograph_too_long_for_any_window_is_kept_whole():
    assert window_of(100, 900, ONE, Augmentation()) == [0, 0, 100, 900]


def test_the_pixels_are_those_of_the_window(jpeg):
    augmentation = Augmentation(mirror=False)
    with Image.open(io.BytesIO(jpeg)) as whole:
        for chance in chances(0, 0, 0, 5):
            top, left, h, w = window_of(256, 341, chance, augmentation)
            cut = whole.crop((left, top, left + w, top + h))
            # Enlarged: there Pillow's bilinear filter does nothing against aliasing either.
            expected = np.asarray(cut.resize((512, 512), Image.Resampling.BILINEAR), np.float32)
            pixels = run(jpeg, chance, 512, augmentation)
            assert pixels.shape == (512, 512, 3)
            assert pixels.dtype == np.uint8
            assert np.abs(pixels - expected).mean() < 1.5


# The centre, without chance.


@given(st.integers(1, 200), st.integers(1, 200), st.floats(0.01, 1))
def test_the_centre_is_the_contracts_to_the_pixel(height, width, ratio):
    import tensorflow as tf

    y, x = np.mgrid[:height, :width]
    image = np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)
    window = centre_window(tf.constant([height, width, 3]), ratio)
    top, left, side, also_side = window.numpy().tolist()
    assert side == also_side
    expected = Contract(side, ratio).apply(Image.fromarray(image))  # nothing to resize
    assert np.array_equal(image[top : top + side, left : left + side], expected)


@pytest.mark.parametrize(("size", "ratio"), [(256, 1.0), (224, 0.875), (192, 1.0), (300, 0.9)])
def test_centred_pixels_are_those_of_the_contract(jpeg, size, ratio):
    import tensorflow as tf

    with Image.open(io.BytesIO(jpeg)) as image:
        expected = Contract(size, ratio).apply(image).astype(np.float32)
    pixels = centred(tf.constant(jpeg), size, ratio).numpy()
    assert (pixels.shape, pixels.dtype) == ((size, size, 3), np.uint8)
    assert np.abs(pixels - expected).mean() < 2


def test_batches_without_augmentation_leave_nothing_to_chance(small_shards):
    photos = stored_photos(open_shards(small_shards), "train")
    options = BatchOptions(24, 4, augmentation=None, crop_ratio=0.8)
    batches = [list(Batches(photos, options).dataset(epoch=epoch)) for epoch in (0, 1)]
    first, second = (np.concatenate([b[0].numpy() for b in epoch]) for epoch in batches)
    expected = np.stack(list(Contract(24, 0.8).read(photos.source(i) for i in range(len(photos)))))
    assert not np.array_equal(first, second)  # another order, the same pixels
    assert np.array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    distance = np.abs(first[:, None].astype(np.float32) - expected[None]).mean((2, 3, 4))
    assert len(first) == len(expected)
    assert distance.min(axis=1).max() < 6  # of noise shrunk by half, without antialias
    assert sorted(distance.argmin(axis=1)) == list(range(len(expected)))


@pytest.mark.parametrize("ratio", [0.0, 1.1, float("nan")])
def test_batches_of_no_part_of_the_centre(small_shards, ratio):
    photos = stored_photos(open_shards(small_shards), "train")
    with pytest.raises(ValueError, match="crop_ratio"):
        Batches(photos, BatchOptions(24, 4, augmentation=None, crop_ratio=ratio))


# Mirror and colour.


def test_the_numbers_decide_what_is_mirrored(jpeg):
    for chance in chances(0, 0, 0, 6):
        plain = run(jpeg, chance, 64, Augmentation(mirror=False)).astype(np.int16)
        mirrored = run(jpeg, chance, 64, Augmentation())
        expected = plain[:, ::-1] if chance[2] < 0 else plain
        assert np.abs(mirrored - expected).max() <= 1
        assert np.abs(mirrored - expected[:, ::-1]).mean() > 5


def test_colour_changes_by_chance_and_the_same_chance_changes_it_the_same(jpeg):
    plain = run(jpeg, ONE, 64, Augmentation()).astype(np.float32)
    means = set()
    for seed in range(6):
        chance = np.concatenate([ONE[:2], chances(seed, 1, 0, 1)[0, 2:]])
        chance[2] = ONE[2]
        once, again = (run(jpeg, chance, 64, Augmentation(colour=0.3)) for _ in range(2))
        assert np.array_equal(once, again)
        assert np.abs(once - plain).mean() > 1
        means.add(round(float(once.mean())))
    assert len(means) > 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"least_area": 0.0},
        {"least_area": 1.1},
        {"least_area": float("nan")},
        {"widest": 0.9},
        {"widest": float("inf")},
        {"colour": -0.1},
        {"colour": 1.0},
    ],
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Augmentation(**wrong)
