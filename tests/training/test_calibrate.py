"""What is fitted when a head is trained: its temperature, and when it knows nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_train  # noqa: F401 - brings the backbone
from PIL import Image

from taxonvision.cli.main import main
from taxonvision.models.engine import load_keras
from taxonvision.taxonomy.classes import TaxonClass

load_keras()

from taxonvision.evaluation import unknown  # noqa: E402
from taxonvision.evaluation.unknown import KNOWN  # noqa: E402
from taxonvision.models.classifier import temperature_of, unknown_logit_in  # noqa: E402
from taxonvision.models.directory import open_model  # noqa: E402
from taxonvision.training import calibrate as module  # noqa: E402
from taxonvision.training.calibrate import Calibrated, calibrate, drawn  # noqa: E402
from taxonvision.training.feeds import Features  # noqa: E402
from taxonvision.training.head import Head  # noqa: E402

CLASSES = 6


def classes_of(*, retired: tuple[int, ...] = (), count: int = CLASSES) -> list[TaxonClass]:
    return [
        TaxonClass(n, n + 1, f"T{n}", "species", "retired" if n in retired else "active", "1")
        for n in range(count)
    ]


def photographs(n: int = 3000, *, factor: float = 1.0, classes: int = CLASSES, seed: int = 0):
    """A head whose logits are features times a factor; truths are drawn from the features."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 2, (n, classes)).astype(np.float32)
    truth = (values + rng.gumbel(size=values.shape)).argmax(axis=1).astype(np.int32)
    kernel = (factor * np.eye(classes)).astype(np.float32)
    return Head(kernel, np.zeros(classes, np.float32)), Features(values, truth)


def test_the_factor_that_logits_are_too_large_by():
    head, held_out = photographs(factor=3)
    found = calibrate(head, classes_of(), held_out, None, 0)
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.calibration["temperature"] == found.temperature
    assert found.calibration["photographs"] == 3000
    error = found.calibration["error"]
    assert error["before"] > 0.1 > 0.04 > error["after"]
    assert found.unknown is None


def test_retired_classes_do_not_count(monkeypatch):
    """Their rows would win everywhere; photographs are those of the others, in parts of a few."""
    head, held_out = photographs(factor=2)
    plain = calibrate(head, classes_of(), held_out, held_out.values[:100] * 0, 0)
    wide = Head(np.zeros((CLASSES, CLASSES + 2), np.float32), np.full(CLASSES + 2, 99, np.float32))
    wide.kernel[:, 1:-1], wide.bias[1:-1] = head.kernel, head.bias
    shifted = Features(held_out.values, held_out.class_ids + 1)
    monkeypatch.setattr(module, "_AT_ONCE", 1000)
    classes = classes_of(retired=(0, CLASSES + 1), count=CLASSES + 2)
    assert calibrate(wide, classes, shifted, held_out.values[:100] * 0, 0) == plain


def test_scenes_get_no_name():
    head, held_out = photographs(factor=2)
    scenes = np.random.default_rng(1).normal(-6, 0.05, (200, CLASSES)).astype(np.float32)
    found = calibrate(head, classes_of(), held_out, scenes, 0)
    assert found.unknown is not None
    assert found.unknown["negatives"] == "given"
    assert found.unknown["scenes"] == 200
    assert (found.unknown["false_names"], found.unknown["kept"]) == (0, 1)
    named = (held_out.values.argmax(axis=1) == held_out.class_ids).sum()
    assert found.unknown["photographs"] == named
    # The line is between calibrated scenes and organisms, all classes taken together.
    together, of_scenes = (
        np.log(np.exp(values * 2 / found.temperature).sum(axis=1))
        for values in (held_out.values, scenes)
    )
    known = [1 / (1 + np.exp(found.unknown_logit - each)) for each in (of_scenes, together)]
    assert known[0].max() < found.unknown["threshold"] == KNOWN < known[1].min()


def test_scenes_that_look_as_much_like_organisms_as_organisms(capsys):
    head, held_out = photographs()
    found = calibrate(head, classes_of(), held_out, held_out.values + 50, 0)
    assert (found.unknown, found.unknown_logit) == (None, None)
    assert "do not tell" in capsys.readouterr().err


def test_few_validation_photographs_and_nothing_is_fitted(capsys):
    head, held_out = photographs(19)
    assert calibrate(head, classes_of(), held_out, None, 0) == Calibrated()
    assert capsys.readouterr().err == ""
    assert calibrate(head, classes_of(), held_out, held_out.values, 0) == Calibrated()
    assert "19 validation photographs are too few" in capsys.readouterr().err


def test_few_named_rightly_and_no_threshold(capsys):
    head, held_out = photographs(40)
    wrong = Features(held_out.values, held_out.values.argmin(axis=1).astype(np.int32))
    found = calibrate(head, classes_of(), wrong, held_out.values, 0)
    assert found.unknown is None
    assert found.calibration is not None
    assert "0 validation photographs named rightly are too few" in capsys.readouterr().err


def test_what_the_release_before_had_is_kept(capsys):
    before = Calibrated(0.7, {"temperature": 0.7, "photographs": 90})
    head, held_out = photographs(19)
    found = calibrate(head, classes_of(), held_out, None, 0, before)
    assert found.temperature == 0.7
    assert found.calibration == {"temperature": 0.7, "photographs": 90, "inherited": True}
    assert "the temperature stays 0.7" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("n", "classes", "expected"),
    [(19, 10, 0), (20, 10, 20), (9000, 10, 5000), (9000, 60_000, 2236), (500, 10**9, 20)],
)
def test_so_many_photographs_are_drawn(n, classes, expected):
    numbers = drawn(n, classes, 3)
    assert len(numbers) == len(np.unique(numbers)) == expected
    assert (numbers == np.sort(numbers)).all()
    assert (numbers == drawn(n, classes, 3)).all()
    assert ((numbers >= 0) & (numbers < n)).all()


@pytest.fixture
def scenes(tmp_path) -> Path:
    """Grey pictures, and one that cannot be read."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for number in range(8):
        Image.new("RGB", (40, 40), (120 + number,) * 3).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


@pytest.fixture
def train(small_catalog, tmp_path):
    """Trains a tiny network; returns the exit code."""

    def run(*flags: str) -> int:
        own = ["--backbone=tiny", "--nopretrained", "--batch_size=4", "--learning_rate=0.05"]
        out = tmp_path / "model"
        return main(["train", f"--catalog={small_catalog}", f"--out={out}", *own, *flags])

    return run


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("trained", ["head", "all"])
def test_train_with_scenes(train, scenes, tmp_path, monkeypatch, capsys, trained):
    for place in (module, unknown):
        monkeypatch.setattr(place, "FEWEST", 1)
    flags = ["--epochs=3", f"--train={trained}", f"--negatives={scenes}"]
    assert train(*flags) == 0
    told = capsys.readouterr().err
    assert f"left out: {scenes / 'broken.png'}: not an image" in told
    model = open_model(tmp_path / "model")
    assert model.manifest["calibration"]["photographs"] == 4
    assert model.temperature != 1
    assert temperature_of(model.load()) == pytest.approx(model.temperature)
    assert model.manifest["unknown"]["scenes"] == 8
    assert model.thresholds.unknown == model.unknown_threshold == KNOWN
    assert unknown_logit_in(model.load()) == pytest.approx(model.unknown_logit)
    # The same folder elsewhere is the same input.
    moved = scenes.rename(tmp_path / "elsewhere")
    assert train(*flags[:-1], f"--negatives={moved}") == 0
    assert "already done" in capsys.readouterr().err
    (moved / "7.png").unlink()
    assert train(*flags[:-1], f"--negatives={moved}") == 2
    assert "was not made by this command with these flags" in capsys.readouterr().err


def test_too_few_validation_photographs_for_negatives(train, scenes, tmp_path, capsys):
    assert train(f"--negatives={scenes}") == 2
    assert "4 photographs in the split val; --negatives needs 20" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.slow
def test_a_model_that_was_calibrated(small_model, small_catalog, tmp_path):
    """Written, opened, loaded: softmax(logits / T) beside nothing known; another fingerprint."""
    from small_models import CONTRACT

    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.models.classifier import assemble, logits_of, take_apart
    from taxonvision.models.directory import write_model
    from taxonvision.models.trained_on import TrainedOn
    from taxonvision.runtime.probabilities import probabilities_of
    from taxonvision.storage import Recipe

    first, catalog = open_model(small_model), open_catalog(small_catalog)
    backbone, kernel, bias = take_apart(first.load())
    write_model(
        tmp_path,
        assemble(backbone, kernel, bias, temperature=0.5, unknown_logit=1.5),
        name="calibrated",
        recipe=Recipe("train"),
        contract=CONTRACT,
        classes=catalog.classes,
        taxonomy=catalog.taxonomy,
        names=catalog.names,
        history=[],
        facts={
            "backbone": {"name": "tiny", "pretrained": False},
            "catalog": catalog.fingerprint,
            "calibration": {"temperature": 0.5, "photographs": 30},
            "unknown": {"logit": 1.5, "threshold": 0.5},
        },
        trained_on=TrainedOn.nothing(),
    )
    model = open_model(tmp_path)
    assert (model.temperature, model.unknown_threshold, model.unknown_logit) == (0.5, 0.5, 1.5)
    assert (first.temperature, first.unknown_threshold, first.unknown_logit) == (1, 0, None)
    assert model.fingerprint != first.fingerprint
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    logits = np.asarray(logits_of(first.load())([pixels.astype(np.float32)])) / 0.5
    expected = probabilities_of(logits, 1.5)
    recognizer = model.recognizer()
    np.testing.assert_allclose(recognizer.score(pixels), expected, rtol=1e-4, atol=1e-7)
    assert recognizer.thresholds.unknown == 0.5


@pytest.mark.parametrize(
    "damage",
    [
        {"calibration": {"temperature": 0}},
        {"calibration": {"temperature": "warm"}},
        {"calibration": []},
        {"unknown": {"threshold": -1}},
        {"unknown": {"threshold": 2}},
        {"unknown": 0.5},
        {"unknown": {"logit": "high", "threshold": 0.5}},
    ],
)
def test_a_manifest_with_nonsense(small_model, tmp_path, damage):
    from dataclasses import replace

    from taxonvision.errors import UserError

    model = open_model(small_model)
    model = replace(model, manifest={**json.loads(json.dumps(dict(model.manifest))), **damage})
    with pytest.raises(UserError, match=r"model\.json: (calibration|unknown)"):
        _ = model.temperature, model.thresholds, model.unknown_logit
