"""`update` in processes of its own: told to stop, killed, and several that work together."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from meadow import OLD, OLD_AND_NEW, make_catalog, of_taxa

from taxonvision.models.directory import Model, open_model

TRAINING = Path(__file__).parents[1] / "training"
sys.path.insert(0, str(TRAINING))  # until its tests are collected nobody finds it
from two_workers import Outcome, run_workers, start_workers  # noqa: E402

pytestmark = pytest.mark.slow
TINY_TRAIN = TRAINING / "tiny_train.py"
STEPS = 15
SECONDS = 120.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A model of four taxa with its cache, and a catalog of six."""
    folder = tmp_path_factory.mktemp("update")
    make_catalog(folder / "old", of_taxa(*OLD))
    make_catalog(folder / "all", of_taxa(*OLD_AND_NEW))
    tiny = ["--backbone=tiny", "--nopretrained", "--epochs=2", "--batch_size=8"]
    own = [f"--catalog={folder / 'old' / 'catalog'}", f"--out={folder / 'base'}"]
    ended(run_workers([TINY_TRAIN, "train", *own, *tiny, cache(folder / "cache")], 1))
    return folder


def cache(folder: Path) -> str:
    return f"--cache={folder}"


def command(folder: Path, out: Path, *flags: str) -> list[str | Path]:
    own = [f"--model={folder / 'base'}", f"--catalog={folder / 'all' / 'catalog'}", f"--out={out}"]
    fit = ["--batch_size=8", "--epochs=5", "--checkpoint_steps=2", "--force"]
    return [TINY_TRAIN, "update", *own, *fit, *flags]


def ended(outcomes: list[Outcome], code: int = 0) -> list[Outcome]:
    for outcome in outcomes:
        assert outcome.returncode == code, outcome.stderr
        assert "Traceback" not in outcome.stderr
    return outcomes


@pytest.fixture(scope="module")
def alone(folder) -> Model:
    """What one undisturbed process makes, with a cold cache."""
    [outcome] = ended(run_workers(command(folder, folder / "alone", cache(folder / "cold")), 1))
    lines = outcome.stderr.splitlines()
    assert "features of train: 0 from the cache, 24 extracted" in lines
    assert len(lines) == len(set(lines))
    return open_model(folder / "alone")


def test_two_workers_make_what_one_makes(folder, alone, tmp_path):
    out = tmp_path / "pair"
    chief, other = ended(run_workers(command(folder, out, cache(tmp_path / "cache")), seconds=180))
    assert other.stderr == ""  # only the chief tells
    assert f"{out}: version 2, 6 classes" in chief.stderr
    assert open_model(out).fingerprint == alone.fingerprint
    # What both extracted is counted, also in the notes.
    cells = {
        row.split("|")[1].strip(): row.split("|")[2].strip()
        for row in (out / "RELEASE.md").read_text().splitlines()
        if row.count("|") == 3
    }
    assert cells["passed through the backbone for this release"] == "60"
    assert cells["features taken from the cache"] == "0"


def test_ended_while_the_head_is_fitted_it_goes_on(folder, alone, tmp_path):
    """Told to stop at first, killed then."""
    out = tmp_path / "next"
    arguments = command(folder, out, cache(folder / "cache"))
    for step, sent in ((4, signal.SIGTERM), (9, signal.SIGKILL)):
        held = {"TINY_STEPS": "1", "TINY_HOLD": str(step)}  # or the signal may come after the end
        with start_workers(arguments, 1, environment=held) as workers:
            workers.wait_for(f"<{step}>", 0, SECONDS)
            workers.send(0, sent)
            [outcome] = workers.outcomes(SECONDS)
        assert not out.exists()
        if sent == signal.SIGTERM:
            assert outcome.returncode == 85
            last = outcome.stderr.splitlines()[-1]
            assert last.endswith(f" of {STEPS}: checkpointed, exiting with 85 to be requeued")
        else:
            assert outcome.returncode == -sent
            assert "\ngoing on from step " in outcome.stderr
    [again] = ended(run_workers(arguments, 1))
    assert "\ngoing on from step " in again.stderr
    assert "features of train: 24 from the cache, 0 extracted" in again.stderr
    assert open_model(out).fingerprint == alone.fingerprint
    assert not list(tmp_path.glob("*.partial"))
