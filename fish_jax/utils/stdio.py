"""Standard streams that are closed, or whose reader goes away: no reason to lose a run."""

import os
import sys


class _Expendable:
    """A text stream in which what cannot be written is lost, and all that follows.

    A class, as libraries ask a stream for much else than writing.
    """

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, operate, *arguments) -> None:
        try:
            operate(*arguments)
        except (OSError, ValueError):  # a pipe without a reader, a full disk, a closed terminal
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())  # also for what is not Python
            os.close(nowhere)


def open_closed() -> None:
    """Opens streams that are closed, to nothing: a run's files would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def make_expendable() -> None:
    """Lets the program go on where nobody reads what it prints any more."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
        setattr(sys, name, _Expendable(stream))
