"""The chunks of a PNG that stand before its pixels."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Chunk(NamedTuple):
    """A chunk, from its length to its checksum: `data[start:end]`."""

    name: bytes
    start: int
    end: int

    @property
    def is_ancillary(self) -> bool:
        """Whether the pixels can be decoded without it; its first letter is a small one."""
        return self.name[:1].islower()


def leading_chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG before its pixels; the last one may end beyond the file."""
    start = len(SIGNATURE)
    while start + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, start)
        if name == b"IDAT":
            return
        yield Chunk(name, start, start + 12 + size)
        start += 12 + size
