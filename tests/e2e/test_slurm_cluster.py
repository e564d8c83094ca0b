"""A real SLURM of two nodes: tasks find each other, a job trains, is requeued and goes on."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slurm_cluster import NODES, eventually, start_slurm_cluster  # noqa: F401 - the fixture

from taxonvision.training.slurm import expand_hosts

pytestmark = pytest.mark.slow

TEMPLATE = Path(__file__).parents[2] / "slurm" / "local.sbatch"
FEW_THREADS = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
TINY_TRAIN = Path(__file__).parents[1] / "training" / "tiny_train.py"
EPOCHS, STEPS = 30, 90  # a step takes no time: it is to be told to stop before the last
SMALL = (
    "--train=all", "--backbone=tiny", "--nopretrained", "--batch_size=4", "--augment=none",
    f"--epochs={EPOCHS}", "--checkpoint_steps=1",
)  # fmt: skip

# Each task listens where the others will look for it, so that a port given twice is seen.
PRINT_TASKS = """
import dataclasses, json, socket
from taxonvision.training.slurm import slurm_tasks
tasks = slurm_tasks()
host, port = tasks.addresses[tasks.rank].rsplit(":", 1)
with socket.create_server((host, int(port))):
    print(json.dumps(dataclasses.asdict(tasks)), flush=True)
"""


def test_tasks_of_two_nodes_on_one_machine_find_each_other(slurm_cluster):
    done = slurm_cluster.run(
        "srun", "--nodes=2", "--ntasks=4", "--overcommit", sys.executable, "-c", PRINT_TASKS
    )
    assert done.returncode == 0, done.stderr
    tasks = sorted(map(json.loads, done.stdout.splitlines()), key=lambda task: task["rank"])
    assert [task["rank"] for task in tasks] == [0, 1, 2, 3]
    assert [task["local_rank"] for task in tasks] == [0, 1, 0, 1]
    assert [task["tasks_on_this_node"] for task in tasks] == [2, 2, 2, 2]
    addresses = tasks[0]["addresses"]
    assert all(task["addresses"] == addresses for task in tasks)
    assert len(set(addresses)) == 4
    for address in addresses:
        host, port = address.rsplit(":", 1)
        assert socket.getaddrinfo(host, int(port))
        assert host not in NODES  # which no DNS knows


def test_the_batch_script_itself_is_one_process_alone(slurm_cluster, tmp_path):
    script = tmp_path / "job.sh"
    code = "from taxonvision.training.slurm import slurm_tasks; print(slurm_tasks())"
    script.write_text(
        f"#!/bin/bash\n{sys.executable} -c '{code}'\nsrun -n1 -N1 {sys.executable} -c '{code}'\n"
    )
    log = tmp_path / "log"
    number = slurm_cluster.submit("--nodes=2", "--ntasks=2", f"--output={log}", script)
    assert slurm_cluster.wait_for(number, 60).state == "COMPLETED"
    assert log.read_text().split() == ["None", "None"]


def test_every_task_sees_that_ranks_lie_otherwise(slurm_cluster):
    done = slurm_cluster.run(
        "srun", "--nodes=2", "--ntasks=4", "--overcommit", "--distribution=cyclic",
        sys.executable, "-c", PRINT_TASKS,
    )  # fmt: skip
    assert done.returncode != 0
    assert done.stderr.count("add --distribution=block to srun") == 4, done.stderr


RANGES = st.one_of(
    st.integers(0, 120).map(str),
    st.tuples(st.integers(0, 120), st.integers(0, 3), st.integers(1, 3)).map(
        lambda drawn: f"{drawn[0]:0{drawn[2]}}-{drawn[0] + drawn[1]:0{drawn[2]}}"
    ),
)
BRACKETS = st.lists(RANGES, min_size=1, max_size=3).map(lambda parts: f"[{','.join(parts)}]")
NAMES = st.from_regex(r"[a-z]{1,4}([0-9]{0,2}-?[a-z]{1,2})?", fullmatch=True)
PARTS = st.one_of(
    NAMES,
    st.tuples(NAMES, BRACKETS).map("".join),
    st.tuples(NAMES, BRACKETS, NAMES, BRACKETS).map("".join),
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(PARTS, min_size=1, max_size=12))
def test_node_lists_are_expanded_as_by_slurm(slurm_cluster, parts):
    done = slurm_cluster.run("scontrol", "show", "hostnames", ",".join(parts))
    assert expand_hosts(",".join(parts)) == done.stdout.split(), done.stderr


STAND_IN = """#!/bin/bash
trap 'touch told-$SLURM_PROCID; exit 85' USR1 TERM
echo waiting
while true; do read -rt 0.1 <> <(:); done
"""


@pytest.fixture
def path_with(slurm_cluster, tmp_path):
    """PATH of a shell that finds a program of this text as taxonvision."""

    def path_with(text: str) -> str:
        program = tmp_path / "bin" / "taxonvision"
        program.parent.mkdir()
        program.write_text(text)
        program.chmod(0o755)
        return os.pathsep.join((str(program.parent), slurm_cluster.environment["PATH"]))

    return path_with


@pytest.fixture
def pretend(slurm_cluster, path_with, tmp_path):
    """Submits the template with a stand-in for taxonvision that waits to be told to stop."""
    log = tmp_path / "job.log"

    def pretend(**variables: str) -> tuple[str, Path]:
        number = slurm_cluster.submit(
            f"--output={log}", TEMPLATE, cwd=tmp_path,
            variables={
                "CATALOG": "catalog", "OUT": "model", "PATH": path_with(STAND_IN), **variables,
            },
        )  # fmt: skip
        eventually(lambda: log.exists() and log.read_text().count("waiting") == 2, 60, "two tasks")
        return number, log

    return pretend


def test_a_cancelled_job_is_not_requeued(slurm_cluster, pretend, tmp_path):
    number, _ = pretend()
    slurm_cluster.run("scancel", number)
    job = slurm_cluster.wait_for(number, 60)
    assert (job.state, job.restarts) == ("CANCELLED", 0)
    assert {path.name for path in tmp_path.glob("told-*")} == {"told-0", "told-1"}


def test_a_job_is_requeued_only_so_often(slurm_cluster, pretend):
    number, log = pretend(MAX_RESTARTS="0")
    slurm_cluster.run("scancel", "--signal=USR1", number)
    job = slurm_cluster.wait_for(number, 60)
    assert (job.state, job.fields["ExitCode"], job.restarts) == ("FAILED", "85:0", 0)
    assert "restarted 0 times, not requeued again" in log.read_text()


def test_a_job_told_to_stop_is_requeued_and_goes_on_to_the_model(
    slurm_cluster, small_catalog, path_with, tmp_path
):
    """The real command, which knows a tiny backbone."""
    model, log = tmp_path / "model", tmp_path / "job.log"
    path = path_with(f'#!/bin/bash\nexec {sys.executable} {TINY_TRAIN} "$@"\n')
    number = slurm_cluster.submit(
        f"--output={log}", TEMPLATE, *SMALL,
        variables={
            "CATALOG": str(small_catalog), "OUT": str(model), "PATH": path, **FEW_THREADS,
        },
        cwd=tmp_path,
    )  # fmt: skip

    def trains() -> bool:
        assert slurm_cluster.job(number).unfinished, log.read_text()
        return any((tmp_path / "model.partial" / "checkpoints").glob("*"))

    eventually(trains, 300, "the first checkpoint", every=0.05)
    slurm_cluster.run("scancel", "--signal=USR1", number)
    job = slurm_cluster.wait_for(number, 400)
    said = log.read_text()
    assert (job.state, job.restarts) == ("COMPLETED", 1), said

    left = re.findall(rf"step (\d+) of {STEPS}: checkpointed, exiting with 85", said)
    gone_on = re.findall(rf"^going on from step (\d+) of {STEPS}$", said, re.M)
    assert len(gone_on) == 1, said
    assert set(left) == set(gone_on), said  # both tasks left off at the same step
    assert 0 < int(gone_on[0]) < STEPS
    assert "strategy multiworker: SLURM gave 2 tasks" in said

    written = {"model.keras", "model.json", "classes.csv", "taxonomy.csv", "history.csv"}
    assert written <= {path.name for path in model.iterdir()}
    with (model / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [*range(1, EPOCHS + 1)]
    assert int(rows[-1]["step"]) == STEPS
    assert not (tmp_path / "model.partial").exists()
