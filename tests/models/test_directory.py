from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.directory import is_model, open_model


@pytest.fixture
def model(small_model, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(small_model, tmp_path / "model"))


def test_what_was_written_is_opened(small_model):
    model = open_model(small_model)
    assert is_model(small_model)
    assert model.name == "four butterflies"
    assert [c.name for c in model.classes] == [
        "Aglais io", "Aglais urticae", "Pieris napi", "Pieris rapae",
    ]  # fmt: skip
    assert model.names["de"][3] == "Tagpfauenauge"
    assert (model.contract.size, model.contract.crop_ratio) == (32, 1.0)
    with (small_model / "history.csv").open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert epochs == list(range(1, 61))


def test_it_scores_pixels_as_probabilities(small_model):
    recognizer = open_model(small_model).recognizer()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    scores = recognizer.score(pixels)
    assert scores.shape == (5, 4)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert recognizer.class_taxon_ids == (3, 4, 6, 5)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", "half"])
def test_a_damaged_keras_file_is_one_sentence(model, damage):
    path = model / "model.keras"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if damage == "half" else damage)
    with pytest.raises(UserError, match=r"model\.keras cannot be loaded as a Keras model"):
        open_model(model).load()


def test_a_keras_file_with_code_in_it_is_refused_and_not_run(model, tmp_path):
    from taxonvision.models.engine import load_keras

    keras = load_keras()
    inputs = keras.Input((2,))
    trace = tmp_path / "was_here"

    def leave_a_trace(x, path=str(trace)):
        import pathlib

        pathlib.Path(path).touch()
        return x

    hostile = keras.Model(inputs, keras.layers.Lambda(leave_a_trace)(inputs))
    hostile.save(model / "model.keras")
    trace.unlink(missing_ok=True)
    with pytest.raises(UserError, match="cannot be loaded"):
        open_model(model).load()
    assert not trace.exists()


def test_what_is_no_model_is_told(tmp_path, model):
    with pytest.raises(UserError, match="does not exist"):
        open_model(tmp_path / "nowhere")
    with pytest.raises(UserError, match="is no model"):
        open_model(tmp_path)
    manifest = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(UserError, match="newer taxonvision"):
        open_model(model)
    (model / "model.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        open_model(model)
