from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models.engine import load_keras

load_keras()
import tensorflow as tf  # noqa: E402
from two_workers import run_workers, start_workers  # noqa: E402

from taxonvision.training import strategies  # noqa: E402
from taxonvision.training.cluster import Cluster  # noqa: E402
from taxonvision.training.strategies import (  # noqa: E402
    Placement,
    check_possible,
    lost_worker,
    place,
)

HERE = Path(__file__).parent
TWO = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}'
ONE = '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'


@pytest.fixture
def gpus(monkeypatch):
    """Lets TensorFlow find so many GPUs, and makes no strategy that would need them."""

    def found(count):
        devices = [SimpleNamespace(name=f"GPU:{number}") for number in range(count)]
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: devices)

    monkeypatch.setattr(strategies, "_mirrored", lambda: "mirrored")
    monkeypatch.setattr(strategies, "_multiworker", lambda cluster, *_: cluster)
    monkeypatch.setattr(strategies, "_tpu", lambda name: f"tpu {name}")
    return found


def test_auto_takes_what_it_finds(gpus):
    gpus(4)
    assert place("auto", "my-tpu", {"TF_CONFIG": TWO}) == "tpu my-tpu"
    assert place("auto", None, {"TF_CONFIG": TWO}).rank == 1
    assert place("auto", None, {"TF_CONFIG": ONE}) == "mirrored"
    assert place("auto", None, {}) == "mirrored"
    gpus(1)
    assert place("auto", None, {}).reason == (
        "strategy single: one GPU, no TF_CONFIG, no SLURM tasks"
    )
    gpus(0)
    assert place("auto", "", {"TF_CONFIG": ONE}).reason == (
        "strategy single: one CPU, no GPU, TF_CONFIG gave 1 task, this is task 0 (a:1)"
    )


def test_a_choice_is_kept(gpus):
    gpus(4)
    assert place("single", None, {"TF_CONFIG": TWO}).reason == "strategy single: asked for"
    assert place("mirrored", None, {"TF_CONFIG": TWO}) == "mirrored"
    assert place("multiworker", None, {"TF_CONFIG": ONE}).addresses == ("a:1",)
    assert place("tpu", None, {"TF_CONFIG": TWO}) == "tpu local"


def test_single_is_the_strategy_without_a_scope():
    placement = place("single", None, {})
    assert placement.strategy is tf.distribute.get_strategy()
    assert (placement.worker, placement.workers, placement.replicas) == (0, 1, 1)
    assert placement.chief
    assert not Placement(placement.strategy, 1, 2, "").chief


@pytest.mark.parametrize(
    ("choice", "tpu", "message"),
    [
        ("multiworker", None, "start them by srun in a SLURM allocation, or give each of them"),
        ("mirrored", "my-tpu", "--tpu=my-tpu goes with --strategy=tpu, not with"),
        ("many", None, "--strategy=many is unknown; known: auto, single, mirrored, multiworker"),
    ],
)
def test_what_is_missing_is_said_in_one_line(choice, tpu, message):
    with pytest.raises(UserError) as refused:
        place(choice, tpu, {})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tpu", "reason"),
    [
        ("local", "TPUs not found in the cluster"),
        ("grpc://127.0.0.1:9", "Connection refused"),
        ("grpc://no-such-host.invalid:8470", "Name or service not known|name resolution"),
    ],
)
def test_without_a_tpu_one_line_says_so_and_nothing_hangs(tpu, reason):
    with pytest.raises(UserError, match=reason) as refused:
        place("tpu", tpu, {})
    assert str(refused.value).startswith(f"no TPU was found as --tpu={tpu} (")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("tasks", "local_rank", "environment", "taken"),
    [
        (1, 0, {}, [0, 1, 2, 3]),  # one task a node takes all
        (4, 2, {}, [2]),
        (2, 1, {}, [2, 3]),
        (2, 1, {"SLURM_GPUS_PER_TASK": "4"}, [0, 1, 2, 3]),  # SLURM shows each task its own
        (8, 7, {}, [0, 1, 2, 3]),  # fewer than tasks: bound some other way
    ],
)
def test_tasks_share_the_gpus_of_their_node(
    gpus, monkeypatch, tasks, local_rank, environment, taken
):
    gpus(4)
    visible = tf.config.list_physical_devices("GPU")
    monkeypatch.setattr(
        tf.config,
        "set_visible_devices",
        lambda chosen, kind: visible.__setitem__(slice(None), chosen),
    )
    cluster = Cluster(("a:1",) * tasks, local_rank, "", local_rank, tasks)
    count = strategies._own_gpus(cluster, environment)
    assert [device.name for device in visible] == [f"GPU:{number}" for number in taken]
    assert count == len(taken)


class _Strategy(SimpleNamespace):
    """As many replicas as it is told."""


class _TpuStrategy(_Strategy):
    """As many cores as it is told."""


@pytest.mark.parametrize(
    ("strategy", "batch_size", "precision", "message"),
    [
        (_Strategy(num_replicas_in_sync=8), 7, "float32", "fewer than the 8 devices"),
        (_Strategy(num_replicas_in_sync=8), 9, "mixed_float16", None),
        (_TpuStrategy(num_replicas_in_sync=8), 8, "mixed_bfloat16", None),
        (_TpuStrategy(num_replicas_in_sync=8), 100, "float32", "try --batch_size=96 or 104"),
        (_TpuStrategy(num_replicas_in_sync=8), 64, "mixed_float16", "use --precision=mixed_bfl"),
    ],
)
def test_what_a_strategy_cannot_do_is_refused(
    monkeypatch, strategy, batch_size, precision, message
):
    monkeypatch.setattr(tf.distribute, "TPUStrategy", _TpuStrategy)
    placement = Placement(strategy, 0, 1, "")
    if message is None:
        check_possible(placement, batch_size, precision)
    else:
        with pytest.raises(UserError, match=message):
            check_possible(placement, batch_size, precision)


def test_other_failures_are_no_lost_worker():
    aborted = "Collective ops is aborted by: Socket closed"
    assert lost_worker(tf.errors.UnavailableError(None, None, aborted))
    assert lost_worker(tf.errors.DeadlineExceededError(None, None, aborted))
    assert lost_worker(tf.errors.InternalError(None, None, f"Graph execution error: {aborted}"))
    assert not lost_worker(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert not lost_worker(tf.errors.InvalidArgumentError(None, None, "shapes"))
    assert not lost_worker(ValueError(aborted))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The states after the same steps, by strategy, optimiser and worker."""
    out = tmp_path_factory.mktemp("steps")
    steps = HERE / "steps.py"
    alone = run_workers([steps, out, "single,mirrored", "--two_cpus"], 1)
    pair = run_workers([steps, out, "multiworker"], 2)
    for outcome in [*alone, *pair]:
        assert outcome.returncode == 0, outcome.stderr
    assert (
        alone[0].stdout == "strategy single: asked for\nstrategy mirrored: 2 CPUs of this machine\n"
    )
    for rank, outcome in enumerate(pair):
        assert outcome.stdout.startswith(
            f"strategy multiworker: TF_CONFIG gave 2 tasks, this is task {rank} (127.0.0.1:"
        )
    return {path.stem: dict(np.load(path)) for path in out.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("run", ["mirrored-{}-0", "multiworker-{}-0", "multiworker-{}-1"])
def test_parts_of_a_batch_train_as_the_whole_does(runs, optimizer, run):
    whole, parts = runs[f"single-{optimizer}-0"], runs[run.format(optimizer)]
    assert whole["losses"][0] != whole["losses"][-1]
    assert np.abs(whole["losses"] - parts["losses"]).max() < 1e-6
    # weights, moving statistics, and of the optimiser momenta and averages
    assert sum("moving" in name for name in whole) == 4
    for name in whole.keys() - {"losses"}:
        assert np.abs(parts[name] - whole[name]).max() < 1e-5, name
        assert (parts[name] == parts[name][:1]).all(), name  # the same on all local replicas


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_two_workers_end_with_the_same_bits(runs, optimizer):
    first, second = (runs[f"multiworker-{optimizer}-{rank}"] for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


LOST = """
import sys, tensorflow as tf
from taxonvision.training.strategies import lost_worker, place
strategy = place("multiworker", patience=180).strategy
@tf.function
def step():
    return strategy.reduce("SUM", strategy.run(lambda: tf.ones([8])), axis=None)
try:
    for number in range(1_000_000):
        step().numpy()
        if number == 5:
            print("running", flush=True)
except Exception as error:
    assert lost_worker(error), error
    print(type(error).__name__)
    sys.exit(85)
"""


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_killed_is_noticed_at_once(victim):
    with start_workers(["-c", LOST]) as workers:
        for rank in (0, 1):
            workers.wait_for("running", rank, 180)
        workers.send(victim, signal.SIGKILL)
        survivor = workers.outcomes(60)[1 - victim]
    assert survivor.returncode == 85, survivor.stderr
    assert survivor.stdout == "running\nUnavailableError\n"


def test_python_of_the_workers_is_this_one():
    with start_workers(
        ["-c", "import os, sys; print(sys.executable, os.environ.get('TF_CONFIG'))"], 1
    ) as one:
        assert one.outcomes(30)[0].stdout.split() == [sys.executable, "None"]
