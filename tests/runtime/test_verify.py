from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import time
from pathlib import Path

import hostile_models
import pytest
from damaged_bundles import (
    as_folder,
    as_zip,
    damaged,
    edited,
    flipped_models,
    read_files,
    sealed,
    with_model,
    with_thresholds,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taxonvision.errors import UserError
from taxonvision.runtime import verify as verify_module
from taxonvision.runtime.bundle_files import list_files
from taxonvision.runtime.verify import verify
from taxonvision.runtime.verify_graph import check_graph
from taxonvision.runtime.verify_run import check_run
from taxonvision.runtime.verify_tree import check_tree
from taxonvision.taxonomy.tree import Taxon, Taxonomy


@pytest.fixture(scope="module")
def files(small_bundle):
    return read_files(small_bundle)


@pytest.fixture
def quiet_place(tmp_path, monkeypatch):
    """An empty folder for bundles; what is written elsewhere would be below its parent."""
    inner = tmp_path / "inner"
    for name in ("bundles", "temporary", "work"):
        (inner / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(inner / "temporary"))
    monkeypatch.setenv("TMPDIR", str(inner / "temporary"))
    monkeypatch.chdir(inner / "work")
    return inner / "bundles"


def listing(root: Path):
    statuses = [(path, path.lstat()) for path in sorted(root.rglob("*"))]
    return [(path, s.st_mode, path.is_dir() or (s.st_size, s.st_mtime_ns)) for path, s in statuses]


def said_of(place: Path) -> list[str]:
    """The findings, or why it is refused; in any case lines, and nothing written."""
    root = place.parents[2]
    before = listing(root)
    try:
        findings = verify(place)
    except UserError as error:
        findings = [str(error)]
    assert listing(root) == before
    for finding in findings:
        assert finding.isprintable(), finding
        assert len(finding) < 1000
        assert "Traceback" not in finding
    return findings


def test_a_sound_bundle_has_no_findings_as_folder_and_zip(files, quiet_place):
    for write in (as_folder, as_zip):
        assert said_of(write(sealed(files), quiet_place)) == []


def test_thresholds_by_taxon_are_no_finding(files, quiet_place):
    assert said_of(as_folder(sealed(with_thresholds(files, "3,0.5")), quiet_place)) == []


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("99,0.5", "thresholds.csv has a threshold for taxon 99, which is not in taxonomy.csv"),
        ("3,2", "thresholds.csv cannot be read: a threshold is no fraction of 1: ['3', '2']"),
        ("3,\x1b[2J", "thresholds.csv cannot be read: a row holds no taxon id and number: "),
        ("3,0.5\n" * 6 * 2**20, "thresholds.csv is refused: it has more than 32 MiB"),
    ],
)
def test_thresholds_of_other_taxa_or_numbers(files, quiet_place, not_run, rows, sentence):
    (finding,) = said_of(as_folder(sealed(with_thresholds(files, rows)), quiet_place))
    assert sentence in finding


def test_a_table_of_thresholds_and_its_mention_go_together(files, quiet_place, not_run):
    whole = with_thresholds(files, "3,0.5")
    unnamed = edited(whole, lambda manifest: manifest["thresholds"].pop("by_taxon"))
    (finding,) = said_of(as_folder(sealed(unnamed), quiet_place))
    assert finding.endswith("by_taxon does not name thresholds.csv, which is there")
    shutil.rmtree(quiet_place / "bundle")
    absent = {name: content for name, content in whole.items() if name != "thresholds.csv"}
    (finding,) = said_of(as_folder(sealed(absent), quiet_place))
    assert finding.endswith("by_taxon needs thresholds.csv, which is not there")


def test_a_bundle_of_version_1_has_none_either(files, quiet_place):
    def older(manifest):
        for field in ("profile", "head", "calibration", "unknown", "validation", "region"):
            del manifest[field]
        manifest["schema_version"] = 1
        manifest["thresholds"] = {"shown": 0.7}

    assert said_of(as_folder(sealed(edited(files, older)), quiet_place)) == []


@pytest.fixture
def not_run(monkeypatch):
    """No child process is started: what is found is found without running the model."""
    monkeypatch.setattr(verify_module, "check_run", lambda *_: [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_200_damaged_bundles_are_each_refused_or_reported(files, quiet_place):
    assert said_of(as_folder(sealed(files), quiet_place)) == []
    bundles, passed = list(damaged(files, seed=6)), []
    assert len(bundles) >= 200
    for bundle in bundles:
        shutil.rmtree(quiet_place)
        quiet_place.mkdir()
        if not said_of(bundle.write(quiet_place)):
            passed.append(bundle.what)
    assert passed == []


@pytest.mark.slow
def test_flips_in_a_model_whose_checksum_is_right_end_in_an_answer(files, quiet_place):
    answers = []
    for bundle in flipped_models(files, seed=1, number=6):
        shutil.rmtree(quiet_place)
        quiet_place.mkdir()
        answers.append(said_of(bundle.write(quiet_place)))
    assert any(answers)
    assert not all(answers)  # some weight or other that makes no difference


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (hostile_models.calls_itself, r"crashes LiteRT \(SIGSEGV\)"),
        (hostile_models.wants_memory, "model.tflite .* LiteRT|model.tflite needs more"),
    ],
)
def test_a_model_that_harms_litert_is_one_finding(files, quiet_place, make, sentence):
    content = make(json.loads(files["bundle.json"]))
    place = as_folder(sealed(with_model(files, content)), quiet_place)
    (finding,) = said_of(place)
    assert re.search(sentence, finding)


@pytest.mark.slow
def test_a_model_without_an_end_is_given_up(files, quiet_place):
    content = hostile_models.never_ends(json.loads(files["bundle.json"]))
    place = as_folder(sealed(with_model(files, content)), quiet_place)
    fingerprint = list_files(place).fingerprint
    start = time.monotonic()
    assert check_run(place, fingerprint, len(content), seconds=2) == [
        "model.tflite does not answer within 2 seconds"
    ]
    assert time.monotonic() - start < 10


def test_a_bundle_exchanged_in_the_meantime_is_not_run(files, quiet_place):
    place = as_folder(sealed(files), quiet_place)
    (finding,) = check_run(place, "0" * 64, len(files["model.tflite"]))
    assert "exchanged" in finding


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (hostile_models.declares_a_huge_tensor, "asks for tensors of 43980465.* more than 2 GiB"),
        (
            lambda m: hostile_models.needs_operator(m, "FlexConv2D"),
            "TensorFlow's own operator Flex",
        ),
        (lambda m: hostile_models.needs_operator(m, "Mine\x1b[2J"), "the custom operator Mine"),
        (lambda m: b"", "is no TFLite model"),
        (lambda m: b"\xff\xff\xff\x7fTFL3" + bytes(100), "lead outside of the file"),
    ],
)
def test_what_a_graph_says_of_itself(files, make, sentence):
    manifest = json.loads(files["bundle.json"])
    (finding,) = check_graph(make(manifest), manifest)
    assert re.search(sentence, finding)
    assert finding.isprintable()


@given(data=st.data())
def test_a_cut_or_changed_graph_is_read_or_reported(files, data):
    content, manifest = bytearray(files["model.tflite"]), json.loads(files["bundle.json"])
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    assert all("\n" not in finding for finding in check_graph(bytes(content[:cut]), manifest))


@pytest.mark.parametrize("role", ["input", "output"])
@pytest.mark.parametrize(
    ("part", "value"), [("name", "another"), ("dtype", "int8"), ("shape", [1, 9])]
)
def test_tensors_are_those_of_the_description(files, role, part, value):
    manifest = json.loads(files["bundle.json"])
    found = manifest[role][part]
    manifest[role][part] = value
    assert check_graph(files["model.tflite"], manifest) == [
        f"model.tflite has the {role} {part} {str(found)!r}, and bundle.json says {str(value)!r}"
    ]


def put(*path):
    """A change of bundle.json: the last of `path` is put at the place named by the others."""

    def change(manifest):
        for step in path[:-2]:
            manifest = manifest[step]
        manifest[path[-2]] = path[-1]

    return change


REGION = {"taxa": 4, "of": 9, "within": [50.0, 10.0, 100.0]}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("model", "bytes", 5), "model.bytes is 5, and model.tflite has"),
        (put("model", "classes", 5), "model.classes 5"),
        (put("contract", "size", 33), "contract.size 33"),
        (put("thresholds", "common_ancestor", "rank_levels", [33, 20]), "thresholds: rank levels"),
        (put("thresholds", "shown", 1.5), r"\$\.thresholds\.shown: 1\.5 is greater"),
        (put("agreement", "same_name", 10**6), "same_name is more than photographs"),
        (put("region", {**REGION, "of": 3}), "4 taxa of 3"),
        (put("region", {**REGION, "taxa": 3}), "region.taxa is 3, and model.classes 4"),
        (put("region", {**REGION, "within": [91, 0, 1]}), "no latitude, longitude and kilometres"),
        (put("languages", ["en", "de", "en"]), "one stands there twice"),
        (put("languages", ["en"]), "does not list names/de.json"),
        (put("golden", 0, "file", "golden/2.png"), "a file stands there twice"),
        (put("golden", 0, "license", " "), "golden/1.png has no licence"),
        (put("golden", 5, "exact", True), "is no PNG, and exact"),
        (put("golden", 0, "top", 0, "taxon_id", 2), "expects taxon 2, which is no output"),
        (put("golden", 0, "top", 0, "score", 0.0), "not listed best first"),
        (put("name", "a" * 10 + "\x1b[31m" * 2**16), None),
        (put("schema_version", 2**40), "newer taxonvision"),
        (put("schema_version", 0), "no schema_version"),
    ],
)
def test_a_description_that_contradicts_the_bundle(files, quiet_place, not_run, change, sentence):
    findings = said_of(as_folder(sealed(edited(files, change)), quiet_place))
    if sentence is None:
        assert findings == []
    else:
        assert [finding for finding in findings if re.search(sentence, finding)]


def test_a_region_that_fits_is_no_finding(files, quiet_place, not_run):
    changed = edited(files, put("region", REGION))
    assert said_of(as_folder(sealed(changed), quiet_place)) == []


@pytest.mark.parametrize("size", [(31, 32), (64, 64)])
def test_an_exact_picture_is_of_the_contracts_size(files, quiet_place, not_run, size):
    picture = io.BytesIO()
    Image.new("RGB", size).save(picture, "PNG")
    place = as_folder(sealed(files | {"golden/1.png": picture.getvalue()}), quiet_place)
    assert said_of(place) == [
        f"bundle.json: golden/1.png has {size[0]} x {size[1]} pixels, RGB; "
        "exact files have 32 x 32, RGB"
    ]


def test_a_chain_of_taxa_is_no_tree():
    chain = [Taxon.of_rank(i, i - 1 or None, "kingdom", "Link") for i in range(1, 102)]
    assert check_tree(Taxonomy(chain[:100]), [100], 1) == []
    assert check_tree(Taxonomy(chain), [101], 1) == [
        "taxonomy.csv: taxon 101 has 100 ancestors or more"
    ]


def test_many_findings_are_cut_short(files, quiet_place, not_run):
    changed = edited(files, lambda m: m.update(golden=[{}] * 1000, languages=[1] * 1000))
    assert len(said_of(as_folder(sealed(changed), quiet_place))) == 20
    shutil.rmtree(quiet_place / "bundle")
    more = {f"{number}.txt": b"" for number in range(100)}
    findings = said_of(as_folder(sealed(files) | more, quiet_place))
    assert len(findings) == 21
    assert findings[-1] == "and so on for 80 files more"
