"""The web server: one process that answers at an address until it is stopped."""

import ipaddress
import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn

from fish_jax.errors import UserError
from fish_jax.serving.app import make_app
from fish_jax.serving.live_runs import LiveRuns, make_live_runs, refresh
from fish_jax.utils.messages import printable

CONNECTIONS = 1_000  # at once


def serve(folders: Sequence[Path], host: str, port: int) -> None:
    """Serves runs until SIGINT or SIGTERM; prints its address once images can be drawn.

    Args:
      folders: of the runs, finished or not.
      host: an address of this machine; on others than a loopback one all who reach it may look.
      port: to listen at; 0 for any that is free.

    Raises:
      UserError: no run, or an address that cannot be had.
    """
    runs = make_live_runs(folders)
    with _listening(host, port) as listener:
        for run in runs:
            refresh(run)
        address, number = listener.getsockname()[:2]
        name = f"[{address}]" if ":" in address else address
        print(f"open http://{name}:{number}/", flush=True)
        for run in runs:
            if run.generator is None:
                print(
                    f"{printable(run.name)} has no checkpoint yet; the page waits for it",
                    flush=True,
                )
        config = uvicorn.Config(
            make_app(LiveRuns(runs), _hosts(address)),
            log_level="error",
            access_log=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=16_384,  # bytes of a request
            http="h11",
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        # uvicorn raises a signal once more when it has ended: then all is done.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        server = uvicorn.Server(config)

        # The second time as the first: uvicorn's own would break off.
        def end(sig: int, frame: FrameType | None) -> None:
            server.should_exit = True

        server.handle_exit = end
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address, or a sentence why there can be none."""
    if not 0 <= port < 2**16:
        raise UserError(f"--port must be from 0 to {2**16 - 1}, not {port}")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, UnicodeError) as error:
        code = getattr(error, "errno", None)
        # A name that is unknown has a code of its own, below 0.
        reason = os.strerror(code) if code and code > 0 else getattr(error, "strerror", error)
        raise UserError(
            f"cannot listen at {host}, port {port} ({reason}); choose another --port, or --host"
        ) from None


def _hosts(address: str) -> list[str]:
    """Names by which requests may call this server: at a loopback address, no foreign ones."""
    if ipaddress.ip_address(address).is_loopback:
        return ["127.0.0.1", "localhost", "[::1]", address]
    return ["*"]
