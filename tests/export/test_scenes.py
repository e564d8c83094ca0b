from __future__ import annotations

import numpy as np
import pytest
from small_models import CONTRACT, small_backbone

from taxonvision.evaluation.unknown import KNOWN
from taxonvision.export.head import ExportHead
from taxonvision.export.judge import Named
from taxonvision.export.scenes import (
    Scenes,
    Threshold,
    fit_threshold,
    moved,
    open_scenes,
    with_unknown_logit,
)


@pytest.fixture(scope="module")
def backbone():
    from taxonvision.models.backbones import Backbone

    return Backbone("tiny", small_backbone(), 32, 1.0, False)


def black(count: int) -> Scenes:
    return Scenes(np.zeros((count, 32, 32, 3), np.uint8), "given")


@pytest.fixture
def head() -> ExportHead:
    """Whatever is right has a high logit, and only then."""
    return ExportHead((7, 8), (np.eye(16, 2, dtype=np.float32) * 10,), np.zeros(2, np.float32))


def features(height: float, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    truth = np.arange(count) % 2
    return np.eye(16, dtype=np.float32)[truth] * height, truth


def test_high_logits_are_known_and_low_ones_are_not(head, backbone):
    values, truth = features(10)
    found = with_unknown_logit(head, values, truth, black(5), backbone)
    known = np.concatenate(list(found.probabilities(values))).sum(axis=1)
    assert (known > KNOWN).all()
    empty = np.asarray(backbone.model(np.zeros((1, 32, 32, 3), np.float32)))
    assert next(found.probabilities(empty)).sum() < KNOWN


@pytest.mark.parametrize("case", ["few", "alike"])
def test_where_nothing_can_be_told_there_is_no_such_class(head, backbone, case, capsys):
    if case == "few":
        values, truth = features(10, 19)
    else:  # as low as the scenes or lower
        values, truth = features(1e-3)
    assert with_unknown_logit(head, values, truth, black(5), backbone).unknown_logit is None
    words = "19 validation photographs named rightly" if case == "few" else "do not tell"
    assert words in capsys.readouterr().err


def test_the_threshold_is_that_of_the_bundles_own_scores():
    truth = np.zeros(40, np.int64)
    known = np.linspace(0.8, 1, 40, dtype=np.float32)
    this = Named(truth, known, known)
    found = fit_threshold(black(4), lambda pixels: np.full((4, 2), 0.3), this, truth)
    assert found.value == pytest.approx(0.7, abs=0.01)
    assert found.record == {
        "negatives": "given", "scenes": 4, "false_names": 0.0, "photographs": 40, "kept": 1.0,
    }  # fmt: skip
    wrong = Named(truth + 1, known, known)
    nothing = fit_threshold(black(4), lambda pixels: np.full((4, 2), 0.3), wrong, truth)
    assert (nothing.value, nothing.record) == (0.0, None)


def test_scenes_are_those_of_a_folder_or_drawn(tmp_path, capsys):
    from PIL import Image

    drawn = open_scenes([], CONTRACT, 0)
    assert drawn.negatives == "synthetic"
    assert drawn.pixels.shape == (100, 32, 32, 3)
    for number in range(3):
        Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    given = open_scenes(sorted(tmp_path.iterdir()), CONTRACT, 0)
    assert (given.negatives, len(given.pixels)) == ("given", 3)
    assert "left out" in capsys.readouterr().err


def test_as_many_keep_their_name_as_of_the_full_model():
    truth = np.zeros(40, np.int64)
    known = np.linspace(0.3, 0.69, 40, dtype=np.float32)
    record = {"negatives": "given", "scenes": 9, "false_names": 0.1, "photographs": 99}
    found = moved(Threshold(0.95, {**record, "kept": 0.96}), Named(truth, known, known), truth)
    assert found.record == {**record, "photographs": 40, "kept": 0.975}
    assert (known >= found.value).sum() == 39
    few = Named(truth[:19], known[:19], known[:19])
    before = Threshold(0.95, {**record, "kept": 0.96})
    assert moved(before, few, truth[:19]) is before
    assert moved(Threshold(), Named(truth, known, known), truth) == Threshold()
