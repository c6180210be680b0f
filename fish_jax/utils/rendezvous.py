"""A rendezvous of all processes of a run, before JAX's runtime starts.

JAX's runtime mixes up two runs on one port, waits for ever for a process whose index was given
twice, and aborts where a process never comes. Here the first process listens, the others send
their index, and each fault is an error message on all of them.
"""

import contextlib
import re
import socket
import time

from fish_jax.errors import UserError

GO = "all are here"  # the answer when all processes have come
LONGEST = 1000  # characters of a line


def call(coordinator: str, index: int, count: int, patience: float) -> None:
    """Waits until all processes have called it.

    Args:
      coordinator: HOST:PORT of the first process.
      index: the index of this process, starting at 0.
      count: number of processes.
      patience: seconds to wait for the others.

    Raises:
      UserError: the port is in use, a process does not come, or two have the same index.
    """
    host, _, port = coordinator.rpartition(":")
    if int(port) > 65535:
        raise UserError(f"--coordinator={coordinator}: the port must be at most 65535")
    end = time.monotonic() + patience
    if index == 0:
        _answer_all(coordinator, int(port), count, end)
    else:
        _answer(coordinator, (host.strip("[]"), int(port)), index, count, end)


def _answer_all(coordinator: str, port: int, count: int, end: float) -> None:
    """The part of the first process: waits for all others, then answers each."""
    try:
        either = {"family": socket.AF_INET6, "dualstack_ipv6": True}
        server = socket.create_server(("", port), **either if socket.has_dualstack_ipv6() else {})
    except OSError as error:
        raise UserError(
            f"cannot listen on --coordinator={coordinator} ({error.strerror}); give all processes "
            "of this run a free port that no other run uses"
        ) from None
    connections: list[socket.socket] = []
    indices, last, fault = {0}, count - 1, ""
    with server, contextlib.ExitStack() as stack:
        while len(indices) < count and not fault:
            server.settimeout(max(0.01, end - time.monotonic()))
            try:
                connection = stack.enter_context(server.accept()[0])
            except TimeoutError:
                missing = ", ".join(str(i) for i in range(count) if i not in indices)
                fault = f"process {missing} of {count} did not start in time; start all of them"
                break
            said = re.fullmatch(r"process (\d+) of (\d+)", _receive(connection, 5))
            if not said:  # not a process of ours
                connection.close()
                continue
            index, other = int(said[1]), int(said[2])
            if other != count:
                fault = (
                    f"process 0 has --num_processes={count}, process {index} has {other}; give "
                    "all the same number"
                )
            elif index in indices:
                fault = f"two processes have --process_id={index}; give each its own, 0 to {last}"
            connections.append(connection)
            indices.add(index)
        for connection in connections:
            _send(connection, fault or GO)
    if fault:
        raise UserError(fault)


def _answer(coordinator: str, address: tuple[str, int], index: int, count: int, end: float) -> None:
    """The part of every other process: sends its index and waits for the answer."""
    while True:
        try:
            with socket.create_connection(address, timeout=5) as connection:
                _send(connection, f"process {index} of {count}")
                reply = _receive(connection, max(1, end - time.monotonic()) + 5)
            break
        except (OSError, OverflowError) as error:
            if time.monotonic() > end:
                raise UserError(
                    f"process {index} of {count} did not find process 0 at {coordinator} in time "
                    f"({error}); start it there with --process_id=0"
                ) from None
        time.sleep(0.5)
    if reply != GO:
        stranger = (
            f"the program that listens at {coordinator} is not process 0 of this run, or has ended"
        )
        raise UserError(reply if reply.isprintable() and reply else stranger)


def _send(connection: socket.socket, line: str) -> None:
    with contextlib.suppress(OSError):  # the other has ended, which shows later
        connection.sendall(f"{line}\n".encode())


def _receive(connection: socket.socket, seconds: float) -> str:
    """The line that the other side sends; "" if it sends none in time."""
    connection.settimeout(seconds)
    try:
        with connection.makefile("r", errors="replace", newline="\n") as file:
            return file.readline(LONGEST).rstrip("\n")
    except OSError:
        return ""
