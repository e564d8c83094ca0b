from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taxonvision.features.views import view_of
from taxonvision.runtime.contract import Contract

KEY = st.tuples(*[st.integers(0, 2**64 - 1)] * 2)

GOLDEN = [
    [[157, 56], [104, 56], [51, 56]],
    [[157, 129], [104, 129], [51, 129]],
    [[157, 202], [104, 202], [51, 202]],
]


def ramp(width, height):
    """Red tells the column, green the row."""
    rows, columns = np.indices((height, width)) * 255.0
    pixels = np.stack([columns / max(width - 1, 1), rows / max(height - 1, 1), 0 * rows], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def test_the_first_view_is_the_contracts():
    image = ramp(50, 40)
    assert np.array_equal(
        view_of(image, Contract(8, 0.8), (1, 2), 0), Contract(8, 0.8).apply(image)
    )


@given(KEY, st.integers(1, 9), st.integers(1, 60), st.integers(1, 60))
def test_a_view_depends_on_key_and_number_alone(key, view, width, height):
    image = ramp(width, height)
    once, again = (view_of(image, Contract(8), key, view) for _ in range(2))
    assert (once.shape, once.dtype) == ((8, 8, 3), np.uint8)
    assert np.array_equal(once, again)


def test_views_are_windows_of_the_stated_size_half_of_them_mirrored():
    size, image = 64, ramp(400, 400)
    shares, ratios, mirrored = [], [], []
    for number in range(200):
        pixels = view_of(image, Contract(size), (number, 7), 1 + number % 3).astype(float)
        across, down = pixels[32, :, 0], pixels[:, 32, 1]
        wide, high = (abs(line[-1] - line[0]) / 255 * size / (size - 1) for line in (across, down))
        shares.append(wide * high)
        ratios.append(wide / high)
        mirrored.append(across[0] > across[-1])
        assert down[0] < down[-1]
    assert 0.48 < min(shares) < 0.56
    assert 0.9 < max(shares) < 1.02
    assert 0.72 < min(ratios) < 0.85
    assert 1.18 < max(ratios) < 1.36
    assert 0.4 < np.mean(mirrored) < 0.6


def test_views_never_move():
    """What is in the caches was made so."""
    pixels = view_of(ramp(100, 80), Contract(3), (2**63 + 5, 12345), 2)
    assert pixels[:, :, :2].tolist() == GOLDEN
