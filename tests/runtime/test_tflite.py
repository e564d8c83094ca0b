from __future__ import annotations

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.runtime.tflite import TFLiteModel


@pytest.fixture(scope="module")
def graph():
    """Converts a tiny classifier to TFLite with the batch and type that is asked for."""
    from taxonvision.models.engine import load_keras

    keras = load_keras()
    from taxonvision.models.tflite import to_tflite

    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(pooled))
    return lambda batch, kind="float32": (model, to_tflite(model, batch, kind))


@pytest.mark.parametrize(("batch", "kind"), [(1, "float32"), (4, "float32"), (1, "uint8")])
def test_any_number_of_photographs_is_scored_as_keras_does(graph, batch, kind):
    model, content = graph(batch, kind)
    runner = TFLiteModel(content, "tiny")
    assert runner.input.shape == (batch, 8, 8, 3)
    assert runner.input.dtype == kind
    photographs = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
    expected = model.predict_on_batch(photographs.astype(np.float32))
    assert np.abs(runner.run(photographs) - expected).max() < 1e-5
    assert runner.run(photographs[:0]).shape == (0, 5)


def test_an_answer_that_is_no_number_is_refused():
    from taxonvision.models.engine import load_keras

    keras = load_keras()
    from taxonvision.models.tflite import to_tflite

    inputs = keras.Input((8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    content = to_tflite(keras.Model(inputs, keras.ops.log(pooled - 1)), 1)
    runner = TFLiteModel(content, "odd.tflite")
    assert runner.run(np.full((1, 8, 8, 3), 2, np.uint8)).tolist() == [[0, 0, 0]]
    with pytest.raises(UserError, match=r"odd\.tflite answers what is no number"):
        runner.run(np.zeros((1, 8, 8, 3), np.uint8))


def test_a_model_that_fails_as_it_runs_is_refused(graph, monkeypatch):
    _, content = graph(1)
    runner = TFLiteModel(content, "odd.tflite")

    def invoke():
        raise RuntimeError("gather index out of bounds\nNode number 3 failed to invoke.")

    monkeypatch.setattr(runner._interpreter, "invoke", invoke)
    with pytest.raises(UserError, match=r"odd\.tflite cannot be run: gather .* bounds Node"):
        runner.run(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\0" * 4096])
def test_what_is_no_model_is_refused_and_nothing_else_is_said(content, capfd):
    with pytest.raises(UserError, match=r"spam\.tflite is no TFLite model"):
        TFLiteModel(content, "spam.tflite")
    assert capfd.readouterr() == ("", "")


def test_a_graph_that_reads_no_images_is_refused():
    from taxonvision.models.engine import load_keras

    keras = load_keras()
    from taxonvision.models.tflite import to_tflite

    inputs = keras.Input((6,))
    content = to_tflite(keras.Model(inputs, keras.layers.Dense(2)(inputs)), 1)
    with pytest.raises(UserError, match="not square RGB images"):
        TFLiteModel(content, "table.tflite")
