from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import numpy as np
import pytest

from taxonvision.catalog.catalog import SPLITS, open_catalog
from taxonvision.catalog.contents import content_of
from taxonvision.cli.examples import inputs_of, open_examples
from taxonvision.cli.main import main
from taxonvision.dataset.plan import PrepareOptions
from taxonvision.dataset.prepare import prepare
from taxonvision.dataset.shards import is_shards, open_shards
from taxonvision.dataset.stored import stored_photos
from taxonvision.errors import UserError
from taxonvision.evaluation.results import read_results
from taxonvision.photograph import read_bytes
from taxonvision.runtime.contract import Contract
from taxonvision.storage import Recipe, read_json


@pytest.mark.parametrize("split", SPLITS)
def test_the_photographs_are_the_catalogs(small_catalog, small_shards, split):
    catalog, shards = open_catalog(small_catalog), open_shards(small_shards)
    expected, found = catalog.photos(split), shards.photos(split)
    assert found.photo_ids == expected.photo_ids
    assert found.class_ids.tolist() == expected.class_ids.tolist()
    assert found.class_ids.dtype == expected.class_ids.dtype
    assert found.licenses == expected.licenses
    assert found.attributions == expected.attributions
    counts = np.bincount(expected.class_ids, minlength=len(catalog.classes)).tolist()
    assert catalog.count_by_class(split).tolist() == counts
    assert shards.count_by_class(split).tolist() == counts


@pytest.mark.parametrize("split", SPLITS)
def test_keys_are_those_of_the_jpegs_within(small_catalog, small_shards, split):
    shards = open_shards(small_shards)
    photos, stored = shards.photos(split), stored_photos(shards, split)
    expected = [content_of(read_bytes(source)) for source in photos.sources]
    assert [tuple(row) for row in photos.contents.tolist()] == expected
    assert stored.contents.tolist() == photos.contents.tolist()
    catalog = open_catalog(small_catalog)
    of_catalog = stored_photos(catalog, split).contents
    assert of_catalog.tolist() == catalog.photos(split).contents.tolist()
    assert not (of_catalog == photos.contents).any()


@pytest.mark.parametrize("split", SPLITS)
def test_observations_and_places_are_the_catalogs(observed_catalog, observed_shards, split):
    expected, found = (each.observed(split) for each in (observed_catalog, observed_shards))
    assert found.observation_ids == expected.observation_ids
    np.testing.assert_array_equal(found.latitudes, expected.latitudes)
    np.testing.assert_array_equal(found.longitudes, expected.longitudes)
    assert any(found.observation_ids)
    assert "" in found.observation_ids


def test_shards_of_before_there_were_observations_tell_none(own_shards):
    index = own_shards / "index.parquet"
    with duckdb.connect() as connection:
        connection.read_parquet(str(index)).create("new")
        old = "SELECT * EXCLUDE (observation_id, latitude, longitude) FROM new"
        connection.sql(old).write_parquet(str(index))
    observed = open_shards(own_shards).observed("train")
    assert observed.observation_ids == [""] * 12
    assert np.isnan(observed.latitudes).all()
    assert np.isnan(observed.longitudes).all()


def test_shards_of_before_there_were_keys_have_none(own_shards):
    index = own_shards / "index.parquet"
    with duckdb.connect() as connection:
        connection.read_parquet(str(index)).create("new")
        old = connection.sql("SELECT * EXCLUDE (content_high, content_low) FROM new")
        old.write_parquet(str(index))
    shards = open_shards(own_shards)
    for photos in (shards.photos("train"), stored_photos(shards, "train")):
        assert photos.contents.dtype == np.uint64
        assert photos.contents.tolist() == [[0, 0]] * 12


def test_the_contract_finds_the_same_pixels(photographs, tmp_path):
    catalog = open_catalog(photographs)
    prepare(catalog, PrepareOptions(), tmp_path / "shards", Recipe("prepare"))
    expected, found = catalog.photos("train"), open_shards(tmp_path / "shards").photos("train")
    assert found.photo_ids == expected.photo_ids
    direct, shrunk = (
        np.concatenate(list(Contract(224).read_batches(photos.sources, 3))).astype(int)
        for photos in (expected, found)
    )
    assert len(direct) == 8
    assert (np.abs(direct - shrunk).mean(axis=(1, 2, 3)) < 2).all()
    assert (np.abs(direct - shrunk[::-1]).mean(axis=(1, 2, 3)) > 4).all()


def test_the_rest_is_the_catalogs(small_catalog, small_shards):
    catalog, shards = open_catalog(small_catalog), open_shards(small_shards)
    assert shards.fingerprint == catalog.fingerprint
    assert shards.classes == catalog.classes
    assert shards.names == catalog.names
    assert list(shards.taxonomy) == list(catalog.taxonomy)
    assert {split: shards.manifest["counts"][split] for split in SPLITS} == {
        split: catalog.manifest["counts"][split] for split in SPLITS
    }
    assert (catalog.shrunk_to, shards.shrunk_to) == (0, 32)


def test_either_is_opened(small_catalog, small_shards, tmp_path):
    assert open_examples(small_catalog).folder == small_catalog
    assert open_examples(small_shards).folder == small_shards
    assert not is_shards(small_catalog)
    inputs = [inputs_of(open_examples(path)) for path in (small_catalog, small_shards)]
    assert inputs[0] != inputs[1]
    assert inputs[0]["catalog"] == inputs[1]["catalog"]
    with pytest.raises(UserError, match="does not exist"):
        open_examples(tmp_path / "gone")


def test_reading_needs_no_tensorflow(small_shards):
    program = """
import sys
from pathlib import Path
from taxonvision.cli.examples import open_examples
from taxonvision.runtime.contract import Contract
photos = open_examples(Path(sys.argv[1])).photos("train")
print(sum(map(len, Contract(32).read_batches(photos.sources, 4))))
assert not {"tensorflow", "tensorflow_datasets", "apache_beam"} & set(sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(small_shards)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "12\n"), done.stderr


# Damaged.


def first_file(shards):
    return shards / read_json(shards / "shards.json")["files"][0]["file"]


def test_a_missing_file(own_shards):
    first_file(own_shards).unlink()
    with pytest.raises(
        UserError, match=r"tfrecord-0.* cannot be read: No such file.*prepare again"
    ):
        open_shards(own_shards)


def test_a_file_cut_short(own_shards):
    file = first_file(own_shards)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"has \d+ bytes and should have \d+; prepare again"):
        open_shards(own_shards)


def test_an_image_overwritten(own_shards):
    file = first_file(own_shards)
    file.write_bytes(bytes(file.stat().st_size))
    photos = open_shards(own_shards).photos("train")
    sentence = r"tfrecord-0.*, bytes \d+ to \d+ is listed .*prepare again"
    with pytest.raises(UserError, match=sentence):
        list(Contract(32).read_batches(photos.sources, 4))


@pytest.mark.parametrize("content", [b"", b"PAR1"])
def test_a_damaged_index(own_shards, content):
    (own_shards / "index.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"index\.parquet cannot be read"):
        open_shards(own_shards).photos("val")


@pytest.mark.parametrize("fault", ["counts", "files"])
def test_an_index_of_other_shards(own_shards, fault):
    manifest = read_json(own_shards / "shards.json")
    if fault == "counts":
        manifest["counts"]["val"] += 1
    else:
        manifest["files"] = [entry for entry in manifest["files"] if entry["split"] != "val"]
    (own_shards / "shards.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=r"index\.parquet is not that of"):
        open_shards(own_shards).photos("val")


@pytest.mark.parametrize("field", ["fingerprint", "counts", "files", "size", "schema_version"])
def test_a_manifest_that_lacks_something(own_shards, field):
    manifest = read_json(own_shards / "shards.json")
    del manifest[field]
    (own_shards / "shards.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match=f"{field}; make the set of shards again"):
        open_shards(own_shards)


@pytest.mark.parametrize("entry", [None, 3, {}, {"file": 3, "bytes": 4}, {"file": "x"}])
def test_a_manifest_with_nonsense_in_it(own_shards, entry):
    manifest = read_json(own_shards / "shards.json")
    manifest["files"][0] = entry
    (own_shards / "shards.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="prepare again"):
        open_shards(own_shards)


# Commands.


def test_evaluate_takes_shards_for_the_catalog(
    small_bundle, observed_catalog, observed_shards, tmp_path, capsys
):
    def evaluate(catalog, out):
        flags = [f"--model={small_bundle}", f"--catalog={catalog}", f"--out={tmp_path / out}"]
        assert main(["evaluate", *flags]) == 0
        return read_json(tmp_path / out / "results.json")

    direct = evaluate(observed_catalog.folder, "direct")
    shrunk = evaluate(observed_shards.folder, "shrunk")
    assert direct["catalog"]["fingerprint"] == shrunk["catalog"]["fingerprint"]
    assert direct["fingerprint"] != shrunk["fingerprint"]
    metrics = [read_json(tmp_path / out / "metrics.json") for out in ("direct", "shrunk")]
    assert metrics[0]["top1"] == metrics[1]["top1"]
    photographs = [read_results(tmp_path / out).scores.photographs for out in ("direct", "shrunk")]
    for name in ("photo_ids", "observation_ids", "truth", "latitudes", "longitudes"):
        np.testing.assert_array_equal(*(getattr(each, name) for each in photographs))
    assert "already done" not in capsys.readouterr().err
    results = f"--reference={tmp_path / 'direct'}", f"--candidate={tmp_path / 'shrunk'}"
    assert main(["compare", *results, f"--out={tmp_path / 'comparison'}"]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.slow
def test_train_takes_shards_for_the_catalog(small_shards, tmp_path, capsys):
    flags = ["--backbone=mobilenet_v2", "--pretrained=false", "--image_size=40", "--epochs=2"]
    flags += [f"--catalog={small_shards}", f"--out={tmp_path / 'model'}"]
    assert main(["train", *flags]) == 0
    said = capsys.readouterr().err
    assert "were shrunk to 32 pixels and are enlarged for a network that wants 40" in said
    model = read_json(tmp_path / "model" / "model.json")
    assert model["catalog"] == open_shards(small_shards).fingerprint
    assert set(model["made_by"]["inputs"]) == {"catalog", "shards", "negatives"}


def test_export_wants_the_catalog(small_model, small_shards, tmp_path, capsys):
    flags = [f"--model={small_model}", f"--catalog={small_shards}", f"--out={tmp_path / 'o'}"]
    assert main(["export", *flags]) == 2
    assert "is no catalog" in capsys.readouterr().err
