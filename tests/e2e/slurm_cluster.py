"""A real SLURM of two nodes on this machine: a fixture that starts it and stops it.

It needs Debian's `slurm-wlm` and `munge`, nothing of their set-up: configuration, key, socket,
ports and state are its own, in a temporary folder, so that it does not meet a SLURM that runs
here already. Root or not: each daemon runs as whoever runs the tests, munge as its own user.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")
NODES = ("node2", "node10")  # sorted as text they stand the other way round
_UNFINISHED = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED", "SUSPENDED"}
_DAEMONS = (
    "munged",
    "slurmctld",
    "slurmd",
    "srun",
    "sbatch",
    "scontrol",
    "scancel",
    "sinfo",
    "squeue",
)
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))

_CONFIGURATION = """\
ClusterName=taxonvision
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
# Training derives its ports from the job's number: not those of another such cluster at work here.
FirstJobId={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits for cred_expire seconds before it starts again (120 by default).
AuthInfo=socket={socket},cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
# no systemd, no cgroups, no accounting, no mail: this is to run in any container
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Both nodes are this machine, whatever its cores are.
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
KillWait=20
JobRequeue=1
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=60 State=UP
"""


def eventually(
    condition: Callable[[], T | None], seconds: float, what: str, *, every: float = 0.2
) -> T:
    """The first truthy answer of `condition`; fails the test when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:g} seconds")
        time.sleep(every)
    return answer


@dataclass(frozen=True)
class Job:
    """What SLURM says of a job: `fields` is `scontrol show job`, `JobState` one of them."""

    fields: Mapping[str, str]

    @property
    def state(self) -> str:
        return self.fields["JobState"]

    @property
    def unfinished(self) -> bool:
        """Whether it waits, runs or is about to run again."""
        return self.state in _UNFINISHED

    @property
    def restarts(self) -> int:
        return int(self.fields["Restarts"])


@dataclass(frozen=True)
class SlurmCluster:
    """A SLURM that runs: two nodes of one core each, `environment` leads commands to it."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str | Path, **options) -> subprocess.CompletedProcess[str]:
        """Runs a command that talks to this SLURM; its output is captured."""
        return subprocess.run(
            list(map(str, command)),
            env={**self.environment, **options.pop("variables", {})},
            capture_output=True, text=True, check=False, timeout=300, **options,
        )  # fmt: skip

    def submit(self, *arguments: str | Path, **options) -> str:
        """`sbatch` with these arguments: the number of the job."""
        done = self.run("sbatch", "--parsable", *arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def job(self, number: str) -> Job:
        """What SLURM knows of a job."""
        done = self.run("scontrol", "--oneliner", "show", "job", number)
        assert done.returncode == 0, done.stderr
        pairs = (field.split("=", 1) for field in done.stdout.split() if "=" in field)
        return Job(dict(pairs))

    def wait_for(self, number: str, seconds: float) -> Job:
        """The job when it has ended, whatever the end."""

        def ended() -> Job | None:
            job = self.job(number)
            return None if job.unfinished else job

        return eventually(ended, seconds, f"the end of job {number}")

    def logs(self) -> str:
        """The ends of what the daemons wrote, to be shown with a failure."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in logs)


@pytest.fixture(scope="session", name="slurm_cluster")
def start_slurm_cluster() -> Iterator[SlurmCluster]:
    """A SLURM of two nodes, stopped with all that runs in it when the tests end.

    Without the Debian packages the tests that ask for it are skipped, but fail where CI is set.
    """
    if missing := [name for name in _DAEMONS if not shutil.which(name, path=_PATH)]:
        reason = f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    # Not pytest's own folder: munge's user must be able to look into this one.
    folder = Path(tempfile.mkdtemp(prefix="taxonvision-slurm-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        munge_socket = _start_munge(folder / "munge", stack)
        configuration = _configure(folder, munge_socket)
        # What an outer SLURM or an earlier step said of itself must not be taken for this one's.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))}
        commands = os.pathsep.join((str(Path(sys.executable).parent), _PATH))  # taxonvision's first
        environment |= {"SLURM_CONF": str(configuration), "PATH": commands}
        cluster = SlurmCluster(folder, environment)
        daemons = [["slurmctld", "-D"], *(["slurmd", "-D", "-N", node] for node in NODES)]
        _await_nodes(cluster, [_start(each, folder, environment, stack) for each in daemons])
        stack.callback(_end_jobs, cluster)  # before the daemons are stopped
        yield cluster


def _configure(folder: Path, munge_socket: Path) -> Path:
    ports = _free_ports(1 + len(NODES))
    host = socket.gethostname().split(".")[0]
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} "
        "CPUs=1 RealMemory=2000 State=UNKNOWN"
        for node, port in zip(NODES, ports[1:], strict=True)
    )
    (folder / "state").mkdir()
    for node in NODES:
        (folder / f"spool-{node}").mkdir()
    (folder / "cgroup.conf").write_text(f"CgroupPlugin={_plugin_without_cgroups()}\n")
    configuration = folder / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=host,
            controller_port=ports[0],
            user=pwd.getpwuid(os.getuid()).pw_name,
            socket=munge_socket,
            folder=folder,
            nodes=nodes,
            names=",".join(NODES),
        )
    )
    return configuration


def _plugin_without_cgroups() -> str:
    """The plugin that works where there are no cgroups: older versions cannot do without any."""
    done = subprocess.run(["slurmd", "-V"], env={"PATH": _PATH}, capture_output=True, text=True)
    release = tuple(map(int, re.findall(r"\d+", done.stdout)[:2]))
    return "disabled" if release >= (23, 11) else "cgroup/v1"


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _start_munge(folder: Path, stack: contextlib.ExitStack) -> Path:
    """munged with a key and a socket of its own; gives the socket."""
    folder.mkdir(mode=0o755)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    user = "munge" if os.getuid() == 0 else None
    if user:  # munged wants its files to be its own
        for path in (folder, key):
            shutil.chown(path, user, user)
    munge_socket = folder / "socket"
    command = [
        "munged", "--foreground", f"--key-file={key}", f"--socket={munge_socket}",
        f"--pid-file={folder / 'pid'}", f"--seed-file={folder / 'seed'}",
        f"--log-file={folder / 'munged.log'}",
    ]  # fmt: skip
    _start(command, folder.parent, {"PATH": _PATH}, stack, user=user)
    eventually(munge_socket.is_socket, 20, "munged's socket")
    return munge_socket


def _start(
    command: list[str],
    folder: Path,
    environment: Mapping[str, str],
    stack: contextlib.ExitStack,
    user: str | None = None,
) -> subprocess.Popen:
    """Starts a daemon in the foreground; the stack stops it."""
    log = stack.enter_context((folder / "daemons.log").open("ab"))
    program = shutil.which(command[0], path=_PATH)
    process = subprocess.Popen(
        [str(program), *command[1:]],
        env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
        user=user, group=user, extra_groups=[] if user else None, start_new_session=True,
    )  # fmt: skip
    stack.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=20)


def _await_nodes(cluster: SlurmCluster, daemons: list[subprocess.Popen]) -> None:
    """Waits until both nodes are idle; fails with the logs when they do not come up."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and all(daemon.poll() is None for daemon in daemons):
        done = cluster.run("sinfo", "--noheader", "--Node", "--format=%N %t")
        if sorted(done.stdout.splitlines()) == sorted(f"{node} idle" for node in NODES):
            return
        time.sleep(0.2)
    pytest.fail(f"SLURM's nodes do not come up\n{cluster.logs()}")


def _end_jobs(cluster: SlurmCluster) -> None:
    """Cancels every job; step daemons and tasks end with them."""
    cluster.run("scancel", "--full", "--signal=KILL", "--partition=main")
    cluster.run("scancel", "--partition=main")

    def none_left() -> bool:
        return not cluster.run("squeue", "--noheader").stdout.strip()

    eventually(none_left, 30, "the end of all jobs")
