from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

_BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "finetune.py"


@pytest.mark.slow
def test_training_all_layers_is_no_worse_than_the_head_alone(tmp_path):
    command = [sys.executable, str(_BENCHMARK), "--short", f"--workdir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    head, tuned = (
        float(re.search(rf"{name}: top-1 ([0-9.]+), macro", done.stdout)[1])
        for name in ("head alone", "all layers")
    )
    assert tuned >= head
    assert "epoch 8 of 8 (all): loss" in done.stderr
    assert re.search(r"difference [+-][0-9.]+ points, 95 % of resamples from", done.stdout)
