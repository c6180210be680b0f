"""Limits that keep a hostile image file from taking minutes or gigabytes."""

import contextlib
import io
import threading
from collections.abc import Callable, Iterator

_MOST_METADATA = 32_000_000  # Bytes.
_COST_OF_A_PIECE = 64  # Bytes; about what Pillow needs to keep it.
_SMALLEST_PIECE = 16  # Bytes of pixels, on average; a TIFF may store them row by row.
_MOST_SCANS = 500  # Of a JPEG; each goes through all pixels, however few bytes it has.


class MeteredBytes(io.BytesIO):
    """A file in memory that refuses to be read on and on.

    Pillow keeps every piece of metadata, and may unpack it to twenty times its size.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._left = _MOST_METADATA
        self._cost = lambda piece: _COST_OF_A_PIECE + len(piece)
        self._size = len(data)

    def read(self, size: int | None = -1) -> bytes:
        """Reads bytes; raises ValueError once metadata have cost too much."""
        piece = super().read(size)
        if size is not None and size >= 0:  # Otherwise it is read at once, as WebP is.
            self._left -= self._cost(piece)
            if self._left < 0:
                raise ValueError("too much metadata")
        return piece

    def allow_pixels(self) -> None:
        """Lets the pixels be read, once the metadata before them are."""
        self._left = _MOST_METADATA + _COST_OF_A_PIECE // _SMALLEST_PIECE * self._size
        self._cost = lambda piece: _COST_OF_A_PIECE


def check_scans(data: bytes) -> None:
    """Refuses a JPEG file whose scans go through its pixels again and again.

    Raises:
      ValueError: they do.
    """
    if data.count(b"\xff\xda") > _MOST_SCANS:  # Between the pixels, only a scan begins so.
        raise ValueError(f"more than {_MOST_SCANS} scans")


def make_room(most: int) -> Callable[[int], contextlib.AbstractContextManager[None]]:
    """Shares a limited amount of something between threads.

    Args:
      most: the amount in use at one time.

    Returns:
      A function that takes an amount and gives a context, which is entered once that much is free.
      More than `most` waits until nothing is in use.
    """
    change = threading.Condition()
    in_use = 0

    @contextlib.contextmanager
    def room(amount: int) -> Iterator[None]:
        nonlocal in_use
        amount = min(amount, most)
        with change:
            change.wait_for(lambda: in_use + amount <= most)
            in_use += amount
        try:
            yield
        finally:
            with change:
                in_use -= amount
                change.notify_all()

    return room
