from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from taxonvision.evaluation.report.photographs import thumbnails


def decoded(thumbnail) -> np.ndarray:
    kind, data = thumbnail.address.split(",")
    assert kind == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


def test_they_are_the_centre_squares_each_once(tmp_path):
    pixels = np.zeros((300, 500, 3), np.uint8)
    pixels[:, 100:400] = (200, 60, 30)  # the centre square
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[:, :, ::-1]).save(tmp_path / "b.png")
    shown = thumbnails(["a", "b", "a"], {x: tmp_path / f"{x}.png" for x in "ab"})
    assert [each.number for each in shown.values()] == [0, 1]
    assert decoded(shown["a"]).shape == (200, 200, 3)
    assert np.abs(decoded(shown["a"]) - (200, 60, 30)).max() < 8
    assert np.abs(decoded(shown["b"]) - (30, 60, 200)).max() < 8


def test_what_cannot_be_shown_has_its_reason(tmp_path):
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8nothing")
    sources = {"damaged": tmp_path / "damaged.jpg", "gone": tmp_path / "gone.jpg"}
    shown = thumbnails(["damaged", "gone", "unknown"], sources)
    assert [each.address for each in shown.values()] == ["", "", ""]
    assert shown["gone"].reason == "no such file"
    assert shown["unknown"].reason == "not at hand"
    assert shown["damaged"].reason
