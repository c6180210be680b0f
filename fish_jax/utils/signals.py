"""Stop signals: Ctrl-C, SIGTERM and a closed terminal, noted and acted on between two steps."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


def stop_signal_numbers() -> list[signal.Signals]:
    """The signals that stop a run: SIGINT, SIGTERM, and SIGHUP unless `nohup` had it ignored."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)  # Windows has none
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    return numbers


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int]]:
    """Notes the first stop signal instead of acting on it; a second one acts at once.

    Python allows handlers in the main thread alone. In another one nothing changes, and Ctrl-C
    reaches the caller.

    Yields:
      A function that returns the number of the signal that has come, or 0.
    """
    received: list[int] = []
    previous = {}

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, previous[number])

    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ValueError):
            for number in stop_signal_numbers():
                previous[number] = signal.signal(number, receive)
                stack.callback(signal.signal, number, previous[number])
        yield lambda: received[0] if received else 0
