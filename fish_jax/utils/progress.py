"""Types of progress callbacks, and callbacks that ignore everything."""

from collections.abc import Callable

Advance = Callable[[int], object]  # takes the number of images done since the last call
Begin = Callable[[str, int], Advance]  # takes the name of a stage and its number of images


def ignore_advance(count: int) -> None:
    """A progress callback that ignores everything."""


def ignore_begin(what: str, total: int) -> Advance:
    """A callback for the beginning of a stage that ignores everything."""
    return ignore_advance
