from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import AlreadyDone, GateRefusedError, UserError
from taxonvision.export import recipes
from taxonvision.export.export import export
from taxonvision.export.options import ExportOptions
from taxonvision.models.directory import open_model
from taxonvision.photograph import read_upright
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.device_files import device_file
from taxonvision.storage import Recipe
from taxonvision.tables import read_csv


def manifest_of(bundle: Path) -> dict:
    return json.loads((bundle / "bundle.json").read_text())


def test_bundle_json_follows_the_schema(small_bundle):
    schema = json.loads(device_file("bundle.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(manifest_of(small_bundle), schema)


def test_every_file_the_format_names_is_there(small_bundle):
    text = device_file("BUNDLE.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    assert len(named) == 8
    for name in named:
        assert (small_bundle / name.replace("<language>", "de")).exists(), name


def test_tree_labels_and_outputs_tell_the_same(small_bundle):
    rows = read_csv(small_bundle / "taxonomy.csv")
    outputs = {int(row["leaf_class_id"]): row["name"] for row in rows if row["leaf_class_id"]}
    labels = (small_bundle / "labels.txt").read_text().splitlines()
    assert labels == [outputs[i] for i in range(4)]
    assert manifest_of(small_bundle)["output"]["shape"] == [1, 4]
    assert {row["rank_level"] for row in rows} == {"10", "20"}


def test_golden_files_are_pixels_and_turned_jpegs(small_bundle):
    golden = manifest_of(small_bundle)["golden"]
    exact = [entry for entry in golden if entry["exact"]]
    assert len(exact) == 5
    assert all(Image.open(small_bundle / entry["file"]).size == (32, 32) for entry in exact)
    orientations = [
        Image.open(small_bundle / entry["file"]).getexif().get(0x0112)
        for entry in golden
        if not entry["exact"]
    ]
    assert orientations == [1, 6, 3]
    assert {entry["attribution"] for entry in golden} == {"the tests"}


def test_a_turned_golden_jpeg_shows_the_same_picture_as_its_png(small_bundle):
    bundle = open_bundle(small_bundle)
    for number, orientation in ((1, 1), (2, 6), (3, 3)):
        png, jpeg = (
            bundle.contract.apply(read_upright(bundle.read(name))).astype(int)
            for name in (f"golden/{number}.png", f"golden/{number}_exif{orientation}.jpg")
        )
        assert np.abs(png - jpeg).mean() < 12
        assert np.abs(png - jpeg).mean() < np.abs(png - jpeg[::-1, ::-1]).mean()


def export_small(small_model, small_catalog, out, **options):
    names = options.pop("quantize", ["float32"])
    return export(
        open_model(small_model),
        open_catalog(small_catalog),
        None,
        ExportOptions(names, **options),
        out,
        {name: Recipe("export", {"quantize": name, **options}) for name in names},
    )


def test_several_recipes_give_a_bundle_each_and_are_made_once(small_model, small_catalog, tmp_path):
    out = tmp_path / "bundles"
    written = export_small(small_model, small_catalog, out, quantize=["float32", "float16"])
    assert written == [out / "float32", out / "float16"]
    assert manifest_of(out / "float32")["input"]["dtype"] == "float32"
    before = (out / "float32" / "bundle.json").stat().st_mtime_ns
    added = export_small(small_model, small_catalog, out, quantize=["float32", "dynamic"])
    assert added == [out / "dynamic"]
    assert (out / "float32" / "bundle.json").stat().st_mtime_ns == before
    with pytest.raises(AlreadyDone):
        export_small(small_model, small_catalog, out, quantize=["float32", "dynamic"])


def test_the_input_type_is_a_choice_for_every_recipe(small_model, small_catalog, tmp_path):
    out = export_small(small_model, small_catalog, tmp_path / "b", input_type="uint8")[0]
    assert manifest_of(out)["input"]["dtype"] == "uint8"
    assert open_bundle(out).recognizer().score(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 4)


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic", "int8"])
def test_a_broken_graph_is_refused_and_nothing_is_written(
    small_model, small_catalog, tmp_path, monkeypatch, name
):
    untrained = importlib.import_module("keras").models.clone_model(open_model(small_model).load())
    to_tflite = importlib.import_module("taxonvision.models.tflite").to_tflite
    monkeypatch.setitem(recipes.RECIPES, name, lambda *arguments: to_tflite(untrained, 1))
    with pytest.raises(GateRefusedError, match="does not agree with the full one"):
        export_small(small_model, small_catalog, tmp_path / "bundle", quantize=[name])
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_several_bundles_are_not_written_into_one(small_model, small_catalog, tmp_path):
    out = export_small(small_model, small_catalog, tmp_path / "bundle")[0]
    with pytest.raises(UserError, match="is a bundle; choose another --out"):
        export_small(small_model, small_catalog, out, quantize=["float32", "float16"])


def test_without_licensed_photographs_synthetic_ones_fill_up(small_model, photo_folder, tmp_path):
    from taxonvision.catalog.ingest import IngestOptions, ingest
    from taxonvision.catalog.sources.folder import FolderOptions, stage_folder

    folder = FolderOptions(labels=photo_folder / "labels.csv", license="CC-BY-NC-4.0")
    ingest(
        lambda staging: stage_folder(staging, photo_folder, folder),
        "folder",
        IngestOptions(),
        tmp_path / "catalog",
        Recipe("ingest"),
    )
    out = export_small(small_model, tmp_path / "catalog", tmp_path / "bundle")[0]
    golden = manifest_of(out)["golden"]
    assert len(golden) == 8
    assert {entry["license"] for entry in golden} == {"CC0-1.0"}
    assert {entry["attribution"] for entry in golden} == {"synthetic picture by taxonvision"}
