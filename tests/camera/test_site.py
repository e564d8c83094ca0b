"""A site holds the page and the bundle, a version of both, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil

import pytest
from small_page import REAL, small_bundle_files, small_web

from taxonvision.camera.site import assemble, write_site
from taxonvision.errors import AlreadyDone, UserError


@pytest.fixture
def web(tmp_path):
    return small_web(tmp_path / "web")


@pytest.fixture
def bundle(tmp_path):
    return small_bundle_files(tmp_path / "bundle")


def manifest_of(site):
    return json.loads(site.files["site.json"])


def test_the_files_of_a_site(web, bundle):
    for name in ("README.md", "litert.json", ".DS_Store", "vendor/litert.partial/x", "vendor/y.js"):
        (web / name).parent.mkdir(exist_ok=True)
        (web / name).write_text("not for a browser")
    files = assemble(bundle, web).files
    assert sorted(files) == sorted(
        [
            *REAL, "index.html", "js/main.js", "site.json", "vendor/litert/VERSION.json",
            "vendor/litert/wasm/run.wasm", "bundle/SHA256SUMS", "bundle/bundle.json",
            "bundle/golden/1.png", "bundle/labels.txt", "bundle/model.tflite",
            "bundle/names/en.json",
        ]
    )  # fmt: skip
    assert files["bundle/SHA256SUMS"] == (bundle / "SHA256SUMS").read_bytes()


def test_the_manifest_lists_what_a_browser_keeps_with_hashes(web, bundle):
    site = assemble(bundle, web)
    manifest = manifest_of(site)
    assert set(manifest["files"]) == site.files.keys() - {"site.json", "service-worker.js"}
    assert set(manifest["integrity"]) == set(manifest["files"])
    for name, integrity in manifest["integrity"].items():
        digest = hashlib.sha256(site.files[name]).digest()
        assert integrity == f"sha256-{base64.b64encode(digest).decode()}"
    worker = site.files["service-worker.js"].decode()
    assert f'const VERSION = "{manifest["version"]}";' in worker
    assert '"development"' not in worker


@pytest.mark.parametrize("name", ["index.html", "js/offline.js", "vendor/litert/wasm/run.wasm"])
def test_any_change_of_the_page_is_another_version(web, bundle, name):
    before = manifest_of(assemble(bundle, web))["version"]
    assert manifest_of(assemble(bundle, web))["version"] == before
    with (web / name).open("ab") as file:
        file.write(b" ")
    assert manifest_of(assemble(bundle, web))["version"] != before


def test_another_bundle_or_another_name_is_another_version(web, bundle, tmp_path):
    other = small_bundle_files(tmp_path / "other", label="monarch")
    versions = {manifest_of(assemble(place, web))["version"] for place in (bundle, other)}
    (web / "js" / "main.js").rename(web / "js" / "other.js")
    versions.add(manifest_of(assemble(bundle, web))["version"])
    assert len(versions) == 3


@pytest.mark.parametrize(
    "name", ["evil.html", "evil.js", ".htaccess", "names/.htaccess", "names/a/b.json", "_headers"]
)
def test_a_bundle_brings_no_pages_and_no_settings_of_servers(web, tmp_path, name):
    bundle = small_bundle_files(tmp_path / "b", **{name: b"<script>"})
    files = assemble(bundle, web).files
    assert f"bundle/{name}" not in files
    assert name not in files["bundle/SHA256SUMS"].decode()


@pytest.mark.parametrize("name", ["golden/1.html", "golden/1.svg", "golden/.png"])
def test_a_golden_photograph_is_named_like_one(web, tmp_path, name):
    bundle = small_bundle_files(tmp_path / "b", **{name: b"<script>"})
    with pytest.raises(UserError, match=r"name it \.png or \.jpg"):
        assemble(bundle, web)


def test_a_file_that_was_changed_after_verifying_is_refused(web, bundle):
    (bundle / "labels.txt").write_text("other")
    with pytest.raises(UserError, match=r"labels\.txt is damaged"):
        assemble(bundle, web)


def test_without_litert_it_is_said_what_to_do(web, bundle):
    shutil.rmtree(web / "vendor")
    with pytest.raises(UserError, match="install taxonvision again"):
        assemble(bundle, web)


def test_a_zip_gives_the_same_site(web, bundle, tmp_path):
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", bundle)
    assert assemble(tmp_path / packed, web) == assemble(bundle, web)


def test_written_it_is_the_same_and_done_once(web, bundle, tmp_path):
    site = assemble(bundle, web)
    out = tmp_path / "site"
    write_site(site, out, overwrite=False)
    written = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file()
    }
    assert written == site.files
    with pytest.raises(AlreadyDone):
        write_site(site, out, overwrite=False)
    other = assemble(small_bundle_files(tmp_path / "other", label="monarch"), web)
    with pytest.raises(UserError, match="--overwrite"):
        write_site(other, out, overwrite=False)
    write_site(other, out, overwrite=True)
    assert (out / "bundle" / "labels.txt").read_text() == "monarch"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "other", "site", "web"]
