"""Ctrl-C, SIGTERM and a terminal that is closed, heard when it suits."""

import contextlib
import signal
from collections.abc import Callable, Iterator


def stop_signal_numbers() -> list[int]:
    """The signals that end a run: SIGINT, SIGTERM, and SIGHUP unless `nohup` had it ignored."""
    hangup = getattr(signal, "SIGHUP", None)
    ignored = hangup is None or signal.getsignal(hangup) is signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([] if ignored else [hangup])]


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
        for number in stop_signal_numbers():
            previous[number] = signal.signal(number, receive)
    except ValueError:
        pass
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
