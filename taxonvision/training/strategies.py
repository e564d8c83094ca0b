"""Where training runs: one device, the devices of a machine, several machines, or a TPU."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tensorflow as tf

from taxonvision.errors import UserError
from taxonvision.progress import working
from taxonvision.text import reason_of, several
from taxonvision.training.cluster import Cluster, find_cluster
from taxonvision.training.rendezvous import meet

CHOICES = ("auto", "single", "mirrored", "multiworker", "tpu")
_TPU_ANSWERS = 10.0  # seconds


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

    @property
    def own_replicas(self) -> int:
        """Those of this process."""
        return self.replicas // self.workers


def place(
    choice: str,
    tpu: str | None = None,
    environment: Mapping[str, str] = os.environ,
    patience: float = 300.0,
) -> Placement:
    """The strategy asked for, or with `auto` the one that uses what is there.

    Call it before anything else has woken TensorFlow: a strategy of several processes can only
    be made first.

    Args:
        choice: one of `CHOICES`.
        tpu: name or grpc:// address of a TPU; `local` for the one of this machine.
        environment: variables, for TF_CONFIG and SLURM's.
        patience: seconds to wait for the other processes.

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
    if choice == "multiworker" and cluster is None:
        raise UserError(
            "--strategy=multiworker needs several processes: start them by srun in a SLURM "
            "allocation, or give each of them TF_CONFIG"
        )
    if cluster is not None and (choice == "multiworker" or len(cluster.addresses) > 1):
        return _multiworker(cluster, environment, patience)
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus > 1:
        return _mirrored()
    found = cluster.said if cluster else "no TF_CONFIG, no SLURM tasks"
    return _single(f"{'one GPU' if gpus else 'one CPU, no GPU'}, {found}")


def check_possible(
    placement: Placement, batch_size: int, precision: str, *, mixes: bool = False
) -> None:
    """UserError for what the strategy cannot do, before the first step.

    `mixes`: whether batches are mixed on the device (`training.mixing`).
    """
    replicas = placement.replicas
    on_tpu = isinstance(placement.strategy, tf.distribute.TPUStrategy)
    if batch_size < replicas:
        raise UserError(
            f"a batch has {batch_size} photographs, fewer than the {replicas} devices that share "
            "it; raise --batch_size, or take fewer devices"
        )
    if on_tpu and batch_size % replicas:
        below = batch_size // replicas * replicas
        raise UserError(
            f"a batch of {batch_size} photographs cannot be shared out evenly to {replicas} TPU "
            f"cores; try --batch_size={below} or {below + replicas}"
        )
    if on_tpu and precision == "mixed_float16":
        raise UserError("a TPU does not compute in float16; use --precision=mixed_bfloat16")
    if on_tpu and mixes:
        raise UserError(
            "a TPU cannot mix batches: its compiler lacks operations of Keras's layers; "
            "use --augment=standard"
        )


def lost_worker(error: Exception) -> bool:
    """Whether a step failed because another process of the cluster is gone.

    TensorFlow 2.21 tells within a second of one that ended or was killed (UnavailableError), and
    after ten seconds without a heartbeat of one whose machine was lost (UnavailableError, or
    DeadlineExceededError where it was the first). Nothing can be reduced in this process then
    any more: it has to be started again.
    """
    gone = tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError
    return isinstance(error, gone) or (
        isinstance(error, tf.errors.OpError) and "Collective ops is aborted" in str(error)
    )


def on_cpu(placement: Placement) -> bool:
    """Whether no accelerator takes part; then results can be the same to the bit for free."""
    on_tpu = isinstance(placement.strategy, tf.distribute.TPUStrategy)
    return not on_tpu and not tf.config.list_physical_devices("GPU")


@contextlib.contextmanager
def lost_workers_told() -> Iterator[None]:
    """Turn what fails in the block because another process is gone into a UserError."""
    try:
        yield
    except tf.errors.OpError as error:
        if not lost_worker(error):
            raise
        # Not to be requeued: perhaps its photographs or its disk are to be mended first.
        raise UserError(
            "another worker was lost, its output may say why; the same command goes on from the "
            "last checkpoint"
        ) from None


def _single(why: str) -> Placement:
    return Placement(tf.distribute.get_strategy(), 0, 1, f"strategy single: {why}")


def _mirrored() -> Placement:
    strategy = tf.distribute.MirroredStrategy()
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    devices = several(strategy.num_replicas_in_sync, kind)
    return Placement(strategy, 0, 1, f"strategy mirrored: {devices} of this machine")


def _multiworker(cluster: Cluster, environment: Mapping[str, str], patience: float) -> Placement:
    with working("waiting for the other tasks"):
        meet(cluster, patience)
    gpus = _own_gpus(cluster, environment)
    collectives = tf.distribute.experimental.CommunicationImplementation
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.rank,
        num_accelerators={"GPU": gpus},
        rpc_layer="grpc",
    )
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        resolver,
        tf.distribute.experimental.CommunicationOptions(
            implementation=collectives.NCCL if gpus else collectives.RING
        ),
    )
    workers = len(cluster.addresses)
    return Placement(strategy, cluster.rank, workers, f"strategy multiworker: {cluster.said}")


def _own_gpus(cluster: Cluster, environment: Mapping[str, str]) -> int:
    """Leave this process its part of the machine's GPUs; returns how many.

    Where SLURM has bound GPUs to tasks, each task sees its own alone.
    """
    gpus = tf.config.list_physical_devices("GPU")
    tasks = cluster.tasks_on_this_node
    bound = any(environment.get(name) for name in ("SLURM_GPUS_PER_TASK", "SLURM_GPU_BIND"))
    if tasks > 1 and not bound and len(gpus) >= tasks:
        each = len(gpus) // tasks
        gpus = gpus[cluster.local_rank * each :][:each]
        tf.config.set_visible_devices(gpus, "GPU")
    return len(gpus)


def _tpu(name: str) -> Placement:
    try:
        socket.setdefaulttimeout(_TPU_ANSWERS)  # of what TensorFlow asks by HTTP
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        if name != "local":
            _check_answers(resolver.master())
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except Exception as error:  # of its HTTP client, of gRPC, of the runtime: of many kinds
        reason = reason_of(error, 200).partition(". ")[0]
        raise UserError(
            f"no TPU was found as --tpu={name} ({reason}); run this on a machine that has one, "
            "with a TensorFlow built for TPUs, or leave --strategy to auto"
        ) from None
    finally:
        socket.setdefaulttimeout(None)
    strategy = tf.distribute.TPUStrategy(resolver)
    cores = several(strategy.num_replicas_in_sync, "core")
    return Placement(strategy, 0, 1, f"strategy tpu: {cores} of {name}")


def _check_answers(master: str) -> None:
    """OSError unless somebody listens at grpc://host:port; TensorFlow would try for hours."""
    host, _, port = master.removeprefix("grpc://").rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), _TPU_ANSWERS).close()
