"""Where the tasks of a SLURM step listen, and which of them this process is.

TensorFlow's `SlurmClusterResolver` is not used: it sorts the hosts as text, so that in `n[2,10]`
ranks point to the wrong host, and it gives two nodes of one machine the same port. Its expanders
are private and give up on names with more than one bracket (`rack[1-2]node[1-8]`); the two below
are tested against SLURM's own (`scontrol show hostnames`) and work where that is missing, as in a
container. The variables are those under "OUTPUT ENVIRONMENT VARIABLES" in srun(1).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from taxonvision.errors import UserError
from taxonvision.text import one_line

T = TypeVar("T")

# Below the ports that Linux gives to outgoing connections (32768 to 60999, see
# /proc/sys/net/ipv4/ip_local_port_range): nobody holds one of these by chance.
_FIRST_PORT = 10_000
_PORTS_A_JOB = 128
_JOBS = 176
_PORTS = _JOBS * _PORTS_A_JOB  # the last one is 32527

_MOST_HOSTS = 65_536  # more than SLURM allows in a list by default: a slip, not a cluster
_PIECE = re.compile(r"\[([^\[\]]*)\]|([^\[\],\s]+)")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?", re.ASCII)
_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?", re.ASCII)
_SCONTROL_SECONDS = 30


@dataclass(frozen=True)
class SlurmTasks:
    """The tasks of a SLURM step and the place of this process among them.

    Attributes:
        addresses: host:port of each task, in the order of their ranks; no port twice.
        rank: number of this task in the step, from 0 (SLURM_PROCID).
        local_rank: number of this task among those on its node, from 0 (SLURM_LOCALID): with one
            task a GPU, the GPU it takes where all of the node are visible to it. Where SLURM has
            bound the GPUs (`--gpus-per-task`, `--gpu-bind`), only its own are.
        tasks_on_this_node: tasks of the step on this node.
    """

    addresses: tuple[str, ...]
    rank: int
    local_rank: int
    tasks_on_this_node: int


def slurm_tasks(environment: Mapping[str, str] = os.environ) -> SlurmTasks | None:
    """The tasks that `srun` started together, or None where this is one process alone.

    Only `srun` sets SLURM_STEP_NUM_TASKS: a process of the batch script itself is alone, though
    SLURM_NTASKS tells of all tasks of the job there too.

    Ranks are taken to fill one node after the other (`--distribution=block`). Each task has a port
    of its own that follows from the numbers of job, step and task, so that all tasks know it
    without asking, also where several nodes are one machine.

    Args:
        environment: SLURM's variables; `scontrol` is looked for in its PATH and, where there is
            one, asked for the addresses of the nodes, whose names need not be known to DNS.

    Raises:
        UserError: a variable is missing or cannot be read, or the ranks lie otherwise.
    """
    if "SLURM_STEP_NUM_TASKS" not in environment or "SLURM_STEP_ID" not in environment:
        return None
    count = _number(environment, "SLURM_STEP_NUM_TASKS")
    if count <= 1:
        return None
    hosts = _expanded(environment, "SLURM_STEP_NODELIST", expand_hosts)
    tasks = _expanded(environment, "SLURM_STEP_TASKS_PER_NODE", expand_tasks_per_node)
    if len(tasks) != len(hosts) or sum(tasks) != count:
        raise UserError(
            f"SLURM's variables contradict each other: SLURM_STEP_NUM_TASKS is {count}, "
            f"SLURM_STEP_NODELIST has {len(hosts)} nodes, SLURM_STEP_TASKS_PER_NODE has "
            f"{sum(tasks)} tasks on {len(tasks)}; start training by srun itself"
        )
    rank = _number(environment, "SLURM_PROCID")
    local_rank = _number(environment, "SLURM_LOCALID")
    if count > _PORTS or rank >= count:
        raise UserError(f"SLURM_PROCID is {rank} of {count} tasks, which cannot be")
    node_of = [node for node, here in enumerate(tasks) for _ in range(here)]
    own = node_of[rank]
    _check_distribution(environment, hosts[own], node_of.index(own), tasks[own])
    first = _first_port(environment)
    machines = _addresses(hosts, environment)
    addresses = tuple(
        f"{machines[hosts[node]]}:{_FIRST_PORT + (first + number) % _PORTS}"
        for number, node in enumerate(node_of)
    )
    return SlurmTasks(addresses, rank, local_rank, tasks[own])


def expand_hosts(text: str) -> list[str]:
    """Hosts of a node list in its order: `gpu[01-03,7],login` gives gpu01 gpu02 gpu03 gpu7 login.

    A name may hold several brackets, the last one counts fastest. ValueError if it is no node list.
    """
    hosts: list[str] = []
    position = 0
    while position < len(text) or not hosts:
        names = [""]
        start = position
        while piece := _PIECE.match(text, position):
            brackets, plain = piece.groups()
            endings = [plain] if brackets is None else list(_numbers(brackets))
            if len(hosts) + len(names) * len(endings) > _MOST_HOSTS:
                raise ValueError(f"more than {_MOST_HOSTS} hosts")
            names = [name + ending for name in names for ending in endings]
            position = piece.end()
        comma = text[position : position + 1]
        if position == start or comma not in ("", ",") or text[position:] == ",":
            raise ValueError(f"no node list from character {position + 1} on")
        hosts += names
        position += 1
    return hosts


def _numbers(text: str) -> Iterator[str]:
    """What stands in brackets: `08-10,3` gives 08 09 10 3."""
    for part in text.split(","):
        found = _RANGE.fullmatch(part)
        first, last = (found[1], found[2] or found[1]) if found else ("1", "0")
        if int(first) > int(last):
            raise ValueError(f"{part!r} is no range")
        if int(last) - int(first) >= _MOST_HOSTS:
            raise ValueError(f"{part!r} is too long a range")
        yield from (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))


def expand_tasks_per_node(text: str) -> list[int]:
    """Tasks of each node: `4(x2),1` gives 4 4 1. ValueError if it is no such list."""
    counts: list[int] = []
    for part in text.split(","):
        found = _TASKS.fullmatch(part)
        if not found or not 0 < int(found[2] or 1) <= _MOST_HOSTS:
            raise ValueError(f"{part!r} is no number of tasks")
        counts += [int(found[1])] * int(found[2] or 1)
    return counts


def _value(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise UserError(f"{name} is not set, though SLURM's step is; start training by srun itself")
    return value


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _value(environment, name)
    if not re.fullmatch(r"[0-9]{1,10}", value):
        raise UserError(f"{name} is {one_line(value)[:80]!r}; srun sets it to a number")
    return int(value)


def _expanded(
    environment: Mapping[str, str], name: str, expand: Callable[[str], list[T]]
) -> list[T]:
    value = _value(environment, name)
    try:
        return expand(value)
    except ValueError as error:
        raise UserError(f"{name} is {one_line(value)[:80]!r}: {error}") from None


def _check_distribution(
    environment: Mapping[str, str], host: str, first_rank: int, here: int
) -> None:
    """UserError unless this node holds the ranks that one node after the other would give it.

    SLURM_GTIDS are all ranks of the node: with them the first task of a node sees it too.
    """
    node = _value(environment, "SLURMD_NODENAME")
    expected = ",".join(str(first_rank + number) for number in range(here))
    ranks = environment.get("SLURM_GTIDS", "")
    if node != host or (ranks and ranks != expected):
        raise UserError(
            f"SLURM runs rank {ranks or environment['SLURM_PROCID']} on {one_line(node)}, but "
            f"ranks must fill one node after the other ({expected} on {host}); add "
            "--distribution=block to srun"
        )


def _first_port(environment: Mapping[str, str]) -> int:
    """Where the ports of this step begin, counted from `_FIRST_PORT`.

    Jobs that share a node mostly have numbers close to each other: up to 175 apart, and with up to
    128 tasks each, they never clash. A job's next step begins half of all ports further on.
    """
    job, step = _number(environment, "SLURM_JOB_ID"), _number(environment, "SLURM_STEP_ID")
    return (job + step * (_JOBS // 2 + 1)) % _JOBS * _PORTS_A_JOB


def _addresses(hosts: list[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The address of each node as SLURM's daemons know it, else its name."""
    addresses = {host: host for host in hosts}
    scontrol = shutil.which("scontrol", path=environment.get("PATH", ""))
    if scontrol is None:
        return addresses
    try:
        shown = subprocess.run(  # noqa: S603 - SLURM's own command
            [scontrol, "--oneliner", "show", "node", ",".join(hosts)],
            env=dict(environment), capture_output=True, text=True, timeout=_SCONTROL_SECONDS,
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return addresses  # the names are what most clusters give to DNS too
    for line in shown.splitlines():
        fields = dict(field.split("=", 1) for field in line.split() if "=" in field)
        address = fields.get("NodeAddr", "(null)")
        if fields.get("NodeName") in addresses and address != "(null)":
            addresses[fields["NodeName"]] = f"[{address}]" if ":" in address else address
    return addresses
