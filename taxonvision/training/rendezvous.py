"""The processes of a cluster wait for each other before TensorFlow starts.

TensorFlow's first worker waits without end for the others and cannot be interrupted meanwhile.
Here each says at the first one's address that it is there; whoever has not come in time is named.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

from taxonvision.errors import UserError
from taxonvision.text import reason_of, several
from taxonvision.training.cluster import Cluster

_GO = b"go\n"
_RETRY = 0.2  # seconds
_GREETING = 5.0  # seconds that a process has to say which one it is


def meet(cluster: Cluster, patience: float) -> None:
    """Return when all processes of the cluster have called this, at most `patience` seconds later.

    Raises UserError when one has not come, or when this one's own port is taken.
    """
    if len(cluster.addresses) < 2:
        return
    deadline = time.monotonic() + patience
    with _listening(cluster) as server:
        if cluster.rank == 0:
            missing = _gather(server, cluster, deadline)
            if missing:
                names = ", ".join(f"{task} ({cluster.addresses[task]})" for task in missing[:5])
                more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
                raise UserError(
                    f"{several(len(missing), 'task')} of {len(cluster.addresses)} did not start "
                    f"within {patience:.0f} s: {names}{more}; look into their output"
                )
            return
    if reason := _report(cluster, deadline):
        raise UserError(
            f"task {cluster.rank} was not let in by task 0 ({cluster.addresses[0]}) within "
            f"{patience:.0f} s: {reason}; look into the output of the others"
        )


@contextlib.contextmanager
def _listening(cluster: Cluster) -> Iterator[socket.socket]:
    """This process's own port, which TensorFlow is to listen at afterwards."""
    port = int(cluster.addresses[cluster.rank].rpartition(":")[2])
    both = socket.has_dualstack_ipv6()
    try:
        server = socket.create_server(
            ("", port),
            family=socket.AF_INET6 if both else socket.AF_INET,
            backlog=len(cluster.addresses),
            dualstack_ipv6=both,
        )
    except OSError as error:
        raise UserError(
            f"task {cluster.rank} cannot listen at its address {cluster.addresses[cluster.rank]}: "
            f"{error.strerror or error}; end what uses the port, or name another"
        ) from None
    with server:
        yield server


def _gather(server: socket.socket, cluster: Cluster, deadline: float) -> list[int]:
    """Wait for all others and let them go; returns those who have not come."""
    with contextlib.ExitStack() as closing:
        here: dict[int, socket.socket] = {}
        while len(here) < len(cluster.addresses) - 1:
            server.settimeout(max(deadline - time.monotonic(), 1e-3))
            try:
                connection, _ = server.accept()
            except TimeoutError:
                return [task for task in range(1, len(cluster.addresses)) if task not in here]
            closing.enter_context(connection)
            if (task := _who(connection, len(cluster.addresses))) is not None:
                here[task] = connection
        for connection in here.values():
            with contextlib.suppress(OSError):
                connection.sendall(_GO)
    return []


def _greeting(task: int, tasks: int) -> bytes:
    return b"taxonvision task %d of %d\n" % (task, tasks)


def _who(connection: socket.socket, tasks: int) -> int | None:
    """The task at the other end; None where it is none of this cluster."""
    connection.settimeout(_GREETING)
    try:
        said = connection.makefile("rb").readline(80)
    except OSError:
        return None
    return next((task for task in range(1, tasks) if said == _greeting(task, tasks)), None)


def _report(cluster: Cluster, deadline: float) -> str:
    """Tell task 0 that this one is here and wait until all are; returns why that failed, or ""."""
    host, _, port = cluster.addresses[0].rpartition(":")
    while True:
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _GREETING) as connection:
                connection.sendall(_greeting(cluster.rank, len(cluster.addresses)))
                connection.settimeout(max(deadline - time.monotonic(), 1e-3))
                if connection.makefile("rb").readline(80) == _GO:
                    return ""
                reason = "it went away again"
        except TimeoutError:
            reason = "it waits for others or cannot be reached"
        except OSError as error:
            reason = error.strerror or reason_of(error)
        if time.monotonic() + _RETRY > deadline:
            return reason
        time.sleep(_RETRY)
