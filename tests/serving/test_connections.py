"""Connections of clients that say nothing, little or never read, over real sockets."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from fish_jax.serving import connections
from fish_jax.serving.connections import Connection

SECONDS = 0.3
ANSWER = b"x" * 12_000_000  # more than the system keeps for those who do not read
BUFFER = 65_536
LIMIT = 20


async def application(scope, receive, send):
    body = ANSWER if scope["path"] == "/large" else b"small"
    while scope["path"] == "/waits" and (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", SECONDS)
    config = uvicorn.Config(
        application,
        http=Connection,
        lifespan="off",
        limit_concurrency=LIMIT,
        timeout_keep_alive=1000,
        log_level="error",
    )
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()
        running.should_exit = True
        thread.join()


@contextlib.contextmanager
def connected(address, data=b""):
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        client.settimeout(20)
        client.connect(address)
        client.sendall(data)
        yield client


def request(path="/"):
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def read(client):
    """The small answer."""
    data = b""
    while not data.endswith(b"small"):
        part = client.recv(1000)
        assert part, data
        data += part
    return data


def ends_within(client, seconds):
    """Whether the server ends a connection, having said nothing more."""
    client.settimeout(seconds)
    try:
        return client.recv(1000) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("start", [b"", b"G", request()[:-2], b"\r\n"])
def test_a_client_that_never_asks_is_closed(address, start, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 1.0)
    with connected(address, start) as client:
        assert not ends_within(client, 0.3)
        assert ends_within(client, 10)


def test_a_request_byte_by_byte_has_no_longer(address):
    with connected(address) as client, pytest.raises((ConnectionError, TimeoutError)):
        for byte in request() + b"X" * 1000:
            client.sendall(bytes([byte]))
            time.sleep(SECONDS / 10)
            client.settimeout(0.001)
            with contextlib.suppress(TimeoutError):
                if not client.recv(1):
                    raise ConnectionError


def test_after_an_answer_the_time_begins_anew(address, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 1.0)
    with connected(address) as client:
        for _ in range(3):
            time.sleep(0.5)
            client.sendall(request())
            assert read(client).startswith(b"HTTP/1.1 200")
        assert ends_within(client, 10)


def test_a_body_that_never_comes_holds_nothing(address):
    data = request().replace(b"\r\n\r\n", b"\r\nContent-Length: 100\r\n\r\n")
    with connected(address, data) as client:
        read(client)
        assert ends_within(client, 10)


def test_a_client_that_does_not_read_is_closed_and_a_slow_one_is_not(address):
    with connected(address, request("/large")) as deaf, connected(address) as slow:
        slow.sendall(request("/large"))
        taken, begun = 0, time.monotonic()
        while taken < len(ANSWER):
            part = slow.recv(BUFFER)
            assert part, taken
            taken += len(part)
            time.sleep(SECONDS / 60)
        assert time.monotonic() - begun > 2 * SECONDS
        time.sleep(2 * SECONDS)
        left = 0
        while part := deaf.recv(BUFFER):
            left += len(part)
        assert left < len(ANSWER)


def test_a_client_that_asks_twice_and_does_not_read_is_closed(address):
    with connected(address, 2 * request("/large")) as deaf:
        time.sleep(4 * SECONDS)
        left = 0
        with contextlib.suppress(ConnectionError):
            while part := deaf.recv(BUFFER):
                left += len(part)
        assert left < len(ANSWER)


@pytest.mark.parametrize("path", ["/", "/large", "/waits"])
def test_what_is_no_request_in_the_middle_of_one_is_refused_quietly(address, caplog, path):
    start = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for first, rest in (
        (start + "ZZ\r\n", ""),
        (start, "ZZ\r\n"),
        (start + "1\r\na\r\n", "\0\r\n"),
    ):
        with connected(address, first.encode()) as client:
            time.sleep(0.1 if rest else 0)
            client.sendall(rest.encode())
            while client.recv(1_000_000):
                pass
    with connected(address, request()) as client:
        read(client)
    assert not caplog.records


def test_silent_clients_keep_nobody_out(address, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS", 1000)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(address)) for _ in range(5 * LIMIT)]
        client = stack.enter_context(connected(address, request()))
        assert read(client).startswith(b"HTTP/1.1 200")
        assert ends_within(silent[0], 10)  # the oldest make place
        assert not ends_within(silent[-1], 0.05)
