"""Standard streams that are closed, or whose reader goes away, without the loss of a run."""

import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


class _Expendable:
    """A text stream that drops all output from the first failure to write it.

    A class, as libraries use much of a stream beside its `write`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes a text, or drops it; returns its length."""
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        """Writes what is buffered, or drops it."""
        self._attempt(self._stream.flush)

    def _attempt(self, operate: Callable[..., object], *arguments: str) -> None:
        try:
            operate(*arguments)
        except (OSError, ValueError):  # a pipe without a reader, a full disk, a closed terminal
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self._stream.fileno())  # also for what is not Python


def open_closed() -> None:
    """Opens standard streams that are closed on the null device: files would get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def hide_compile_alarm() -> None:
    """Keeps XLA's alarm about compilations of over two minutes off stderr.

    To be called before JAX is imported. The alarm has no switch of its own: whatever else XLA logs
    as an error, and raises as well, is hidden with it. A level that the user has set stays.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def make_expendable() -> None:
    """Lets the program continue when nobody reads its output any more."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115  # open to the end
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no UTF-8
        setattr(sys, name, _Expendable(stream))
