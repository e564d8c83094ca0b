from __future__ import annotations

from functools import partial

import pytest

from taxonvision.storage import Recipe
from taxonvision.training.unfinished import CHECKPOINTS, go_on_with, unfinished_model

unfinished = partial(unfinished_model, recipe=Recipe("train"), chief=True, overwrite=False)


def test_checkpoints_of_a_fit_on_other_rows_are_not_gone_on_with(tmp_path):
    go_on_with(tmp_path, "these")
    checkpoint = tmp_path / CHECKPOINTS / "step-0000000002.npz"
    checkpoint.touch()
    go_on_with(tmp_path, "these")
    assert checkpoint.exists()
    go_on_with(tmp_path, "others")
    assert not checkpoint.exists()


def test_checkpoints_of_unknown_rows_are_not_gone_on_with(tmp_path):
    checkpoint = tmp_path / CHECKPOINTS / "step-0000000002.npz"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    go_on_with(tmp_path, "these")
    assert not checkpoint.exists()


def test_what_no_run_can_go_on_with_is_removed(tmp_path):
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), unfinished(out) as folder:
        (folder / "logs").mkdir()
        (folder / "history.csv").touch()
        raise KeyboardInterrupt
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]


def test_checkpoints_are_kept_and_told_of(tmp_path, capsys):
    out = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), unfinished(out) as folder:
        (folder / CHECKPOINTS).mkdir()
        (folder / CHECKPOINTS / "step-0000000002.npz").touch()
        (folder / "history.csv").touch()
        raise KeyboardInterrupt
    kept = tmp_path / "model.partial"
    assert (kept / "history.csv").exists()
    assert capsys.readouterr().err == (
        f"checkpoints are kept in {kept}; the same command goes on there\n"
    )
