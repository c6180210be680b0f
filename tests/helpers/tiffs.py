"""TIFF files of every kind, written byte by byte, without Pillow."""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
import tifffile

WIDTH, HEIGHT, TILE = 40, 32, 16
COLOURS = {"grey": 1, "grey, 0 is white": 0, "RGB": 2, "palette": 3, "CMYK": 5}
NUMBERS = {"unsigned": 1, "signed": 2, "float": 3}
CHANNELS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3, 8: 3}
PALETTE = np.random.default_rng(0).integers(0, 65536, (3, 256))


class Layout(NamedTuple):
    """How the samples of a file are arranged."""

    order: str = "<"
    planar: bool = False
    compressed: bool = False
    tiled: bool = False


def shares(channels):
    """Four ramps from 0 to 1, the first with 1/3 at column 13: [height, width, channels]."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    across, down = x / (WIDTH - 1), y / (HEIGHT - 1)
    return np.stack([across, down, 1 - across, 1 - down], -1)[..., :channels]


def white(numbers, bits):
    """The number that stands for a full channel."""
    return {1: 2**bits - 1, 2: 2 ** (bits - 1) - 1, 3: 1}[numbers]


def quantise(part, numbers, bits):
    top = white(numbers, bits)
    return part if numbers == 3 else np.rint(part * top)


def pack(samples, numbers, bits, order):
    """Samples [rows, ...] as bytes; each row begins with a byte of its own."""
    if bits in (8, 16, 32, 64):
        kind = {1: "u", 2: "i", 3: "f"}[numbers] + str(bits // 8)
        with np.errstate(invalid="ignore"):  # 2**64 - 1 is no float.
            return samples.astype(order + kind).tobytes()
    rows = samples.reshape(len(samples), -1).astype(np.int64)
    digits = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.astype(np.uint8).reshape(len(rows), -1), axis=1).tobytes()


def join(tags, parts, order="<", tiled=False, width=WIDTH, height=HEIGHT, following=b""):
    """A file of one page from its tags {number: (type, values)} and its strips or tiles."""
    codes = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B"}
    places, sizes = (324, 325) if tiled else (273, 279)
    blob, offsets = b"", []
    for part in parts:
        offsets.append(8 + len(blob))
        blob += part + bytes(len(part) % 2)
    tags = tags | {256: (4, [width]), 257: (4, [height])}
    tags |= {places: (4, offsets), sizes: (4, [len(part) for part in parts])}
    entries, extra, start = b"", b"", 8 + len(blob) + 2 + 12 * len(tags) + 4
    for number, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}{codes[kind]}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        if len(data) > 4:
            data, extra = struct.pack(order + "I", start + len(extra)), extra + data
        entries += struct.pack(order + "HHI", number, kind, count) + data.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(blob))
    return head + blob + struct.pack(order + "H", len(tags)) + entries + bytes(4) + extra


def write(samples, photometric, numbers, bits, layout, more=None):
    """A file of `samples`, numbers [height, width, channels]."""
    channels = samples.shape[2]
    tags = {258: (3, [bits] * channels), 259: (3, [8 if layout.compressed else 1])}
    tags |= {262: (3, [photometric]), 277: (3, [channels]), 284: (3, [1 + layout.planar])}
    if numbers != 1:
        tags[339] = (3, [numbers] * channels)
    if photometric == 3:
        tags[320] = (3, PALETTE[:, : 2**bits].ravel().tolist())
    planes = [samples]
    if layout.planar:
        planes = [samples[..., index : index + 1] for index in range(channels)]
    if layout.tiled:
        tags |= {322: (3, [TILE]), 323: (3, [TILE])}
        planes = [np.pad(plane, ((0, 0), (0, -WIDTH % TILE), (0, 0))) for plane in planes]
        across = [slice(left, left + TILE) for left in range(0, WIDTH, TILE)]
    else:
        tags[278] = (3, [TILE])
        across = [slice(None)]
    down = [slice(top, top + TILE) for top in range(0, HEIGHT, TILE)]
    parts = [plane[rows, columns] for plane in planes for rows in down for columns in across]
    parts = [pack(part, numbers, bits, layout.order) for part in parts]
    if layout.compressed:
        parts = [zlib.compress(part) for part in parts]
    return join(tags | (more or {}), parts, layout.order, layout.tiled)


def shown(samples, photometric, numbers, bits):
    """The colours of `samples`, worked out by the TIFF specification: numbers 0..255 [..., 3]."""
    part = samples / white(numbers, bits)
    if photometric == 3:
        return np.moveaxis(PALETTE[:, samples[..., 0].astype(int)], 0, -1) / 65535 * 255
    if photometric == 5:
        return (1 - part[..., :3]) * (1 - part[..., 3:]) * 255
    if photometric == 0:
        part = 1 - part
    return 255 * np.broadcast_to(part, (*part.shape[:2], 3))


def stored(data):
    """The samples [height, width, channels] that tifffile reads; None where it cannot."""
    try:
        samples = tifffile.imread(io.BytesIO(data))
    except NotImplementedError:  # Odd depths need another package.
        return None
    if samples.ndim == 2:
        return samples[..., None]
    return np.moveaxis(samples, 0, 2) if samples.shape[:2] != (HEIGHT, WIDTH) else samples
