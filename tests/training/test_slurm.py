"""SLURM's variables, and the templates with commands that stand in for SLURM's."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonvision.errors import UserError
from taxonvision.training.slurm import expand_hosts, expand_tasks_per_node, slurm_tasks

# Rank 2 of three, the second task of n10: n2 has one.
STEP = {
    "SLURM_JOB_ID": "41",
    "SLURM_STEP_ID": "0",
    "SLURM_NTASKS": "3",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "n[2,10]",
    "SLURM_STEP_TASKS_PER_NODE": "1,2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "1",
    "SLURMD_NODENAME": "n10",
    "SLURM_GTIDS": "1,2",
}
TEMPLATES = sorted((Path(__file__).parents[2] / "slurm").glob("*.sbatch"))


def test_ranks_fill_one_node_after_the_other_in_slurms_order():
    tasks = slurm_tasks(STEP)
    hosts = [address.rsplit(":", 1)[0] for address in tasks.addresses]
    assert hosts == ["n2", "n10", "n10"]
    assert (tasks.rank, tasks.local_rank, tasks.tasks_on_this_node) == (2, 1, 2)


def test_all_tasks_of_a_step_give_the_same_addresses():
    first = STEP | {
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURMD_NODENAME": "n2", "SLURM_GTIDS": "0",
    }  # fmt: skip
    assert slurm_tasks(first).addresses == slurm_tasks(STEP).addresses


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "41", "SLURM_NTASKS": "3", "SLURM_PROCID": "0"},  # the batch script
        STEP | {"SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_TASKS_PER_NODE": "1"},
    ],
)
def test_a_process_that_srun_did_not_start_with_others_is_alone(environment):
    assert slurm_tasks(environment) is None


def _ports(job: int, step: int, tasks: int) -> list[int]:
    environment = STEP | {
        "SLURM_JOB_ID": str(job), "SLURM_STEP_ID": str(step), "SLURM_STEP_NODELIST": "n1",
        "SLURM_STEP_NUM_TASKS": str(tasks), "SLURM_STEP_TASKS_PER_NODE": str(tasks),
        "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURMD_NODENAME": "n1", "SLURM_GTIDS": "",
    }  # fmt: skip
    return [int(address.rsplit(":", 1)[1]) for address in slurm_tasks(environment).addresses]


@given(
    job=st.integers(1, 4_000_000_000),
    step=st.sampled_from([0, 1, 17, 4_294_967_290]),
    tasks=st.integers(2, 1000),
)
def test_every_task_has_a_port_below_those_that_linux_gives_away(job, step, tasks):
    ports = _ports(job, step, tasks)
    assert len(set(ports)) == tasks
    assert min(ports) >= 10_000
    assert max(ports) < 32_768


@given(job=st.integers(1, 60_000_000), apart=st.integers(1, 175), tasks=st.integers(2, 128))
def test_jobs_with_near_numbers_never_share_a_port(job, apart, tasks):
    assert not set(_ports(job, 0, tasks)) & set(_ports(job + apart, 0, tasks))


@given(job=st.integers(1, 60_000_000), step=st.integers(0, 500), tasks=st.integers(2, 128))
def test_a_step_and_the_next_share_no_port(job, step, tasks):
    assert not set(_ports(job, step, tasks)) & set(_ports(job, step + 1, tasks))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SLURM_STEP_NUM_TASKS", "three", "SLURM_STEP_NUM_TASKS is 'three'"),
        ("SLURM_STEP_NUM_TASKS", "4", "SLURM_STEP_NUM_TASKS is 4"),
        ("SLURM_STEP_NODELIST", "n[2,10", "SLURM_STEP_NODELIST is 'n[2,10'"),
        ("SLURM_STEP_NODELIST", "n[0-99999999]", "SLURM_STEP_NODELIST is 'n[0-99999999]'"),
        ("SLURM_STEP_NODELIST", "", "SLURM_STEP_NODELIST is not set"),
        ("SLURM_STEP_NODELIST", "n[1-3]", "SLURM_STEP_NODELIST has 3 nodes"),
        ("SLURM_STEP_TASKS_PER_NODE", "1(x2", "SLURM_STEP_TASKS_PER_NODE is '1(x2'"),
        ("SLURM_STEP_TASKS_PER_NODE", "1(x999999999)", "SLURM_STEP_TASKS_PER_NODE is '1(x9"),
        ("SLURM_PROCID", "-1", "SLURM_PROCID is '-1'"),
        ("SLURM_PROCID", "3", "SLURM_PROCID is 3 of 3 tasks"),
        ("SLURM_LOCALID", "", "SLURM_LOCALID is not set"),
        ("SLURM_JOB_ID", "4\x1b[2J", "SLURM_JOB_ID is '4"),
        ("SLURMD_NODENAME", "", "SLURMD_NODENAME is not set"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(name, value, said):
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        slurm_tasks(STEP | {name: value})
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("rank", "node", "ranks"),
    [("0", "n2", "0,2"), ("2", "n2", "0,2"), ("1", "n10", "1,3"), ("2", "n2", "")],
)
def test_ranks_that_alternate_between_nodes_are_refused(rank, node, ranks):
    cyclic = STEP | {
        "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_PROCID": rank, "SLURMD_NODENAME": node, "SLURM_GTIDS": ranks,
    }  # fmt: skip
    with pytest.raises(UserError, match="add --distribution=block to srun"):
        slurm_tasks(cyclic)


def _command(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    ("script", "hosts"),
    [
        # One address is a name, one an IPv6 address, fields of no interest around them.
        (
            "printf 'NodeName=n2 Arch=x NodeAddr=n2-ib NodeHostName=h OS=a b=c\\n"
            "NodeName=n10 NodeAddr=fd00::2 State=IDLE\\n'",
            ["n2-ib", "[fd00::2]", "[fd00::2]"],
        ),
        ("echo 'slurm_load_node error: Unable to contact slurm controller' >&2; exit 1", None),
        ("echo 'NodeName=n2 NodeAddr=(null)'", None),
    ],
)
def test_scontrol_tells_the_addresses_where_it_is_there_and_answers(tmp_path, script, hosts):
    _command(tmp_path / "bin", "scontrol", script)
    tasks = slurm_tasks(STEP | {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"})
    found = [address.rsplit(":", 1)[0] for address in tasks.addresses]
    assert found == (hosts or ["n2", "n10", "n10"])


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("login", "login"),
        ("gpu[01-03,7],login", "gpu01 gpu02 gpu03 gpu7 login"),
        ("n[8-11]", "n8 n9 n10 n11"),
        ("n[08-10]-ib", "n08-ib n09-ib n10-ib"),
        ("rack[1-2]node[3,5],x", "rack1node3 rack1node5 rack2node3 rack2node5 x"),
        ("nid005032", "nid005032"),
    ],
)
def test_node_lists(text, hosts):
    assert expand_hosts(text) == hosts.split()


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a,",
        ",a",
        "a,,b",
        "n[",
        "n]",
        "n[]",
        "n[1-]",
        "n[3-1]",
        "n[a]",
        "n[1]]",
        "n[[1]]",
        "a b",
    ],
)
def test_what_is_no_node_list(text):
    with pytest.raises(ValueError, match=r"."):
        expand_hosts(text)


@given(st.text(alphabet="n0123456789[],-", max_size=30))
def test_a_node_list_is_expanded_or_refused(text):
    try:
        hosts = expand_hosts(text)
    except ValueError:
        return
    assert hosts
    assert all(host and not set(host) & set("[],") for host in hosts)
    if "[" not in text:
        assert hosts == text.split(",")


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(1, 50)), min_size=1, max_size=8))
def test_tasks_per_node_come_back_as_slurm_writes_them(runs):
    text = ",".join(f"{count}(x{nodes})" if nodes > 1 else str(count) for count, nodes in runs)
    assert expand_tasks_per_node(text) == [count for count, nodes in runs for _ in range(nodes)]


def test_slurm_is_read_without_tensorflow():
    code = (
        "import sys; from taxonvision.training.slurm import slurm_tasks; slurm_tasks({}); "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_there_is_a_template_for_each_cluster():
    names = {path.stem for path in TEMPLATES}
    assert names == {"leo5", "leonardo", "lumi", "jean_zay", "local"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_asks_for_what_requeuing_needs(template):
    text = template.read_text()
    for line in ("--requeue", "--open-mode=append", "--signal=USR1@120", "--distribution=block"):
        assert f"\n#SBATCH {line}\n" in text
    head = text.partition("#SBATCH")[0]
    assert "\n# Change: " in head
    assert "build_backbone" in head  # how weights are fetched beforehand
    assert ("Nobody has run this" in head) == (template.stem != "local")


@pytest.fixture
def run_template(tmp_path):
    """Runs a template with stand-ins for SLURM's commands; gives what they were called with."""

    def run_template(template: Path, code: int, restarts: str, *flags: str):
        called = tmp_path / "called"
        commands = tmp_path / "bin"
        _command(commands, "srun", f'printf "srun %s\\n" "$*" >> "{called}"; exit {code}')
        _command(commands, "scontrol", f'printf "scontrol %s\\n" "$*" >> "{called}"')
        _command(commands, "module", "true")
        environment = tmp_path / "taxonvision" / "bin"
        environment.mkdir(parents=True, exist_ok=True)
        (environment / "activate").touch()
        variables = {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "CATALOG": "my catalog", "OUT": "my model", "FLAGS": "--seed=3 --ema=0.9",
            "WORK": str(tmp_path), "SCRATCH": str(tmp_path), "USER": "me",
            "SLURM_JOB_ID": "41", "SLURM_JOB_ACCOUNT": "project", "SLURM_CPUS_PER_TASK": "8",
            **({"SLURM_RESTART_COUNT": restarts} if restarts else {}),
        }  # fmt: skip
        done = subprocess.run(
            ["bash", template, *flags], env=variables, capture_output=True, text=True
        )
        return done, called.read_text().splitlines()

    return run_template


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("code", "restarts", "requeued"),
    [(0, "", False), (2, "", False), (85, "", True), (85, "19", True), (85, "20", False)],
)
def test_a_template_trains_and_requeues_what_was_checkpointed(
    run_template, template, code, restarts, requeued
):
    done, called = run_template(template, code, restarts, "--train=all", "--name=two words")
    assert done.returncode == code, done.stderr
    flags = "--catalog=my catalog --out=my model --seed=3 --ema=0.9 --train=all --name=two words"
    assert called[0].startswith("srun ")
    assert called[0].endswith(f"taxonvision train {flags}")
    assert called[1:] == (["scontrol requeue 41"] if requeued else [])
    assert ("submit the same command" in done.stderr) == (code == 85 and not requeued)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_a_template_without_a_catalog_says_so(template):
    done = subprocess.run(
        ["bash", template], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "give the catalog, CATALOG=" in done.stderr
