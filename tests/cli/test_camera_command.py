from __future__ import annotations

import json
import re
import signal
import ssl
import subprocess
import sys
import urllib.request

import pytest
from small_page import small_bundle_files

from taxonvision.cli.main import main


@pytest.fixture
def faulty(tmp_path):
    return small_bundle_files(tmp_path / "bundle")


def test_findings_end_it(faulty, tmp_path, capsys):
    assert main(["camera", f"--bundle={faulty}", f"--out={tmp_path / 'site'}"]) == 2
    out, err = capsys.readouterr()
    assert "taxonomy.csv is missing\n" in out
    assert err.endswith("; no camera is made of it\n")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("more", ["--https", "--port=8000"])
def test_out_serves_nothing(faulty, tmp_path, capsys, more):
    assert main(["camera", f"--bundle={faulty}", f"--out={tmp_path / 'site'}", more]) == 2
    assert "leave out --https and --port" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_ports_that_are_none(faulty, capsys, port):
    assert main(["camera", f"--bundle={faulty}", f"--port={port}"]) == 2
    assert f"--port={port}" in capsys.readouterr().err


def test_https_says_which_extra_it_needs(faulty, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert main(["camera", f"--bundle={faulty}", "--https"]) == 2
    assert capsys.readouterr().err == (
        "taxonvision: `camera` needs the package cryptography: pip install 'taxonvision[https]'\n"
    )


@pytest.mark.slow
def test_out_writes_the_site_and_says_how_to_host_it(small_bundle, tmp_path, capsys):
    out = tmp_path / "site"
    arguments = ["camera", f"--bundle={small_bundle}", f"--out={out}"]
    assert main(arguments) == 0
    stdout, err = capsys.readouterr()
    assert stdout == ""
    assert re.search(rf"^{out}: \d+ files, \d+\.\d MB\n.*HTTPS", err, re.MULTILINE)
    listed = json.loads((out / "site.json").read_text())["files"]
    assert all((out / name).is_file() for name in listed)
    assert "vendor/litert/wasm/litert_wasm_compat_internal.wasm" in listed
    assert (out / "bundle/SHA256SUMS").read_bytes() == (small_bundle / "SHA256SUMS").read_bytes()
    assert main(arguments) == 0
    assert capsys.readouterr().err.endswith(f"already done: {out}\n")


@pytest.mark.slow
@pytest.mark.parametrize(("how", "flags"), [("http", []), ("https", ["--https"])])
def test_it_serves_until_ctrl_c_without_tensorflow(small_bundle, how, flags):
    script = (
        "import sys; from taxonvision.cli.main import main; code = main(sys.argv[1:]);"
        "print([name for name in ('tensorflow', 'keras', 'duckdb') if name in sys.modules], code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "camera", f"--bundle={small_bundle}", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # The tests may run where Ctrl-C is ignored, in the background of a shell.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        address = process.stdout.readline().strip()
        assert re.fullmatch(rf"{how}://[a-z0-9.-]+:\d+/", address), process.stderr.read()
        trusting = ssl._create_unverified_context()
        with urllib.request.urlopen(f"{address}bundle/bundle.json", context=trusting) as answer:
            assert answer.read() == (small_bundle / "bundle.json").read_bytes()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert out.splitlines()[-1] == "[] 0"
    assert err.endswith("the camera is served there; Ctrl-C ends it\n")
    assert ("the browser will warn" in err) == (how == "https")
