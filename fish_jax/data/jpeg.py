"""The segments of a JPEG file."""

import re
from collections.abc import Iterator
from typing import NamedTuple

SCAN, END = 0xDA, 0xD9
# In the data of a scan, two bytes that stand for one, and markers of its parts, are passed over.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")


class Segment(NamedTuple):
    """A segment: its marker, such as `SCAN`, and the place of the first of its two bytes."""

    marker: int
    start: int


def segments(data: bytes) -> Iterator[Segment]:
    """The segments of a JPEG, up to the end of its first image."""
    place = 2
    while (match := _MARKER.search(data, place)) is not None:
        yield Segment(match[1][0], match.start())
        if match[1][0] == END:
            return
        place = match.end() + int.from_bytes(data[match.end() : match.end() + 2], "big")
