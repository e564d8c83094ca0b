from __future__ import annotations

from taxonvision.training.unfinished import CHECKPOINTS, go_on_with


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
