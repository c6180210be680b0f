"""Runs a program that may hang, crash or take all memory, and ends it before it does harm."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import psutil

INTERVAL = 0.02  # seconds between two looks at a program; zlib unpacks some megabytes meanwhile


def run_module(
    module: str, arguments: Sequence[str], memory: int, seconds: float, output: int
) -> bytes:
    """Runs a module as a program, and returns its output.

    Args:
      module: that this process could import.
      arguments: the arguments of the program.
      memory: bytes that it may hold.
      seconds: the seconds of processor time that it may take, however busy the machine is.
      output: bytes that it may print.

    Raises:
      ValueError: it took more, or crashed; says which.
    """
    # -P: only what this process could import, not what lies in the folder where it runs.
    command = [sys.executable, "-P", "-m", module, *arguments]
    places = os.pathsep.join(place or os.getcwd() for place in sys.path)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": places},
    )
    excess: list[str] = []
    watcher = threading.Thread(target=_watch, args=(process, memory, seconds, excess), daemon=True)
    with process:
        try:
            watcher.start()
            assert process.stdout is not None  # a pipe
            printed = process.stdout.read(output + 1)
        except BaseException:
            process.kill()
            raise
        if len(printed) > output:
            process.kill()
    watcher.join()
    if len(printed) > output:
        raise ValueError(f"it has more than {output:,} bytes")
    if excess:
        raise ValueError(f"reading it takes more than {excess[0]}")
    if process.returncode:
        raise ValueError(f"its reader crashed with exit status {process.returncode}")
    return printed


def _watch(process: subprocess.Popen, memory: int, seconds: float, excess: list[str]) -> None:
    """Kills a program that exceeds a limit, and names the limit."""
    try:
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            times = seen.cpu_times()
            if seen.memory_info().rss > memory:
                excess.append(f"{memory:,} bytes of memory")
            elif times.user + times.system > seconds:
                excess.append(f"{seconds:g} seconds")
            if excess:
                return process.kill()
            time.sleep(INTERVAL)
    except psutil.Error:  # it has ended
        return
