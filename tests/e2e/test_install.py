"""The wheel: what a plain `pip install` brings, without any extra."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", out, REPOSITORY]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_device_files_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "taxonvision/device_files/bundle.schema.json" in names
    assert "taxonvision/device_files/BUNDLE.md" in names
    assert "taxonvision/device_files/android/README.md" in names
    assert "taxonvision/device_files/web/index.html" in names
    assert "taxonvision/device_files/web/vendor/litert/LICENSE" in names
    assert "taxonvision/evaluation/report/templates/results.html" in names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "export"))]


def test_a_plain_install_names_photographs_without_tensorflow(wheel, workshop, tmp_path):
    environment = tmp_path / "venv"
    # The pip that is here installs into it: one of its own takes longer to unpack than this wheel.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python]
    done = subprocess.run([*pip, "install", "--quiet", wheel], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    photograph = next((workshop.synth / "photos").rglob("*.jpg"))
    named = subprocess.run(
        [environment / "bin" / "taxonvision", "predict", f"--model={workshop.bundle()}",
         "--format=json", photograph],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert named.returncode == 0, named.stderr
    assert json.loads(named.stdout)[0]["suggestions"]
    compared = subprocess.run(
        [environment / "bin" / "taxonvision", "compare",
         f"--reference={workshop.results('full')}", f"--candidate={workshop.results('int8')}",
         f"--out={tmp_path / 'comparison'}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    camera = subprocess.run(
        [environment / "bin" / "taxonvision", "camera", f"--bundle={workshop.bundle()}",
         f"--out={tmp_path / 'site'}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert camera.returncode == 0, camera.stderr
    assert (tmp_path / "site/vendor/litert/wasm/litert_wasm_internal.wasm").stat().st_size > 2**20
    script = (
        "import importlib.util, json\n"
        "from taxonvision.runtime.device_files import device_file\n"
        "schema = json.loads(device_file('bundle.schema.json').read_text(encoding='utf-8'))\n"
        "print(schema['title'], importlib.util.find_spec('tensorflow'))\n"
    )
    read = subprocess.run([python, "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert read.stdout.strip() == "taxonvision bundle.json None", read.stderr
    for command in (
        ["train", f"--catalog={workshop.catalog}", f"--out={tmp_path / 'model'}"],
        ["quickstart", f"--workdir={tmp_path / 'quickstart'}"],
    ):
        refused = subprocess.run(
            [environment / "bin" / "taxonvision", *command],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert refused.returncode == 2
        assert refused.stderr.strip().endswith("pip install 'taxonvision[train]'")
        assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "quickstart").exists()
