"""Small runs, and servers of them."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SMALL = ["--config.data.count=40", "--config.epochs=2", "--config.batch_size=8"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "main.py", *map(str, arguments)]


def train(environment: dict[str, str], folder: Path, name: str, *more: str) -> Path:
    config = f"--config=configs/{name}.py:demo"
    arguments = command(config, f"--workdir={folder}", *SMALL, *more)
    subprocess.run(arguments, env=environment, check=True, timeout=300, capture_output=True)
    return folder


@contextmanager
def serving(
    environment: dict[str, str], *folders: Path, flags: Sequence[str] = ()
) -> Iterator[tuple[str, subprocess.Popen]]:
    """A server's address and process; its stderr must stay empty."""
    names = ",".join(map(str, folders))
    process = subprocess.Popen(
        command("--mode=serve", f"--workdir={names}", "--port=0", *flags),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/\n", line)
        assert found, line + process.stderr.read()
        yield found[1], process
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), err
