"""The flagfiles for TPUs are read by the real flags of `train`."""

from __future__ import annotations

from pathlib import Path

import pytest
from absl import flags

from taxonvision.cli import train

FOLDER = Path(__file__).parents[2] / "tpu_configs"
REPLICAS = {"v3_8": 8, "v4_32": 16, "v5e_16": 16}


@pytest.fixture(params=REPLICAS)
def name(request):
    return request.param


def parsed(name, *arguments):
    values = flags.FlagValues()
    train.define(values)
    left = values(["train", f"--flagfile={FOLDER / f'{name}.flags'}", *arguments])
    assert left == ["train"]
    return values


def test_there_is_one_for_each_kind_of_tpu():
    assert {path.stem for path in FOLDER.iterdir()} == set(REPLICAS)


def test_train_reads_its_flags(name):
    values = parsed(name)
    assert (values.strategy, values.precision) == ("tpu", "mixed_bfloat16")
    assert values.tpu
    assert values.batch_size % REPLICAS[name] == 0
    assert values.batch_size // REPLICAS[name] in (128, 256)
    assert f"{REPLICAS[name]} replicas" in (FOLDER / f"{name}.flags").read_text()


def test_a_flag_after_the_file_wins(name):
    values = parsed(name, "--tpu=mine", "--batch_size=64")
    assert (values.tpu, values.batch_size, values.strategy) == ("mine", 64, "tpu")


def test_each_says_that_it_was_not_run(name):
    text = (FOLDER / f"{name}.flags").read_text()
    assert "\n# Not run here" in text
    assert f"--flagfile=tpu_configs/{name}.flags" in text


@pytest.mark.slow
def test_without_a_tpu_the_command_says_so_in_one_line(small_catalog, tmp_path, run_taxonvision):
    done = run_taxonvision(
        "train",
        f"--flagfile={FOLDER / 'v3_8.flags'}",
        f"--catalog={small_catalog}",
        f"--out={tmp_path / 'model'}",
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("taxonvision: no TPU was found as --tpu=local (")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists()
