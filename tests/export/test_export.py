from __future__ import annotations

import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from small_models import write_small_model

from taxonvision.catalog.catalog import open_catalog
from taxonvision.errors import AlreadyDone, GateRefusedError, UserError
from taxonvision.export import recipes
from taxonvision.export.export import export
from taxonvision.export.inat_rules import check_inat
from taxonvision.export.options import ExportOptions
from taxonvision.export.region import Region
from taxonvision.export.verify_profile import verify_profile
from taxonvision.models.directory import open_model
from taxonvision.photograph import read_upright
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.device_files import device_file
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.runtime.verify import verify
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


def export_small(small_model, small_catalog, out, region=None, **options):
    names = options.pop("quantize", ["float32"])
    return export(
        open_model(small_model),
        open_catalog(small_catalog),
        region,
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


NOISE = np.random.default_rng(0).integers(0, 256, (60, 32, 32, 3), np.uint8)


@pytest.mark.parametrize("rank", [None, 2])
def test_a_regional_bundle_gives_the_same_order(
    small_model, small_catalog, small_bundle, tmp_path, rank
):
    region = Region((3, 5, 6), 4, (47.3, 11.4, 50.0))
    options = {"quantize": ["int8"], "head_rank": rank}
    out = export_small(small_model, small_catalog, tmp_path / "bundle", region, **options)[0]
    if rank:
        small_bundle = export_small(small_model, small_catalog, tmp_path / "whole", **options)[0]
    assert manifest_of(out)["head"]["rank"] == rank
    assert manifest_of(out)["region"] == {"taxa": 3, "of": 4, "within": [47.3, 11.4, 50.0]}
    assert not (out / "names/de.json").read_text().count("Kleiner Fuchs")
    whole, cut = (open_bundle(bundle).recognizer() for bundle in (small_bundle, out))
    kept = [at for at, taxon_id in enumerate(whole.class_taxon_ids) if taxon_id != 4]
    assert cut.class_taxon_ids == tuple(whole.class_taxon_ids[at] for at in kept)
    assert verify(out) == []
    before, after = whole.score(NOISE)[:, kept], cut.score(NOISE)
    assert (np.argsort(-before, axis=1) == np.argsort(-after, axis=1)).all()
    shares = before / before.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(after, shares, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("rank", "message"),
    [
        (3, r"16 features and 3 classes smaller: give at most 2"),
        ("auto", r"20 validation .* are 4"),
    ],
)
def test_the_head_of_a_region_is_what_factors_must_be_smaller_than(
    small_model, small_catalog, tmp_path, rank, message
):
    region = Region((3, 5, 6), 4)
    with pytest.raises(UserError, match=message):
        export_small(small_model, small_catalog, tmp_path / "bundle", region, head_rank=rank)


def test_logits_are_read_as_probabilities(small_model, small_catalog, tmp_path):
    options = {"head_rank": 3, "output_type": "logits"}
    out = export_small(small_model, small_catalog, tmp_path / "logits", **options)[0]
    manifest = manifest_of(out)
    assert (manifest["head"]["rank"], manifest["output"]["kind"]) == (3, "logits")
    bundle = open_bundle(out)
    plain = export_small(small_model, small_catalog, tmp_path / "plain", head_rank=3)[0]
    found = bundle.recognizer().score(NOISE)
    np.testing.assert_allclose(found, open_bundle(plain).recognizer().score(NOISE), atol=1e-5)
    assert TFLiteModel(bundle.read("model.tflite"), "logits").run(NOISE).min() < 0
    assert verify(out) == []


def test_what_the_apps_of_inaturalist_read(small_model, small_catalog, tmp_path):
    options = {"profile": "inat", "quantize": ["int8"]}
    out = export_small(small_model, small_catalog, tmp_path / "bundle", **options)[0]
    manifest = manifest_of(out)
    assert manifest["input"]["shape"] == [1, 299, 299, 3]
    assert manifest["input"]["dtype"] == manifest["output"]["dtype"] == "float32"
    assert sorted(path.name for path in (out / "inat").iterdir()) == [
        "commonNames.tar.gz", "taxonomy.csv", "taxonomy.json",
    ]  # fmt: skip
    model = TFLiteModel((out / "model.tflite").read_bytes(), "model.tflite")
    scores = model.run(np.full((1, 299, 299, 3), 90, np.uint8))
    assert check_inat(out / "inat", model, scores) == []
    assert verify(out) == verify_profile(out) == []
    (out / "inat/taxonomy.json").unlink()
    sums = (out / "SHA256SUMS").read_text().splitlines(keepends=True)
    (out / "SHA256SUMS").write_text(
        "".join(line for line in sums if "inat/taxonomy.json" not in line)
    )
    assert verify_profile(out) == ["inat: taxonomy.json is missing or no file"]


def test_a_model_that_reads_more_than_the_apps_hand_over(small_model, small_catalog, tmp_path):
    model = open_model(small_model)
    larger = {**model.manifest, "contract": {"size": 384, "crop_ratio": 1.0}}
    options = ExportOptions(["float32"], profile="inat")
    with pytest.raises(UserError, match=r"384 pixels and cannot run at 299.*--image_size=299"):
        export(
            replace(model, manifest=larger), open_catalog(small_catalog), None, options,
            tmp_path / "bundle", {"float32": Recipe("export")},
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_scenes_want_validation_photographs_beside_them(small_model, small_catalog, tmp_path):
    with pytest.raises(UserError, match=r"--negatives needs 20 validation .* there are 4"):
        export_small(small_model, small_catalog, tmp_path / "b", negatives=[tmp_path / "empty.png"])


@pytest.mark.parametrize(
    "options",
    [{"profile": "inat", "input_type": "uint8"}, {"profile": "mediapipe", "output_type": "logits"}],
)
def test_what_a_profile_cannot_have(options):
    with pytest.raises(UserError, match="needs --"):
        ExportOptions(["int8"], **options)


def test_a_temperature_is_in_the_graph(small_model, small_catalog, tmp_path):
    from taxonvision.models.parts import parts_of

    model = open_model(small_model)
    backbone, kernel, bias = parts_of(model)
    catalog = open_catalog(small_catalog)
    write_small_model(
        tmp_path / "warm", "warm", backbone.model, kernel, bias, catalog, catalog.photos("train"),
        temperature=2.0,
    )  # fmt: skip
    out = export_small(tmp_path / "warm", small_catalog, tmp_path / "bundle")[0]
    assert manifest_of(out)["calibration"] == {"temperature": 2.0, "photographs": 30}
    logits = np.log(model.recognizer().score(NOISE))
    powers = np.exp(logits / 2)
    expected = powers / powers.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        open_bundle(out).recognizer().score(NOISE), expected, rtol=1e-3, atol=1e-6
    )


@pytest.mark.slow
def test_nothing_known_is_a_class_of_every_graph(small_model, small_catalog, tmp_path):
    from taxonvision.evaluation.calibration import log_sum_exp
    from taxonvision.models.parts import parts_of
    from taxonvision.runtime.probabilities import probabilities_of

    backbone, kernel, bias = parts_of(open_model(small_model))
    logits = np.asarray(backbone.model(NOISE.astype(np.float32))) @ kernel + bias
    unknown_logit = float(np.median(log_sum_exp(logits)))
    catalog = open_catalog(small_catalog)
    record = {"negatives": "given", "scenes": 9, "false_names": 0.0, "photographs": 30, "kept": 1.0}
    write_small_model(
        tmp_path / "model", "wary", backbone.model, kernel, bias, catalog, catalog.photos("train"),
        unknown={"logit": unknown_logit, "threshold": 0.95, **record},
    )  # fmt: skip
    expected = probabilities_of(logits, unknown_logit)
    assert expected.sum(axis=1).min() < 0.5 < expected.sum(axis=1).max()
    for kind, name, tolerance in (
        ("probabilities", "float32", 1e-4),
        ("logits", "float32", 1e-4),
        ("probabilities", "dynamic", 0.05),
    ):
        out = tmp_path / kind / name
        export_small(tmp_path / "model", small_catalog, out, output_type=kind, quantize=[name])
        manifest = manifest_of(out)
        assert manifest["output"]["unknown_logit"] == unknown_logit
        assert (manifest["unknown"], manifest["thresholds"]["unknown"]) == (record, 0.95)
        assert verify(out) == []
        found = open_bundle(out).recognizer().score(NOISE)
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.slow
def test_int8_leaves_the_class_of_nothing_known_in_float(small_model):
    from taxonvision.export.graph import exported_network
    from taxonvision.export.head import ExportHead
    from taxonvision.models.parts import parts_of
    from taxonvision.models.tflite import to_tflite
    from taxonvision.runtime.probabilities import probabilities_of

    backbone, kernel, bias = parts_of(open_model(small_model))
    head = ExportHead((3, 4, 5, 6), (kernel,), bias, 6.0)
    logits, shares = (
        TFLiteModel(recipes.int8(to_tflite(network, 1), NOISE, "uint8"), kind).run(NOISE)
        for kind in ("logits", "probabilities")
        for network in [exported_network(backbone.model, head, kind)]
    )
    assert np.ptp(shares.sum(axis=1)) > 0.1
    np.testing.assert_allclose(shares, probabilities_of(logits, 6.0), rtol=1e-3, atol=1e-6)
