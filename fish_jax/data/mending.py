"""Damage: harmless, as a wrong checksum in a PNG, or hidden, as a JPEG that ends too early."""

import io
import re
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin

from fish_jax.data import jpeg, png

_OF_COLOURS = (b"cICP", b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"tRNS")
_TEXTS = (b"zTXt", b"iTXt")
_ORIENTATION = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")  # Texts that may tell it.
_END = b"\xff\xd9"  # The marker at the end of a JPEG.
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # Markers of how a JPEG is coded.
_PROGRESSIVE = (0xC2, 0xCA)
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_NO_PIXELS = b"\xd5\xaa" * 32
_FILLED = (127, 128)  # Grey, and in inverted CMYK.
_STRIPE = 1 << 20  # Pixels.


class Mended(NamedTuple):
    """The bytes of a file without harmless damage.

    Attributes:
      data: the whole file.
      code_points: what its cICP chunk says of its colours, or b"".
      lost: the chunks that were left out although they may say something of the colours.
    """

    data: bytes
    code_points: bytes = b""
    lost: tuple[str, ...] = ()


def mend_png(data: bytes) -> Mended:
    """Leaves out ancillary chunks of a PNG: those whose checksum is wrong, and packed texts.

    Browsers show a PNG without them. Pillow unpacks texts, and refuses long ones.

    Args:
      data: the bytes of a file of any format.

    Returns:
      The same bytes, where there is no such chunk.
    """
    if not data.startswith(png.SIGNATURE):
        return Mended(data)
    view, code_points, left_out = memoryview(data), b"", []
    for chunk in png.leading_chunks(data):
        name, start, end = chunk
        checksum = zlib.crc32(view[start + 4 : end - 4])
        is_sound = view[end - 4 : end] == checksum.to_bytes(4, "big")
        is_text = name in _TEXTS and not data.startswith(_ORIENTATION, start + 8)
        if is_text or (chunk.is_ancillary and not is_sound):
            left_out.append(chunk)
        elif name == b"cICP":
            code_points = data[start + 8 : end - 4]
    if left_out:
        edges = [0, *(edge for _, *edges in left_out for edge in edges), len(data)]
        data = b"".join(view[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True))
    lost = tuple(name.decode() for name, _, _ in left_out if name in _OF_COLOURS)
    return Mended(data, code_points, lost)


def check_jpeg(image: ImageFile.ImageFile, data: bytes, shrink: int) -> None:
    """Refuses a JPEG that decoders accept although pixels are missing.

    They fill up with grey what an end marker cuts off. Where the last pixels are of this grey, the
    data are tried as those without that marker are.

    Args:
      image: the image of these data, loaded.
      data: the bytes of a JPEG, and what may follow them.
      shrink: what height and width were divided by, 1 or 2.

    Raises:
      ValueError: pixels are missing.
    """
    width, height = image.size
    corner = np.asarray(image.crop((width - 4, height - 4, width, height)))
    if np.isin(corner, _FILLED).all():
        ends = (start for marker, start in jpeg.segments(data) if marker == jpeg.END)
        if complete_jpeg(data[: next(ends, len(data))], shrink) is None:
            raise ValueError("cut off before its last pixels")


def complete_jpeg(data: bytes, shrink: int) -> ImageFile.ImageFile | None:
    """Decodes a JPEG that lacks nothing but its end marker.

    The marker is added, once right behind the data and once behind other bytes. Where these make no
    difference, the data had every pixel already.

    Args:
      data: the bytes of a JPEG that Pillow called truncated.
      shrink: what height and width are divided by, 1 or 2.

    Returns:
      The image, loaded; None if pixels are missing.
    """
    data = data.rstrip(b"\xff")
    try:
        if not _has_every_scan(data):
            return None
        # The first one's pixels are given up at once.
        other = _decode(data + _NO_PIXELS + _next_restart(data) + _NO_PIXELS + _END, shrink)[0]
        checksum, image = _decode(data + _END, shrink)
    except (OSError, IndexError, SyntaxError, ValueError):  # Cut within a header, or damaged, too.
        return None
    return image if checksum == other else None


def _next_restart(data: bytes) -> bytes:
    """The marker that comes next between the parts of a scan, where it has any."""
    restarts = _RESTART.findall(data, data.rfind(b"\xff\xda"))
    return bytes([0xFF, 0xD0 + (restarts[-1][0] + 1) % 8 if restarts else 0xD0])


def _decode(data: bytes, shrink: int) -> tuple[int, ImageFile.ImageFile]:
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    image.draft(None, (image.width // shrink, image.height // shrink))
    image.load()
    return _checksum(image), image


def _checksum(image: Image.Image) -> int:
    checksum, rows = 0, 1 + _STRIPE // image.width
    for top in range(0, image.height, rows):
        stripe = image.crop((0, top, image.width, min(top + rows, image.height)))
        checksum = zlib.crc32(stripe.tobytes(), checksum)
    return checksum


def _has_every_scan(data: bytes) -> bool:
    """Whether the scans of a JPEG, if it is progressive, leave no coefficient unfinished."""
    place = 2
    while data[place] == 0xFF and (marker := data[place + 1]) not in _FRAMES:
        fill = marker == 0xFF
        place += 1 if fill else 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    if data[place] != 0xFF or marker not in _PROGRESSIVE:
        return data[place] == 0xFF
    components = data[place + 9]
    missing = {(data[place + 10 + 3 * index], k) for index in range(components) for k in range(64)}
    while (place := data.find(b"\xff\xda", place + 2)) >= 0:
        count = data[place + 4]
        first, last, precision = data[place + 5 + 2 * count : place + 8 + 2 * count]
        if precision & 15 == 0:
            scanned = data[place + 5 : place + 5 + 2 * count : 2]
            missing -= {(name, k) for name in scanned for k in range(first, last + 1)}
    return not missing
