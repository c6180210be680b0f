"""Progress callbacks."""

from collections.abc import Callable

Advance = Callable[[int], object]  # told how many more images are done


Begin = Callable[[str, int], Advance]  # told what begins, and of how many images it is


def ignore_advance(count: int) -> None:
    """Where nobody waits for progress."""


def ignore_begin(what: str, total: int) -> Advance:
    """The beginning of what nobody waits for."""
    return ignore_advance
