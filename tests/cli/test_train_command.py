"""What `train` refuses: in one line, by exit code 2, and before anything is written."""

from __future__ import annotations

import pytest

from taxonvision.cli.main import main


@pytest.fixture
def refused(small_catalog, tmp_path, monkeypatch, capsys):
    """The line that a call with these flags ends with."""
    for variable in ("TF_CONFIG", "SLURM_JOB_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(variable, raising=False)

    def call(*flags: str) -> str:
        out = tmp_path / "model"
        assert main(["train", f"--catalog={small_catalog}", f"--out={out}", *flags]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        [line] = told.err.splitlines()
        assert line.startswith("taxonvision: ")
        assert list(tmp_path.iterdir()) == []
        return line

    return call


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--epochs=0", "--epochs=0"),
        ("--batch_size=0", "--batch_size=0"),
        ("--checkpoint_steps=0", "--checkpoint_steps=0"),
        ("--warmup=0.2", "--warmup=0.2"),
        ("--learning_rate=-1", "--learning_rate=-1"),
        ("--learning_rate=nan", "learning_rate must be a number from 0 on, not nan"),
        ("--learning_rate=inf", "learning_rate must be a number from 0 on, not inf"),
        ("--weight_decay=nan", "weight_decay must be a number from 0 on, not nan"),
        ("--warmup=nan", "warmup must be from 0 to 0.1, not nan"),
        ("--ema=1", "ema must be at least 0 and below 1, not 1.0"),
        ("--sampling=1.5", "--sampling=1.5"),
        ("--label_smoothing=1", "label_smoothing must be at least 0 and below 1, not 1.0"),
        ("--label_smoothing=0.1 --tree_smoothing=10", "exclude each other; choose one"),
        ("--optimizer=adam", "--optimizer=adam"),
        ("--augment=mixup", "--augment=mixup"),
        ("--precision=float16", "--precision=float16"),
        ("--seed=-1", "--seed=-1"),
        ("--train=everything", "--train=everything: 'everything' is none of head, top_blocks, all"),
        ("--train=head,all", "--train=head,all: say how many epochs head lasts, as in head:2"),
        ("--train=head:2,all:3", "has 5 epochs and --epochs=20; make them equal"),
        ("--train=head:2,all --epochs=2", "needs more epochs than --epochs=2"),
        ("--strategy=multiworker", "--strategy=multiworker needs several processes"),
        ("--strategy=mirrored --tpu=local", "--tpu=local goes with --strategy=tpu"),
        ("--strategy=tpu", "no TPU was found as --tpu=local"),
        ("--init_from=/no/such/model", "/no/such/model does not exist"),
        ("--learning_rat=1", "did you mean --learning_rate?"),
    ],
)
def test_refused(refused, flags, message):
    assert message in refused(*flags.split())


def test_a_backbone_that_is_none(small_catalog, tmp_path, capsys):
    out, flag = tmp_path / "model", "--backbone=no_such_network"
    assert main(["train", f"--catalog={small_catalog}", f"--out={out}", flag]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("taxonvision: ")
    assert "no_such_network" in line
    assert not out.exists()


def test_a_catalog_that_is_none(tmp_path, capsys):
    assert main(["train", f"--catalog={tmp_path / 'none'}", f"--out={tmp_path / 'model'}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'none'} does not exist" in line


def test_another_thing_stands_there(small_catalog, tmp_path, capsys):
    (tmp_path / "model").write_text("mine")
    assert main(["train", f"--catalog={small_catalog}", f"--out={tmp_path / 'model'}"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        f"taxonvision: {tmp_path / 'model'} exists and was not made by this command with these "
        "flags and inputs; choose another --out or add --overwrite"
    )
    assert (tmp_path / "model").read_text() == "mine"


def test_help_tells_of_every_flag(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    for flag in ("strategy", "checkpoint_steps", "early_stopping", "init_from", "precision"):
        assert f"\n  --{flag}: " in text
