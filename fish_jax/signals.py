"""Ctrl-C, SIGTERM and a terminal that is closed, heard when it suits."""

import contextlib
import signal
from collections.abc import Callable, Iterator


def heard() -> list[int]:
    """The signals that end a run: those of them that nohup or the like has not made ignored."""
    named = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    return [number for number in named if signal.getsignal(number) is not signal.SIG_IGN]


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Gives a function that tells which of `heard` has come, or 0.

    A second signal acts at once. Outside the main thread Python allows no handlers: then Ctrl-C
    is heard by whoever called.
    """
    received = []
    previous = {}

    def receive(number, frame):
        received.append(number)
        signal.signal(number, previous[number])

    try:
        for number in heard():
            previous[number] = signal.signal(number, receive)
    except ValueError:
        pass
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
