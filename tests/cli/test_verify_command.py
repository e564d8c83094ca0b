from __future__ import annotations

import subprocess
import sys

import pytest
from damaged_bundles import as_folder, as_zip, edited, read_files, sealed

from taxonvision.cli.main import main


@pytest.fixture(scope="module")
def files(small_bundle):
    return read_files(small_bundle)


def test_a_sound_bundle_is_ok(files, tmp_path, capsys):
    place = as_zip(sealed(files), tmp_path)
    assert main(["verify", str(place)]) == 0
    assert capsys.readouterr() == ("", f"{place}: ok\n")


def test_findings_are_lines_on_stdout(files, tmp_path, capsys):
    whole = sealed(files)
    place = as_folder(whole | {"labels.txt": b"?", "more\x1b[2J": b""}, tmp_path)
    assert main(["verify", str(place)]) == 2
    assert capsys.readouterr() == (
        "labels.txt is damaged: it differs from SHA256SUMS\n"
        "more\N{REPLACEMENT CHARACTER}[2J is not listed in SHA256SUMS\n",
        f"{place}: 2 findings\n",
    )


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_it_takes_one_bundle(arguments, capsys):
    assert main(["verify", *arguments]) == 2
    assert capsys.readouterr() == (
        "",
        "taxonvision: `verify` takes one bundle; usage: taxonvision verify BUNDLE\n",
    )


def test_what_is_no_bundle_is_one_line(tmp_path, capsys):
    (tmp_path / "text.zip").write_text("no zip")
    for place, sentence in (
        (tmp_path / "nothing", f"there is no bundle {tmp_path / 'nothing'}"),
        (tmp_path, f"{tmp_path} is no bundle: it has no bundle.json"),
        (tmp_path / "text.zip", f"{tmp_path / 'text.zip'}: File is not a zip file"),
    ):
        assert main(["verify", str(place)]) == 2
        assert capsys.readouterr() == ("", f"taxonvision: {sentence}\n")


@pytest.mark.slow
def test_the_folder_one_stands_in_is_no_code(files, tmp_path):
    """A bundle that brings modules of Python's names, and somebody who stands in it."""
    code = b"raise SystemExit('code of the bundle ran')"
    more = {f"{name}.py": code for name in ("json", "resource", "numpy", "taxonvision")}
    place = as_folder(sealed(files | more), tmp_path)
    command = "import sys; from taxonvision.cli.main import main; sys.exit(main(['verify', '.']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", command], cwd=place, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ".: ok\n")


@pytest.mark.slow
def test_no_tensorflow_is_loaded_and_no_traceback_shown(files, tmp_path):
    code = (
        "import sys; from taxonvision.cli.main import main; code = main(['verify', sys.argv[1]]);"
        "print([m for m in ('tensorflow', 'keras', 'duckdb') if m in sys.modules], code)"
    )
    for number, (changed, last) in enumerate(
        ((files, "[] 0"), (edited(files, lambda m: m.pop("golden")), "[] 2"))
    ):
        (tmp_path / str(number)).mkdir()
        place = as_folder(sealed(changed), tmp_path / str(number))
        done = subprocess.run(
            [sys.executable, "-c", code, str(place)], capture_output=True, text=True, timeout=60
        )
        assert done.stdout.splitlines()[-1] == last
        assert "Traceback" not in done.stdout + done.stderr
