"""Limits that keep a hostile image file from taking minutes or gigabytes."""

import contextlib
import io
import struct
import threading
from collections.abc import Callable, Iterator

from fish_jax.data import jpeg, png

_MOST_METADATA = 32_000_000  # Bytes.
_COST_OF_A_PIECE = 64  # Bytes; about what Pillow needs to keep it.
_SMALLEST_PIECE = 16  # Bytes of pixels, on average; a TIFF may store them row by row.
# Of a JPEG; each scan goes through all pixels, however few bytes it has.
_MOST_SCANS = 500
_MOST_SCANNED = 4_000_000_000  # Pixels, in all scans.
_MOST_SEGMENTS = 100_000

_LONG = 1_000_000  # Bytes of a tag or chunk that are left out, where no pixel depends on them.
_MOST_PAGES, _MOST_TAGS = 100, 1000  # Of a TIFF, and of each page, that are looked at.
_TIFF = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}
_BYTES_OR_TEXT = (1, 2, 7)  # Types of tags.
_NEEDED_TAGS = (347, 34675)  # Tables of a JPEG inside, and the colour profile.
_NEEDED_CHUNKS = (b"iCCP", b"eXIf", b"tRNS")  # Of those that a PNG may lack.


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
                raise ValueError("too much metadata: save it without")
        return piece

    def allow_pixels(self) -> None:
        """Lets the pixels be read, once the metadata before them are."""
        self._left = _MOST_METADATA + _COST_OF_A_PIECE // _SMALLEST_PIECE * self._size
        self._cost = lambda piece: _COST_OF_A_PIECE


def check_scans(data: bytes, pixels: int) -> None:
    """Refuses a JPEG file whose scans go through its pixels again and again.

    What follows the end of the image, such as the film of a motion photo, does not count.

    Args:
      data: the file.
      pixels: the pixels of the image.

    Raises:
      ValueError: they do.
    """
    scans, most = 0, min(_MOST_SCANS, _MOST_SCANNED // max(pixels, 1))
    for index, (marker, _) in enumerate(jpeg.segments(data)):
        scans += marker == jpeg.SCAN
        if scans > most:
            raise ValueError(f"more than {most} scans: save it again")
        if index == _MOST_SEGMENTS:
            raise ValueError(f"more than {_MOST_SEGMENTS:,} segments: save it again")


def without_layers(data: bytes) -> bytes:
    """Leaves out what editors keep in an image file for themselves, however much it is.

    These are long tags of a TIFF, such as the layers of Photoshop, and long chunks of a PNG, such
    as the objects of Fireworks. No pixel depends on them, but Pillow would keep them all.

    Args:
      data: a file of any kind.

    Returns:
      The file without them; the same one if it has none.
    """
    if len(data) <= _LONG:
        return data
    if data[:4] in _TIFF:
        return _without_long_tags(data)
    return _without_long_chunks(data) if data.startswith(png.SIGNATURE) else data


def _without_long_tags(data: bytes) -> bytes:
    order, is_big = _TIFF[data[:4]], b"+" in data[:4]
    whole, number, entry = ("Q", "Q", "HHQ") if is_big else ("I", "H", "HHI")
    step = 20 if is_big else 12
    changed: bytearray | None = None
    try:
        (place,) = struct.unpack_from(order + whole, data, 8 if is_big else 4)
        for _ in range(_MOST_PAGES):
            if not place:
                break
            (count,) = struct.unpack_from(order + number, data, place)
            place += struct.calcsize(order + number)
            for at in range(place, place + step * min(count, _MOST_TAGS), step):
                tag, kind, size = struct.unpack_from(order + entry, data, at)
                if kind in _BYTES_OR_TEXT and size > _LONG and tag not in _NEEDED_TAGS:
                    changed = changed or bytearray(data)
                    struct.pack_into(order + whole, changed, at + 4, 0)
            (place,) = struct.unpack_from(order + whole, data, place + step * count)
    except struct.error:  # The directory is cut off, which Pillow tells.
        pass
    return data if changed is None else bytes(changed)


def _without_long_chunks(data: bytes) -> bytes:
    kept, begin = [], 0
    for chunk in png.leading_chunks(data):
        is_extra = chunk.is_ancillary and chunk.name not in _NEEDED_CHUNKS
        if is_extra and _LONG < chunk.end - chunk.start <= len(data) - chunk.start:
            kept.append(data[begin : chunk.start])
            begin = chunk.end
    return b"".join([*kept, data[begin:]]) if kept else data


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
