from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from two_workers import free_addresses

from taxonvision.errors import UserError
from taxonvision.training.cluster import Cluster
from taxonvision.training.rendezvous import meet


def cluster(addresses, rank):
    return Cluster(tuple(addresses), rank, "")


def test_all_go_on_together_and_leave_their_ports_free():
    addresses = free_addresses(5)
    with ThreadPoolExecutor(5) as pool:
        late = [pool.submit(meet, cluster(addresses, rank), 20) for rank in (4, 2, 1, 3)]
        assert not any(each.done() for each in late)
        first = pool.submit(meet, cluster(addresses, 0), 20)
        assert [each.result(20) for each in [*late, first]] == [None] * 5
    for address in addresses:
        socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))).close()


def test_one_alone_does_not_wait():
    meet(cluster(["nowhere.invalid:1"], 0), 0.0)


def test_the_first_names_those_who_did_not_come_and_lets_strangers_go():
    addresses = free_addresses(3)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(meet, cluster(addresses, 0), 1.5)
        second = pool.submit(meet, cluster(addresses, 1), 1.5)
        port = int(addresses[0].rpartition(":")[2])
        while not first.done():
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
                break
            except ConnectionRefusedError:  # it does not listen yet
                continue
        with pytest.raises(UserError) as refused:
            first.result(20)
        assert str(refused.value) == (
            f"1 task of 3 did not start within 2 s: 2 ({addresses[2]}); look into their output"
        )
        with pytest.raises(UserError, match=r"task 1 was not let in by task 0 \(127"):
            second.result(20)


def test_a_first_one_that_never_comes_is_told_of_in_time():
    addresses = free_addresses(2)
    start = time.monotonic()
    with pytest.raises(UserError, match=r"within 0 s: Connection refused; look into the output"):
        meet(cluster(addresses, 1), 0.3)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("rank", [0, 1])
def test_a_port_that_is_taken_is_refused(rank):
    addresses = free_addresses(2)
    with (
        socket.create_server(("127.0.0.1", int(addresses[rank].rpartition(":")[2]))),
        pytest.raises(UserError, match=f"task {rank} cannot listen at its address 127.0.0.1:"),
    ):
        meet(cluster(addresses, rank), 5)
