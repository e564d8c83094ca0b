"""The real command in processes that are killed, told to stop, and started again."""

from __future__ import annotations

import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from two_workers import Outcome, Workers, run_workers, start_workers

from taxonvision.models.directory import open_model
from taxonvision.models.engine import load_keras

load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.training.checkpoints import Checkpoints  # noqa: E402

pytestmark = pytest.mark.slow
TINY_TRAIN = Path(__file__).parent / "tiny_train.py"
STEPS = 30
FLAGS = [
    "--backbone=tiny",
    "--nopretrained",
    "--train=head:1,all",
    "--nofreeze_batch_norm",
    "--batch_size=4",
    f"--epochs={STEPS // 3}",
    "--learning_rate=0.05",
    "--augment=light",
    "--ema=0.5",
    "--early_stopping=99",  # the chief keeps the best, all workers end with it
    "--checkpoint_steps=4",
]
SECONDS = 180.0


class Training:
    """The command for one folder, which may be run several times."""

    def __init__(self, catalog: Path, folder: Path, workers: int, *flags: str) -> None:
        folder.mkdir()
        self.folder, self.workers = folder, workers
        self.out = folder / "model"
        self.command = [TINY_TRAIN, "train", f"--catalog={catalog}", f"--out={self.out}"]
        self.command += [*FLAGS, *flags]
        self.environment = {"TINY_WEIGHTS": str(folder), "TINY_STEPS": "1"}

    def run(self, **environment: str) -> list[Outcome]:
        """To its end."""
        variables = {**self.environment, **environment}
        return run_workers(self.command, self.workers, seconds=SECONDS, environment=variables)

    def disturbed(self, sent: signal.Signals, step: int, delay: float, rank: int) -> list[Outcome]:
        """A run of which one process is sent a signal so many seconds after a step began."""
        with start_workers(self.command, self.workers, environment=self.environment) as workers:
            _wait_for_step(workers, rank, step)
            time.sleep(delay)  # so that it strikes anywhere in a step, a checkpoint, a validation
            workers.send(rank, sent)
            return workers.outcomes(SECONDS)

    def newest_checkpoint(self) -> int | None:
        return Checkpoints(Path(f"{self.out}.partial", "checkpoints")).newest()

    def weights(self, name: str = "0-last") -> dict[str, np.ndarray]:
        """Those of a worker, after the last step or, without `-last`, those that were kept."""
        return dict(np.load(self.folder / f"{name}.npz"))


def _wait_for_step(workers: Workers, rank: int, step: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        said = re.findall(r"<(\d+)>", workers.output(rank))
        if said and int(said[-1]) >= step:
            return
        assert workers.processes[rank].exitcode is None, workers.output(rank, "stderr")
        assert time.monotonic() < deadline, f"step {step} was not reached"
        time.sleep(0.005)


def losses(training: Training) -> dict[int, float]:
    """By step, of TensorBoard's files."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return {
        event.step: float(tf.make_ndarray(value.tensor))
        for path in sorted((training.out / "logs").iterdir())
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.tag == "loss"
    }


def difference(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    """The largest of any weight or statistic."""
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


@pytest.fixture(scope="module")
def one(small_catalog, tmp_path_factory) -> Training:
    """One process, undisturbed."""
    training = Training(small_catalog, tmp_path_factory.mktemp("resume") / "one", 1)
    [outcome] = training.run()
    assert outcome.returncode == 0, outcome.stderr
    return training


@pytest.fixture(scope="module")
def two(small_catalog, tmp_path_factory) -> Training:
    """Two processes, undisturbed."""
    training = Training(small_catalog, tmp_path_factory.mktemp("resume") / "two", 2)
    first, second = training.run()
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert second.stderr == ""  # only the chief tells
    told = re.findall(r"^epoch (\d+) of \d+ \(\w+\): loss", first.stderr, re.M)
    assert list(map(int, told)) == [*range(1, STEPS // 3 + 1)]
    return training


def test_two_processes_train_as_one_does(one, two):
    alone, pair = losses(one), losses(two)
    assert list(alone) == list(pair) == list(range(STEPS))
    assert alone[0] - alone[STEPS - 1] > 0.1
    assert max(abs(alone[step] - pair[step]) for step in alone) < 1e-4
    assert difference(one.weights(), two.weights()) < 1e-5


def test_both_workers_end_with_equal_weights_and_statistics(two):
    first, second = two.weights("0-last"), two.weights("1-last")
    assert sum("moving" in name for name in first) == 4
    assert difference(first, second) == 0
    assert difference(two.weights("0"), two.weights("1")) == 0


def test_two_devices_of_a_process_go_on_as_one_would(small_catalog, tmp_path, one):
    training = Training(small_catalog, tmp_path / "mirrored", 1)
    training.disturbed(signal.SIGKILL, 12, 0.0, 0)
    begun = training.newest_checkpoint()
    training.command.append("--strategy=mirrored")  # a run may move elsewhere
    [outcome] = training.run(TINY_CPUS="2")
    assert outcome.returncode == 0, outcome.stderr
    assert "strategy mirrored: 2 CPUs of this machine\n" in outcome.stderr
    assert f"\ngoing on from step {begun} of {STEPS}\n" in outcome.stderr
    alone, pair = losses(one), losses(training)
    assert max(abs(alone[step] - pair[step]) for step in alone) < 1e-4
    assert difference(one.weights(), training.weights()) < 1e-5


def test_a_process_killed_at_any_moment_ends_with_the_same_bits(small_catalog, tmp_path, one):
    chance = random.Random(4)
    training = Training(small_catalog, tmp_path / "killed", 1)
    steps, begun = sorted(chance.sample(range(3, STEPS - 12), 2)), 0
    for number, step in enumerate(steps):
        sent = signal.SIGUSR1 if number else signal.SIGKILL
        [outcome] = training.disturbed(sent, step, chance.uniform(0, 0.06), 0)
        assert not training.out.exists()
        if sent == signal.SIGKILL:
            assert outcome.returncode == -signal.SIGKILL
        else:
            assert outcome.returncode == 85
            [line] = [x for x in outcome.stderr.splitlines() if x.startswith("taxonvision:")]
            told = re.fullmatch(
                rf"taxonvision: step (\d+) of {STEPS}: checkpointed, exiting with 85 to be "
                "requeued",
                line,
            )
            assert told, line
        if number:
            assert f"\ngoing on from step {begun} of {STEPS}\n" in outcome.stderr
        begun = training.newest_checkpoint()
        assert sent == signal.SIGKILL or begun == int(told[1])
    [outcome] = training.run()
    assert outcome.returncode == 0, outcome.stderr
    assert f"\ngoing on from step {begun} of {STEPS}\n" in outcome.stderr
    assert open_model(training.out).fingerprint == open_model(one.out).fingerprint
    assert losses(training) == losses(one)
    assert sorted(path.name for path in training.out.iterdir()) == [
        "classes.csv",
        "history.csv",
        "logs",
        "model.json",
        "model.keras",
        "names.csv",
        "photographs.csv",
        "taxonomy.csv",
        "trained_on.parquet",
    ]
    [outcome] = training.run()
    assert (outcome.returncode, outcome.stderr) == (0, f"already done: {training.out}\n")


LOST = (
    "taxonvision: another worker was lost, its output may say why; the same command goes on from "
    "the last checkpoint"
)


def test_two_processes_of_which_any_is_killed_or_told_to_stop(small_catalog, tmp_path, two):
    chance = random.Random(7)
    training = Training(small_catalog, tmp_path / "killed", 2)
    disturbances = [
        (signal.SIGKILL, 0, chance.randrange(4, 8)),
        (signal.SIGKILL, 1, chance.randrange(12, 16)),
        (signal.SIGTERM, 1, chance.randrange(20, 24)),
    ]
    for sent, victim, step in disturbances:
        outcomes = training.disturbed(sent, step, chance.uniform(0, 0.06), victim)
        told = [
            [line for line in each.stderr.splitlines() if line.startswith("taxonvision:")]
            for each in outcomes
        ]
        if sent == signal.SIGKILL:
            assert outcomes[victim].returncode == -signal.SIGKILL
            assert outcomes[1 - victim].returncode == 2, outcomes[1 - victim].stderr
            assert told[1 - victim] == [LOST]
            assert "Traceback" not in outcomes[1 - victim].stderr
        else:
            assert [each.returncode for each in outcomes] == [85, 85]
            assert told[0] == told[1]
            assert re.fullmatch(
                rf"taxonvision: step \d+ of {STEPS}: checkpointed, exiting with 85 to be requeued",
                "\n".join(told[0]),
            )
        assert not training.out.exists()
    outcomes = training.run()
    assert [each.returncode for each in outcomes] == [0, 0], outcomes
    assert f"of {STEPS}\n" in outcomes[0].stderr.partition("going on from step ")[2]
    assert difference(training.weights("0-last"), training.weights("1-last")) == 0
    for name in ("0-last", "1"):
        assert difference(training.weights(name), two.weights(name)) < 1e-5
