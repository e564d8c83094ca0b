from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from taxonvision.errors import UserError
from taxonvision.export.mediapipe import with_metadata
from taxonvision.models.directory import open_model
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.tflite import TFLiteModel

pytestmark = pytest.mark.slow  # loading mediapipe takes seconds


@pytest.fixture(scope="module")
def contents(small_bundle, small_model):
    """The small model in int8 with uint8 in, as a quantiser left it, and in float32."""
    from taxonvision.models.tflite import to_tflite

    float32 = to_tflite(open_model(small_model).load(), 1)
    return {"uint8": (small_bundle / "model.tflite").read_bytes(), "float32": float32}


@pytest.fixture(scope="module")
def golden(small_bundle):
    """The PNGs of the bundle: uint8 [n, 32, 32, 3]."""
    entries = json.loads((small_bundle / "bundle.json").read_text())["golden"]
    files = [small_bundle / entry["file"] for entry in entries if entry["exact"]]
    return np.stack([np.asarray(Image.open(file)) for file in files])


def described(content, input_dtype="float32", labels=("a", "b", "c", "d")):
    return with_metadata(
        content, labels, name="four", description="Four butterflies.", input_dtype=input_dtype
    )


def classified(content, pixels, best=3):
    """What MediaPipe says of one photograph: the best classes with index, name and score."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageClassifierOptions(
        base_options=BaseOptions(model_asset_buffer=content), max_results=best
    )
    with vision.ImageClassifier.create_from_options(options) as classifier:
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pixels)
        return classifier.classify(image).classifications[0].categories


@pytest.mark.parametrize("input_dtype", ["uint8", "float32"])
def test_mediapipe_says_what_the_recognizer_says(contents, golden, small_bundle, input_dtype):
    recognizer = open_bundle(small_bundle).recognizer()
    names = [recognizer.taxonomy[taxon_id].name for taxon_id in recognizer.class_taxon_ids]
    content = described(contents[input_dtype], input_dtype, names)
    scores = TFLiteModel(contents[input_dtype], "plain").run(golden)
    assert len(golden) >= 5
    for pixels, row in zip(golden, scores, strict=True):
        expected = recognizer.answer(row, 3, "en").suggestions
        found = classified(content, pixels)
        assert [each.category_name for each in found] == [each.taxon.name for each in expected]
        assert [each.score for each in found] == pytest.approx(
            [each.score for each in expected], abs=1e-4
        )


@pytest.mark.parametrize("input_dtype", ["uint8", "float32"])
def test_litert_computes_the_same_as_before(contents, golden, input_dtype):
    plain = contents[input_dtype]
    content = described(plain, input_dtype)
    before, after = TFLiteModel(plain, "plain"), TFLiteModel(content, "described")
    assert (after.input, after.output) == (before.input, before.output)
    assert after.signature == before.signature
    assert np.array_equal(after.run(golden), before.run(golden))
    assert len(content) - len(plain) < 4096


def test_weights_begin_where_kernels_read_them_fastest(contents):
    from ai_edge_litert import schema_py_generated as schema

    content = described(contents["uint8"], "uint8")
    model = schema.Model.GetRootAs(content, 0)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    filled = [buffer.DataAsNumpy() for buffer in buffers if buffer.DataLength()]
    start = np.frombuffer(content, np.uint8).ctypes.data
    assert len(filled) > 5
    assert {(data.ctypes.data - start) % 16 for data in filled} == {0}
    assert {buffer.Offset() for buffer in buffers} == {0}  # nothing is left behind the table


def test_equal_input_gives_equal_bytes(contents):
    assert described(contents["uint8"], "uint8") == described(contents["uint8"], "uint8")


def test_odd_labels_stay_one_line_each(contents, golden):
    labels = ['Aglais "io", L. × 蝶', "a\nb\r\u2028c", "\x1b[2J", ""]
    content = described(contents["uint8"], "uint8", labels)
    found = {each.index: each.category_name for each in classified(content, golden[0], best=-1)}
    assert found == {0: 'Aglais "io", L. × 蝶', 1: "a b c", 2: "[2J", 3: "unnamed"}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.getinfo("labels.txt").compress_type == zipfile.ZIP_STORED


def test_a_label_for_each_output(contents):
    with pytest.raises(ValueError, match="3 labels for 4 outputs"):
        described(contents["float32"], labels=("a", "b", "c"))


def test_twice_is_refused(contents):
    with pytest.raises(UserError, match="has TFLite Metadata already"):
        described(described(contents["float32"]))


def test_a_bundle_for_mediapipe_is_verified(small_model, small_catalog, tmp_path):
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.export.export import export
    from taxonvision.export.options import ExportOptions
    from taxonvision.export.verify_profile import verify_profile
    from taxonvision.runtime.verify import verify
    from taxonvision.storage import Recipe

    out = tmp_path / "bundle"
    options = ExportOptions(["int8"], profile="mediapipe")
    recipes = {"int8": Recipe("export")}
    export(open_model(small_model), open_catalog(small_catalog), None, options, out, recipes)
    assert verify(out) == verify_profile(out) == []
    recognizer = open_bundle(out).recognizer()
    pixels = np.asarray(Image.open(out / "golden/1.png"))
    expected = recognizer.answer(recognizer.score(pixels[None])[0], 3, "en").suggestions
    found = classified((out / "model.tflite").read_bytes(), pixels)
    assert [each.category_name for each in found] == [each.taxon.name for each in expected]
    assert [each.score for each in found] == pytest.approx([e.score for e in expected], abs=1e-4)
