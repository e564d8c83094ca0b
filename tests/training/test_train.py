"""The command in this process, with a tiny backbone; `test_resume.py` has it in others."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny_train  # noqa: F401 - brings the backbone
from PIL import Image
from tiny_fit import Killed

from taxonvision import storage
from taxonvision.catalog.ingest import IngestOptions, ingest
from taxonvision.catalog.sources.folder import FolderOptions, stage_folder
from taxonvision.cli.main import main
from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras
from taxonvision.storage import Recipe

load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.features.extract import FeatureExtractor  # noqa: E402
from taxonvision.models import directory  # noqa: E402
from taxonvision.models.directory import open_model  # noqa: E402
from taxonvision.training import checkpoints, loop, train  # noqa: E402
from taxonvision.training.unfinished import unfinished_model  # noqa: E402

EPOCHS = 3
STEPS = 3 * EPOCHS


pytestmark = pytest.mark.usefixtures("eager")


@pytest.fixture
def command(small_catalog, tmp_path) -> Callable[..., int]:
    """Trains a tiny network with more flags into a folder; returns the exit code."""

    def run(*flags: str, out: Path = tmp_path / "model", catalog: Path = small_catalog) -> int:
        own = [f"--epochs={EPOCHS}", "--batch_size=4", "--checkpoint_steps=2"]
        tiny = ["--backbone=tiny", "--nopretrained"]
        return main(["train", f"--catalog={catalog}", f"--out={out}", *tiny, *own, *flags])

    return run


def catalog_of(tmp_path, splits) -> Path:
    """A catalog with the classes and splits of `splits`: file to (class, split)."""
    root = tmp_path / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    for file in splits:
        pixels = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(root / file)
    with (tmp_path / "labels.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["file", "class", "split"])
        writer.writerows([file, *row] for file, row in splits.items())
    folder = FolderOptions(labels=tmp_path / "labels.csv")
    ingest(
        lambda staging: stage_folder(staging, root, folder),
        "folder",
        IngestOptions(),
        tmp_path / "catalog",
        Recipe("ingest"),
    )
    return tmp_path / "catalog"


def last_line(capsys) -> str:
    return capsys.readouterr().err.splitlines()[-1]


def shown(out: Path, tag: str) -> dict[int, np.ndarray]:
    """What TensorBoard shows by step."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return {
        event.step: tf.make_ndarray(value.tensor)
        for path in sorted((out / "logs").iterdir())
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == tag
    }


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """The process ends as a step begins."""
    call = loop.TrainingStep.__call__

    def killed(self, inputs, labels, number, stop):
        if number == step:
            raise Killed
        return call(self, inputs, labels, number, stop)

    patch.setattr(loop.TrainingStep, "__call__", killed)


def checkpoint_steps(out: Path) -> list[int]:
    return checkpoints.Checkpoints(Path(f"{out}.partial", "checkpoints")).steps()


@pytest.mark.slow
def test_a_head_on_features_makes_a_model_directory(command, tmp_path, small_catalog, capsys):
    assert command() == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "strategy single: one CPU, no GPU, no TF_CONFIG, no SLURM tasks"
    assert "warning: the backbone keeps its random weights" in "\n".join(told)
    assert told[-1].startswith(f"{tmp_path / 'model'}: 4 classes on tiny, validation top-1 ")
    model = open_model(tmp_path / "model")
    manifest = model.manifest
    assert manifest["backbone"] == {"name": "tiny", "pretrained": False}
    assert (
        manifest["catalog"]
        == json.loads((small_catalog / "catalog.json").read_text())["fingerprint"]
    )
    assert manifest["trained"] == "head"
    assert manifest["initial_model"] is None
    assert model.contract.size == 32
    assert manifest["metrics"]["epoch"] == EPOCHS
    assert 0 <= manifest["metrics"]["val_accuracy"] <= 1
    scores = model.recognizer().score(np.zeros((1, 32, 32, 3), np.uint8))
    assert scores.shape == (1, 4)
    assert not {"checkpoints"} & {path.name for path in model.folder.iterdir()}
    assert command() == 0
    assert capsys.readouterr().err == f"already done: {tmp_path / 'model'}\n"


VARIANTS = {
    "head on features": (),
    "adamw and averages, strong augmentation, sampling": (
        "--train=all",
        "--ema=0.9",
        "--augment=strong",
        "--sampling=0.5",
        "--max_photos=3",
        "--tree_smoothing=4",
        "--logit_adjustment=1",
    ),
    "stages, early stopping": (
        "--train=head:1,all",
        "--early_stopping=9",
        "--nofreeze_batch_norm",
    ),
    "bfloat16, sgd": ("--train=all", "--precision=mixed_bfloat16", "--optimizer=sgd"),
    "float16": ("--train=all", "--precision=mixed_float16", "--label_smoothing=0.1"),
}


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_killed_run_ends_as_an_undisturbed_one(command, tmp_path, monkeypatch, capsys, variant):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    flags = ("--epochs=2", *VARIANTS[variant])
    assert command(*flags, out=whole) == 0
    # As the second epoch, or stage, begins, and within it.
    kills = {3: 3, 5: 4} if "stages" in variant else {5: 4}
    for step, checkpoint in kills.items():
        with monkeypatch.context() as patch, pytest.raises(Killed):
            kill_at(patch, step)
            command(*flags, out=killed)
        assert checkpoint_steps(killed)[0] == checkpoint
    capsys.readouterr()
    with monkeypatch.context() as patch:
        if variant == "head on features":  # they are there
            patch.setattr(FeatureExtractor, "of", lambda *_: pytest.fail("again"))
        assert command(*flags, out=killed) == 0
    assert "\ngoing on from step 4 of 6\n" in capsys.readouterr().err
    models = [open_model(out) for out in (whole, killed)]
    assert models[0].fingerprint == models[1].fingerprint
    kept = [
        {k: v for k, v in m.manifest["metrics"].items() if "per_second" not in k} for m in models
    ]
    assert kept[0] == kept[1]


@pytest.mark.slow
def test_a_seed_gives_the_same_model_and_another_seed_another(command, tmp_path):
    flags = ("--train=all", "--epochs=1", "--augment=standard")
    for out, seed in (("first", 0), ("again", 0), ("other", 1)):
        assert command(*flags, f"--seed={seed}", out=tmp_path / out) == 0
    first, again, other = (
        open_model(tmp_path / out).fingerprint for out in ("first", "again", "other")
    )
    assert first == again != other


@pytest.mark.slow
@pytest.mark.parametrize("before", ["its checkpoints are removed", "it is renamed"])
def test_killed_when_the_model_was_written_it_ends_at_once(
    command, tmp_path, monkeypatch, capsys, before
):
    rmtree = shutil.rmtree

    def killed(path, *arguments, **options):
        if before == "it is renamed" or Path(path).name == "checkpoints":
            raise Killed
        rmtree(path, *arguments, **options)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        if before == "it is renamed":
            patch.setattr(storage, "_move_into_place", killed)
        else:
            patch.setattr(shutil, "rmtree", killed)
        command()
    assert (checkpoint_steps(tmp_path / "model") == []) == ("renamed" in before)
    assert not (tmp_path / "model").exists()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(train, "_train", lambda *_: pytest.fail("trained again"))
        assert command() == 0
    assert last_line(capsys).startswith(f"{tmp_path / 'model'}: 4 classes on tiny")
    kept = {path.name for path in (tmp_path / "model").iterdir()}
    assert not {"checkpoints", ".made_by"} & kept
    assert open_model(tmp_path / "model").manifest["metrics"]["epoch"] == EPOCHS


@pytest.mark.slow
def test_killed_while_the_manifest_is_written_it_is_written_again(command, tmp_path, monkeypatch):
    def half(path, value):
        path.write_text("{")
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(directory, "write_json", half)
        command()
    assert command() == 0
    assert open_model(tmp_path / "model").manifest["metrics"]["epoch"] == EPOCHS


@pytest.mark.slow
def test_a_signal_while_features_are_extracted(command, tmp_path, monkeypatch, capsys):
    start, cache = train.start_backbone, f"--cache={tmp_path / 'cache'}"

    def told(*arguments):
        signal.raise_signal(signal.SIGUSR1)
        return start(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "start_backbone", told)
        assert command(cache) == 85
    assert last_line(capsys) == (
        "taxonvision: the features are not complete, exiting with 85 to be requeued"
    )
    assert command(cache) == 0


@pytest.mark.slow
def test_unfinished_work_of_other_flags_is_kept(command, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 4)
        command()
    kept = checkpoint_steps(tmp_path / "model")
    assert kept[0] == 4
    capsys.readouterr()
    assert command("--learning_rate=0.5") == 2
    *_, line = capsys.readouterr().err.splitlines()
    partial = tmp_path / "model.partial"
    assert line == (
        f"taxonvision: {partial} holds the unfinished work of a run with other flags or inputs: "
        f"run it again to go on with it, choose another --out, or remove {partial}"
    )
    assert checkpoint_steps(tmp_path / "model") == kept
    # Any other worker refuses as the chief does, lest it waits for it.
    other = Recipe("train", {"learning_rate": 0.5})
    with (
        pytest.raises(UserError, match="unfinished work of a run with other flags"),
        unfinished_model(tmp_path / "model", other, chief=False, overwrite=False),
    ):
        pass
    # How often and where is no matter of what comes out.
    assert command("--checkpoint_steps=5", "--strategy=single") == 0
    assert f"going on from step 4 of {STEPS}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_damaged_checkpoint_gives_way_to_the_one_before(command, tmp_path, monkeypatch, capsys):
    assert command(out=tmp_path / "whole") == 0
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 7)
        command()
    newest, older = checkpoint_steps(tmp_path / "model")
    path = tmp_path / "model.partial" / "checkpoints" / f"step-{newest:010d}.npz"
    path.write_bytes(path.read_bytes()[:-100])
    capsys.readouterr()
    assert command() == 0
    told = capsys.readouterr().err
    assert f"warning: {path} is damaged (" in told
    assert f"\ngoing on from step {older} of {STEPS}\n" in told
    first, second = (open_model(tmp_path / name).fingerprint for name in ("whole", "model"))
    assert first == second


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_one_line(command, tmp_path, capsys):
    flags = ("--optimizer=sgd", "--learning_rate=1e38", "--warmup=0.1", "--epochs=10")
    assert command(*flags, "--checkpoint_steps=1") == 2
    line = last_line(capsys)
    assert line.startswith("taxonvision: ")
    assert line.endswith("; begin again with a lower --learning_rate")
    kept = checkpoints.Checkpoints(tmp_path / "model.partial" / "checkpoints")
    with np.load(kept._path(kept.newest())) as archive:
        assert all(np.isfinite(archive[name]).all() for name in archive.files)


@pytest.mark.slow
def test_a_run_that_diverged_is_gone_on_with_by_other_flags(
    command, tmp_path, small_catalog, monkeypatch, capsys
):
    call = loop.TrainingStep.__call__

    def spoiled(self, inputs, labels, number, stop):
        spoilt = tf.cast(inputs, tf.float32) * (float("nan") if number == 5 else 1.0)
        return call(self, spoilt, labels, number, stop)

    with monkeypatch.context() as patch:
        patch.setattr(loop.TrainingStep, "__call__", spoiled)
        assert command("--train=all") == 2
    partial = tmp_path / "model.partial"
    assert last_line(capsys) == (
        "taxonvision: the loss is nan at step 5; the last checkpoint is kept: go on from it with a "
        f"lower --learning_rate, --init_from={partial} and another --out"
    )
    assert checkpoint_steps(tmp_path / "model")[0] == 4
    again = [f"--catalog={small_catalog}", f"--out={tmp_path / 'again'}", f"--init_from={partial}"]
    assert main(["train", *again, "--train=all", "--epochs=1"]) == 0
    told = capsys.readouterr().err
    assert f"starting from {partial}, which knows 4 of the 4 taxa\n" in told
    assert open_model(tmp_path / "again").manifest["backbone"]["name"] == "tiny"
    # What was trained on can be looked at.
    (_, _, *pictures) = shown(tmp_path / "again", "augmented")[0]
    assert len(pictures) == 12
    assert {tuple(tf.io.decode_png(picture).shape) for picture in pictures} == {(32, 32, 3)}


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Leave no room in the file system of a folder."""
    with (folder / "filler").open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC


@pytest.mark.slow
@pytest.mark.parametrize("when", ["step", "model"])
def test_a_full_disk_is_one_line_and_the_run_goes_on(
    command, tmp_path, monkeypatch, small_disk, capsys, when
):
    assert command(out=tmp_path / "whole") == 0
    out = small_disk / "model"
    call, write = loop.TrainingStep.__call__, train.write_model

    def filling(self, inputs, labels, number, stop):
        if number == 5:
            fill(small_disk)
        return call(self, inputs, labels, number, stop)

    def filling_first(*arguments, **options):
        fill(small_disk)
        return write(*arguments, **options)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        if when == "step":
            patch.setattr(loop.TrainingStep, "__call__", filling)
        else:
            patch.setattr(train, "write_model", filling_first)
        assert command(out=out) == 2
    line = last_line(capsys)
    assert line.startswith("taxonvision: ")
    assert "No space left on device" in line
    assert not out.exists()
    (small_disk / "filler").unlink()
    assert command(out=out) == 0
    assert "going on from step " in capsys.readouterr().err
    assert open_model(out).fingerprint == open_model(tmp_path / "whole").fingerprint


@pytest.mark.slow
def test_only_a_class_to_learn_nothing_of_and_no_photographs_to_validate_with(
    command, tmp_path, capsys
):
    splits = {"1.png": ("fox", "train"), "2.png": ("wolf", "test"), "3.png": ("lynx", "train")}
    catalog = catalog_of(tmp_path, splits)
    assert command(catalog=catalog) == 0
    told = capsys.readouterr().err
    assert "warning: 1 class without photographs in the split train cannot be learned: " in told
    metrics = open_model(tmp_path / "model").manifest["metrics"]
    assert "accuracy" in metrics
    assert not [name for name in metrics if name.startswith("val")]
    capsys.readouterr()
    assert command("--early_stopping=2", catalog=catalog, out=tmp_path / "other") == 2
    assert last_line(capsys) == (
        f"taxonvision: {catalog} has no photographs in the split val, which --early_stopping needs"
    )
    assert not (tmp_path / "other.partial").exists()


@pytest.mark.parametrize(
    "splits",
    [
        {"1.png": ("fox", "train"), "2.png": ("fox", "train")},
        {"1.png": ("fox", "test"), "2.png": ("wolf", "test")},
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(command, tmp_path, capsys, splits):
    assert command(catalog=catalog_of(tmp_path, splits)) == 2
    line = last_line(capsys)
    assert "training needs two classes and photographs" in line
    assert not (tmp_path / "model").exists()
    assert not (tmp_path / "model.partial").exists()
