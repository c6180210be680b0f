"""PNG files, written chunk by chunk, without Pillow."""

import struct
import zlib

import numpy as np


def chunk(name, content, checksum=None):
    """A chunk, with another checksum than its own where one is given."""
    own = zlib.crc32(name + content)
    checksum = own if checksum is None else checksum
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def pixels(samples, depth):
    """The compressed rows of `samples`, numbers [height, width] or [height, width, channels]."""
    rows = samples.reshape(len(samples), -1).astype(np.int64)
    digits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    packed = np.packbits(digits.astype(np.uint8).reshape(len(rows), -1), axis=1)
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))


def png(samples, colour, depth, before=b"", after=b""):
    """A file of colour type 0 (grey), 2 (RGB), 3 (palette), 4 (grey and alpha) or 6 (RGBA).

    Chunks of `before` and `after` are put around the pixels.
    """
    height, width = samples.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", pixels(samples, depth))
    return b"\x89PNG\r\n\x1a\n" + head + before + body + after + chunk(b"IEND", b"")
