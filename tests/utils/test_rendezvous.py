"""Processes of one run answer; a mistake in who they are is a sentence for all of them."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.several import free_port

from fish_jax.errors import UserError
from fish_jax.utils import rendezvous


def answers(members, patience=20):
    """What each (index, count) gets: nothing, or its error."""
    address = f"localhost:{free_port()}"

    def call(member):
        try:
            return rendezvous.call(address, *member, patience)
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(len(members)) as threads:
        return list(threads.map(call, members))


def test_all_are_here():
    assert answers([(2, 4), (0, 4), (3, 4), (1, 4)]) == [None] * 4


def test_an_index_that_was_given_twice():
    told = answers([(0, 3), (1, 3), (1, 3)])
    assert told[0].startswith("two processes have --process_id=1; give each its own, 0 to 2")
    assert told == told[:1] * 3


def test_other_numbers_of_processes():
    told = answers([(0, 2), (1, 3)])
    assert (
        told == ["process 0 has --num_processes=2, process 1 has 3; give all the same number"] * 2
    )


def test_one_never_comes():
    told = answers([(0, 3), (1, 3)], patience=1)
    assert told == ["process 2 of 3 did not start in time; start all of them"] * 2


def test_the_first_never_comes():
    (told,) = answers([(1, 2)], patience=0.5)
    assert "process 1 of 2 did not find process 0 at localhost" in told and "--process_id=0" in told


def test_a_port_of_another_run():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match="give all processes of this run a free port"):
            rendezvous.call(address, 0, 2, 1)


def test_a_stranger_is_not_counted():
    """Whoever connects and says something else, as a browser or another run's runtime does."""
    port = free_port()
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(rendezvous.call, f"localhost:{port}", 0, 2, 20)
        while not first.done():
            try:
                with socket.create_connection(("localhost", port)) as stranger:
                    stranger.sendall(b"GET / HTTP/1.1\r\n\xff\n")
                    assert stranger.recv(100) == b""
                break
            except ConnectionRefusedError:
                pass
        assert not first.done()
        rendezvous.call(f"localhost:{port}", 1, 2, 20)
        first.result()


def test_a_stranger_listens():
    with socket.create_server(("localhost", 0)) as server, ThreadPoolExecutor(1) as threads:
        address = f"localhost:{server.getsockname()[1]}"
        caller = threads.submit(rendezvous.call, address, 1, 2, 20)
        connection, _ = server.accept()
        connection.sendall(b"\x00\x00\x12\x04\n")
        connection.close()
        with pytest.raises(UserError, match="is not process 0 of this run"):
            caller.result()


def test_a_port_that_cannot_be():
    with pytest.raises(UserError, match="the port must be at most 65535"):
        rendezvous.call("localhost:99999", 0, 2, 1)
