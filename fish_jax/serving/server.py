"""The web server: one process that answers at an address until it is stopped."""

import os
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Unpack

import uvicorn

from fish_jax.errors import UserError
from fish_jax.gan.own import Own
from fish_jax.runs.checkpoints import NEWEST
from fish_jax.serving.app import make_app
from fish_jax.serving.connections import Connection
from fish_jax.serving.hosts import parse_hosts, refusal
from fish_jax.serving.live_runs import LiveRuns, make_live_runs, refresh

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None

CONNECTIONS = 600  # at once; half as many more are accepted before others are closed for them
OWN_FILES = 424  # of the 1,024 that a process may have open: for those, checkpoints and threads


def serve(
    folders: Sequence[Path],
    host: str,
    port: int,
    names: str = "",
    checkpoint: str = NEWEST,
    **own: Unpack[Own],
) -> None:
    """Serves runs until SIGINT or SIGTERM; prints its address once images can be drawn.

    Args:
      folders: the folders of the runs, finished or not.
      host: an address of this machine; on others than a loopback one all who reach it may look.
      port: to listen at; 0 for any that is free.
      names: by which requests may call the server, as of `hosts.parse_hosts`.
      checkpoint, **own: of each run, as of `sampling.load`.

    Raises:
      UserError: no run, an address that cannot be had, or what is no name.
    """
    known, runs = parse_hosts(names), make_live_runs(folders, checkpoint, **own)
    with _listening(host, port) as listener:
        for run in runs:
            refresh(run)
        address, number = listener.getsockname()[:2]
        name = f"[{address}]" if ":" in address else address
        print(f"open http://{name}:{number}/", flush=True)
        for run in runs:
            if run.generator is None:
                print(f"{run.name} has no checkpoint yet; the page waits for it", flush=True)
        most = _most_connections()
        config = uvicorn.Config(
            make_app(LiveRuns(runs), lambda header: refusal(header, address, known)),
            log_level="error",
            access_log=False,
            server_header=False,
            backlog=most // 2,
            limit_concurrency=most,
            h11_max_incomplete_event_size=16_384,  # bytes of a request
            http=Connection,
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
        server = uvicorn.Server(config)

        # The second time as the first: uvicorn's own would break off.
        def end(sig: int, frame: FrameType | None) -> None:
            server.should_exit = True

        server.handle_exit = end
        for number in (signal.SIGINT, signal.SIGTERM):  # before uvicorn's own are there, too
            signal.signal(number, end)
        server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; raises a UserError if that is impossible."""
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
            f"cannot listen on {host}, port {port} ({reason}); choose another --port or --host"
        ) from None


def _most_connections() -> int:
    """The limit on connections, which leaves the process enough files to read checkpoints."""
    if resource is None:
        return CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = files == resource.RLIM_INFINITY
    return CONNECTIONS if unlimited else max(min(CONNECTIONS, files - OWN_FILES), 10)
