from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.runtime.bundle import Bundle, check_golden, is_bundle, open_bundle


@pytest.fixture
def bundle(small_bundle, tmp_path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(small_bundle, tmp_path / "bundle"))


def seal(folder: Path) -> None:
    """Write SHA256SUMS anew, as somebody would who damages a bundle on purpose."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "SHA256SUMS"]
    lines = [
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n"
        for p in files
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def edit(folder: Path, change) -> None:
    manifest = json.loads((folder / "bundle.json").read_text())
    change(manifest)
    (folder / "bundle.json").write_text(json.dumps(manifest))
    seal(folder)


def zipped(folder: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for path in folder.rglob("*"):
            archive.write(path, path.relative_to(folder))
    return target


def test_folder_and_zip_give_the_same_answers(bundle, tmp_path):
    archive = zipped(bundle, tmp_path / "bundle.zip")
    assert is_bundle(bundle)
    assert is_bundle(archive)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    opened = [open_bundle(path) for path in (bundle, archive)]
    scores = [one.recognizer().score(pixels) for one in opened]
    assert (scores[0] == scores[1]).all()
    assert np.allclose(scores[0].sum(axis=1), 1, atol=1e-5)
    assert opened[0].fingerprint == opened[1].fingerprint


def test_names_in_every_language_come_with_it(bundle):
    names = open_bundle(bundle).names()
    assert names["en"][3] == "peacock"
    assert names["de"][5] == "Kleiner Kohlweißling"
    assert 6 not in names["de"]


def test_golden_photographs_agree_and_a_changed_model_does_not(bundle):
    opened = open_bundle(bundle)
    recognizer = opened.recognizer()
    assert check_golden(opened, recognizer) == []
    first = opened.golden[0]
    entry = next(iter(first.top))

    def shift(manifest):
        manifest["golden"][0]["top"][0]["score"] = first.top[entry] - 2 * first.tolerance

    edit(bundle, shift)
    changed = open_bundle(bundle)
    assert check_golden(changed, changed.recognizer()) == [
        f"{first.file}: a score differs by {2 * first.tolerance:.4f}, more than {first.tolerance:g}"
    ]


@pytest.mark.parametrize("name", ["model.tflite", "taxonomy.csv", "bundle.json", "labels.txt"])
def test_a_flipped_byte_is_found(bundle, name):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(UserError, match="is damaged: it differs from SHA256SUMS"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["model.tflite", "taxonomy.csv", "SHA256SUMS", "golden/1.png"])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(UserError, match=name):
        open_bundle(bundle)


@pytest.mark.parametrize("line", ["0  ../secret", "0  /etc/passwd", "nonsense", "0  a\\..\\b"])
def test_checksums_cannot_lead_outside(bundle, line):
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write(line + "\n")
    with pytest.raises(UserError, match="unusable line"):
        open_bundle(bundle)


def test_a_file_left_out_of_the_checksums_is_noticed(bundle):
    lines = (bundle / "SHA256SUMS").read_text().splitlines(keepends=True)
    (bundle / "SHA256SUMS").write_text("".join(x for x in lines if "model.tflite" not in x))
    with pytest.raises(UserError, match=r"does not list model\.tflite"):
        open_bundle(bundle)


def test_a_newer_format_is_refused_and_unknown_fields_are_passed_over(bundle):
    edit(bundle, lambda manifest: manifest.update(hologram=True))
    assert isinstance(open_bundle(bundle), Bundle)
    edit(bundle, lambda manifest: manifest.update(schema_version=99))
    with pytest.raises(UserError, match="newer taxonvision"):
        open_bundle(bundle)


@pytest.mark.parametrize(
    "field", ["name", "quantization", "contract", "thresholds", "languages", "golden"]
)
def test_a_lacking_field_is_one_sentence(bundle, field):
    edit(bundle, lambda manifest: manifest.pop(field))
    with pytest.raises(UserError, match=field):
        open_bundle(bundle)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    )
)
def test_any_json_is_opened_or_refused_in_one_sentence(small_bundle, tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("odd")
    for name in ("model.tflite", "taxonomy.csv"):
        shutil.copy(small_bundle / name, folder / name)
    (folder / "bundle.json").write_text(json.dumps(value))
    seal(folder)
    with pytest.raises(UserError):
        open_bundle(folder)


def test_a_model_that_does_not_fit_the_tree_is_refused(bundle):
    rows = (bundle / "taxonomy.csv").read_text().splitlines()
    kept = [row for row in rows if "Pieris napi" not in row]
    (bundle / "taxonomy.csv").write_text("\n".join(kept) + "\n")
    seal(bundle)
    with pytest.raises(UserError, match=r"taxonomy\.csv"):
        open_bundle(bundle).recognizer()


def test_a_truncated_model_is_refused(bundle):
    content = (bundle / "model.tflite").read_bytes()
    (bundle / "model.tflite").write_bytes(content[:100])
    seal(bundle)
    with pytest.raises(UserError, match="no TFLite model that LiteRT can run"):
        open_bundle(bundle).recognizer()
