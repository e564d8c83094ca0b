"""Which processes train together: read from TF_CONFIG or from SLURM."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from taxonvision.errors import UserError
from taxonvision.text import one_line, several

_JOBS = ("chief", "worker")
_EXAMPLE = (
    '{"cluster": {"worker": ["node1:2222", "node2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """The processes that train together.

    Attributes:
        addresses: host:port of each, in the order of their numbers.
        rank: the number of this process, from 0.
        said: where this was read and which process this is, for people.
        local_rank: the number of this process among those on its machine.
        tasks_on_this_node: processes on this machine; 1 where nothing says so.
    """

    addresses: tuple[str, ...]
    rank: int
    said: str
    local_rank: int = 0
    tasks_on_this_node: int = 1


def find_cluster(environment: Mapping[str, str]) -> Cluster | None:
    """The cluster of TF_CONFIG, else of SLURM, else None.

    Raises:
        UserError: TF_CONFIG cannot be used.
    """
    if text := environment.get("TF_CONFIG"):
        return _read_tf_config(text)
    from taxonvision.training.slurm import slurm_tasks

    tasks = slurm_tasks(environment)
    if tasks is None:
        return None
    said = _said("SLURM", tuple(tasks.addresses), tasks.rank)
    return Cluster(
        tuple(tasks.addresses), tasks.rank, said, tasks.local_rank, tasks.tasks_on_this_node
    )


def _said(source: str, addresses: tuple[str, ...], rank: int) -> str:
    tasks = several(len(addresses), "task")
    return f"{source} gave {tasks}, this is task {rank} ({addresses[rank]})"


def _read_tf_config(text: str) -> Cluster:
    """The workers of TF_CONFIG; a chief counts as worker 0, as in TensorFlow."""
    try:
        config = json.loads(text)
    except ValueError as error:
        raise UserError(f"TF_CONFIG is not JSON ({error}): {one_line(text)[:80]}") from None
    cluster, task = (
        config.get(name) if isinstance(config, dict) else None for name in ("cluster", "task")
    )
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise UserError(f"TF_CONFIG has no cluster or no task; it should read like {_EXAMPLE}")
    if others := sorted(set(cluster) - set(_JOBS)):
        raise UserError(
            f"TF_CONFIG has the job {one_line(others[0])}; only chief and worker train here"
        )
    jobs = {name: _addresses(name, cluster.get(name, [])) for name in _JOBS}
    addresses = (*jobs["chief"], *jobs["worker"])
    if len(set(addresses)) < len(addresses):
        raise UserError("TF_CONFIG has an address twice; each process needs one of its own")
    kind, index = task.get("type"), task.get("index")
    if kind not in _JOBS:  # a tuple, which is asked of anything, also of a list
        raise UserError(f"TF_CONFIG: the task's type is {kind!r}; it must be chief or worker")
    if isinstance(index, str) and re.fullmatch("[0-9]{1,6}", index):
        index = int(index)
    if type(index) is not int or not 0 <= index < len(jobs[kind]):
        raise UserError(
            f"TF_CONFIG: the task's index is {index!r}, but the job {kind} has "
            f"{several(len(jobs[kind]), 'address')}, counted from 0"
        )
    rank = index if kind == "chief" else len(jobs["chief"]) + index
    return Cluster(addresses, rank, _said("TF_CONFIG", addresses, rank))


def _addresses(job: str, value: object) -> tuple[str, ...]:
    addresses = value if isinstance(value, list) else [value]
    for address in addresses:
        found = (
            re.fullmatch(r"[^\s,/]+:([0-9]{1,5})", address) if isinstance(address, str) else None
        )
        if not found or not 0 < int(found[1]) < 65_536:
            raise UserError(f"TF_CONFIG: the job {job} has {address!r}, which is no host:port")
    return tuple(addresses)
