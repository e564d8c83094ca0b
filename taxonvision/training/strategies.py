"""Where training runs: one device, the devices of a machine, several machines, or a TPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from taxonvision.errors import UserError
from taxonvision.text import reason_of, several
from taxonvision.training.cluster import Cluster, find_cluster

CHOICES = ("auto", "single", "mirrored", "multiworker", "tpu")


@dataclass(frozen=True)
class Placement:
    """A strategy of `tf.distribute`, and which of the processes that feed it this one is.

    Attributes:
        strategy: the step runs by its `run`, variables are made in its `scope`.
        worker: number of this process, from 0.
        workers: processes that feed data: 1 unless the strategy is multiworker.
        reason: the strategy and why it was picked, one line.
    """

    strategy: tf.distribute.Strategy
    worker: int
    workers: int
    reason: str

    @property
    def chief(self) -> bool:
        """Whether this process writes the model, the history and the logs."""
        return self.worker == 0

    @property
    def replicas(self) -> int:
        """Devices that each take an equal share of a batch, over all processes."""
        return int(self.strategy.num_replicas_in_sync)


def place(
    choice: str, tpu: str | None = None, environment: Mapping[str, str] = os.environ
) -> Placement:
    """The strategy asked for, or with `auto` the one that uses what is there.

    Call it before anything else has woken TensorFlow: a strategy of several processes can only
    be made first.

    Raises:
        UserError: what the choice needs is not there.
    """
    if choice not in CHOICES:
        raise UserError(f"--strategy={choice} is unknown; known: {', '.join(CHOICES)}")
    if tpu and choice not in ("auto", "tpu"):
        raise UserError(f"--tpu={tpu} goes with --strategy=tpu, not with --strategy={choice}")
    if choice == "tpu" or tpu:
        return _tpu(tpu or "local")
    if choice == "single":
        return _single("asked for")
    if choice == "mirrored":
        return _mirrored()
    cluster = find_cluster(environment)
    if choice == "multiworker":
        if cluster is None:
            raise UserError(
                "--strategy=multiworker needs several processes: start them by srun in a SLURM "
                "allocation, or give each of them TF_CONFIG"
            )
        return _multiworker(cluster, environment)
    if cluster is not None and len(cluster.addresses) > 1:
        return _multiworker(cluster, environment)
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1:
        return _mirrored()
    return _single(f"{'one GPU' if gpus else 'one CPU, no GPU'}, no TF_CONFIG, no SLURM tasks")


def _single(why: str) -> Placement:
    return Placement(tf.distribute.get_strategy(), 0, 1, f"strategy single: {why}")


def _mirrored() -> Placement:
    strategy = tf.distribute.MirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = several(strategy.num_replicas_in_sync, kind)
    return Placement(strategy, 0, 1, f"strategy mirrored: {devices} of this machine")


def _multiworker(cluster: Cluster, environment: Mapping[str, str]) -> Placement:
    gpus = tf.config.list_physical_devices("GPU")
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.rank,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
    workers = len(cluster.addresses)
    return Placement(strategy, cluster.rank, workers, f"strategy multiworker: {cluster.said}")


def _tpu(name: str) -> Placement:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (tf.errors.OpError, ValueError, RuntimeError, OSError) as error:
        raise UserError(f"no TPU answers as --tpu={name}: {reason_of(error, 200)}") from None
    strategy = tf.distribute.TPUStrategy(resolver)
    cores = several(strategy.num_replicas_in_sync, "core")
    return Placement(strategy, 0, 1, f"strategy tpu: {cores} of {name}")
