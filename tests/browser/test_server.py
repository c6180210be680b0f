"""The server as a process: hostile clients, and mistakes on the command line."""

import contextlib
import random
import socket
import subprocess
import urllib.request
from urllib.parse import urlsplit

from servers import command, serving

REQUESTS = 1_000


def raw(address: str, data: bytes, ends: bool) -> bytes:
    """What the server answers to bytes, be they a request or not, which may be all there is."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=20) as client:
        parts = []
        # A server that does not read a request to its end resets the connection.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            client.sendall(data)
            if ends:
                client.shutdown(socket.SHUT_WR)
            while part := client.recv(65536):
                parts.append(part)
    return b"".join(parts)


def hostile(rng: random.Random) -> tuple[bytes, set[int]]:
    """A request that is wrong in some way, and the statuses that are right for it."""
    host = b"Host: 127.0.0.1\r\nConnection: close\r\n"
    junk = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 200)))
    word = "".join(rng.choice("aZ09%./\\\\~;&=+<>'\"$(){}|-_") for _ in range(rng.randrange(1, 60)))
    number = rng.choice(
        ["-1", "4294967296", "1e9", "0x10", "NaN", "", "9" * 500, "%00", "1;2", "٣"]
    )
    path = rng.choice(["/fish.png", "/walk.webp", "/facts.json", "/health"])
    line = lambda method, target: f"{method} {target} HTTP/1.1\r\n".encode()
    quoted = urllib.request.quote(word, safe="/.&=;~")
    kinds = [
        (line("GET", f"/fish.png?seed={urllib.request.quote(number)}") + host + b"\r\n", {400}),
        (
            line("GET", f"/walk.webp?start=1&end={urllib.request.quote(number)}") + host + b"\r\n",
            {400},
        ),
        (line("GET", f"{path}?x{urllib.request.quote(word)}=1") + host + b"\r\n", {400}),
        (line("GET", f"/x{quoted}") + host + b"\r\n", {404}),
        (line("GET", "/../../../../etc/passwd") + host + b"\r\n", {404}),
        (line("GET", "/%2e%2e/%2e%2e/main.py") + host + b"\r\n", {404}),
        (
            line(rng.choice(["POST", "PUT", "DELETE", "PATCH"]), path)
            + host
            + b"Content-Length: 0\r\n\r\n",
            {405},
        ),
        (line("GET", "/") + b"Host: evil.example\r\nConnection: close\r\n\r\n", {400}),
        (line("GET", "/fish.png?seed=1&run=50") + host + b"\r\n", {404}),
        (line("GET", "/") + host + b"X: " + b"a" * 70_000 + b"\r\n\r\n", {0, 200, 400, 431}),
        (
            line("GET", "/fish.png?seed=1")
            + host
            + b"If-None-Match: "
            + junk.hex().encode()
            + b"\r\n\r\n",
            {200},
        ),
        (junk + b"\r\n\r\n", {0, 400}),
        (b"GET / HTTP/9.9\r\n" + host + b"\r\n", {0, 200, 400, 505}),
        (b"GET /fish.png?seed=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", {400}),
        (b"GET / HTTP/1.1\r\n", {0, 400}),
    ]
    return rng.choice(kinds)


def test_a_thousand_hostile_requests(environment, best):
    rng = random.Random(0)
    with serving(environment, best) as (address, _):  # whose stderr stays empty: no traceback
        for _ in range(REQUESTS):
            request, right = hostile(rng)
            answer = raw(address, request, ends=0 in right)
            status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
            assert status in right, (request[:300], answer[:300])
            assert b"Traceback" not in answer and b"root:" not in answer
        with urllib.request.urlopen(f"{address}/fish.png?seed=1") as answer:
            assert answer.status == 200


def test_mistakes_are_told_in_a_sentence(environment, best, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        mistakes = {
            (): "error: serve needs --workdir, the folder of a run\n",
            (f"--workdir={tmp_path}",): f"error: {tmp_path} is not the folder of a run",
            (f"--workdir={best},{best}",): f"error: --workdir names {best} twice\n",
            (
                f"--workdir={best}",
                f"--port={port}",
            ): f"error: cannot listen on 127.0.0.1, port {port} (",
            (f"--workdir={best}", "--seeds=1"): "error: serve does not use --seeds",
        }
        for arguments, message in mistakes.items():
            done = subprocess.run(
                command("--mode=serve", *arguments), env=environment, capture_output=True, text=True
            )
            assert done.returncode == 1 and done.stderr.startswith(message), done.stderr
            assert done.stderr.count("\n") == 1
