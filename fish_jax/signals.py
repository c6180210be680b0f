"""Ctrl-C and SIGTERM, heard when it suits."""

import contextlib
import signal
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Gives a function that tells which of SIGINT and SIGTERM has come, or 0.

    A second signal acts at once. Outside the main thread Python allows no handlers: then Ctrl-C
    is heard by whoever called.
    """
    received = []
    previous = {}

    def receive(number, frame):
        received.append(number)
        signal.signal(number, previous[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, receive)
    except ValueError:
        pass
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
