"""The command in this process: a teacher of one convolution, a student with a tiny backbone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_train  # noqa: F401 - brings the backbone
from tiny_fit import Killed

from taxonvision.cli.main import main
from taxonvision.features.store import FeatureStore
from taxonvision.models.directory import open_model
from taxonvision.training import loop

STEPS = 6


def flags_of(small_catalog, small_model, out: Path) -> list[str]:
    where = [f"--teacher={small_model}", f"--catalog={small_catalog}", f"--out={out}"]
    return [
        *where, "--backbone=tiny", "--nopretrained", "--epochs=2", "--batch_size=4",
        "--checkpoint_steps=2",
    ]  # fmt: skip


@pytest.fixture
def command(small_catalog, small_model, tmp_path, eager) -> Callable[..., int]:
    """Teaches a tiny network with more flags; returns the exit code."""

    def run(*flags: str, out: Path = tmp_path / "student") -> int:
        return main(["distill", *flags_of(small_catalog, small_model, out), *flags])

    return run


@pytest.mark.slow
def test_a_student_says_whom_it_learned_from(command, small_model, tmp_path, capsys):
    assert command("--train=head", "--views=2", "--teacher_weight=0.6") == 0
    told = capsys.readouterr().err
    assert f"\nlearning from {small_model}, which knows 4 of the 4 taxa\n" in told
    assert "the teacher's features of train, 2 views: " in told
    manifest = open_model(tmp_path / "student").manifest
    teacher = open_model(small_model)
    assert manifest["distilled_from"] == {
        "name": "four butterflies",
        "version": "1",
        "fingerprint": teacher.fingerprint,
        "taxa": 4,
        "weight": 0.6,
        "softness": 2.0,
    }
    assert manifest["backbone"]["name"] == "tiny"
    assert manifest["made_by"]["command"] == "distill"
    assert manifest["made_by"]["inputs"]["teacher"] == teacher.fingerprint
    assert command("--train=head", "--views=2", "--teacher_weight=0.6") == 0
    assert capsys.readouterr().err == f"already done: {tmp_path / 'student'}\n"
    assert command("--train=head", "--views=2", "--teacher_weight=0.5") == 2


@pytest.mark.slow
def test_a_killed_student_ends_as_an_undisturbed_one(command, tmp_path, monkeypatch, capsys):
    """All layers, by stages; the teacher looks at each photograph only once."""
    flags = ("--train=head:1,all", "--augment=light", "--logit_adjustment=1", "--sampling=0.5")
    assert command(*flags, out=tmp_path / "whole") == 0
    call = loop.TrainingStep.__call__

    def killed(self, inputs, labels, number, stop):
        class_ids, features = labels
        assert (class_ids.shape, features.shape) == ((4,), (4, 16))
        if number == 5:
            raise Killed
        return call(self, inputs, labels, number, stop)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(loop.TrainingStep, "__call__", killed)
        command(*flags)
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(FeatureStore, "_extract", lambda *_: pytest.fail("looked again"))
        assert command(*flags) == 0
    told = capsys.readouterr().err
    assert "the teacher's features of train: 12 from the cache, 0 extracted\n" in told
    assert f"\ngoing on from step 4 of {STEPS}\n" in told
    whole, resumed = (open_model(tmp_path / name) for name in ("whole", "student"))
    assert whole.fingerprint == resumed.fingerprint
