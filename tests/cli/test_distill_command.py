"""What `distill` refuses: in one line, by exit code 2, and before anything is written."""

from __future__ import annotations

import shutil

import pytest

from taxonvision.cli.main import main


@pytest.fixture
def refused(small_catalog, small_model, tmp_path, monkeypatch, capsys):
    """The line that a call with these flags ends with."""
    for variable in ("TF_CONFIG", "SLURM_JOB_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(variable, raising=False)

    def call(*flags: str, teacher=small_model) -> str:
        out = tmp_path / "student"
        where = [f"--teacher={teacher}", f"--catalog={small_catalog}", f"--out={out}"]
        assert main(["distill", *where, *flags]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        *_, line = told.err.splitlines()
        assert line.startswith("taxonvision: ")
        assert not [path for path in tmp_path.iterdir() if path.name.startswith("student")]
        return line

    return call


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--teacher_weight=1.5", "--teacher_weight=1.5"),
        ("--teacher_weight=0", "`distill`: teacher_weight must be above 0 and at most 1, not 0.0"),
        ("--softness=0", "`distill`: softness must be from 0.1 to 100, not 0.0"),
        ("--softness=nan", "softness"),
        ("--softnes=1", "did you mean --softness?"),
        ("--train=everything", "'everything' is none of head, top_blocks, all"),
    ],
)
def test_flags(refused, flags, message):
    assert message in refused(*flags.split())


def test_a_teacher_that_is_none(refused, tmp_path, small_catalog):
    assert "no/such/model does not exist" in refused(teacher=tmp_path / "no" / "such" / "model")
    assert "is no model" in refused(teacher=small_catalog)


def test_a_teacher_of_other_taxa(refused, small_model, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(small_model, other)
    rows = (other / "classes.csv").read_text().replace(",active,", ",retired,")
    (other / "classes.csv").write_text(rows)
    assert refused(teacher=other) == (
        f"taxonvision: {other} knows none of the taxa of the catalog, so that it cannot teach "
        "them; take a model that was trained on some of them"
    )


def test_no_teacher(capsys, small_catalog, tmp_path):
    out = tmp_path / "student"
    assert main(["distill", f"--catalog={small_catalog}", f"--out={out}"]) == 2
    assert "`distill` needs --teacher; usage: taxonvision distill" in capsys.readouterr().err


def test_help_tells_of_its_own_flags_and_of_those_of_train(capsys):
    assert main(["distill", "--help"]) == 0
    text = capsys.readouterr().out
    for flag in ("teacher", "teacher_weight", "softness", "strategy", "early_stopping"):
        assert f"\n  --{flag}: " in text
    assert "(default: all)" in text
