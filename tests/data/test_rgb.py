"""Modes, depths and transparency of PNG and BMP files, as docs/images.md shows them, and notes."""

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.pngs import chunk, png
from PIL import Image

from fish_jax.data import decoding

SIDE = 16
DOCUMENT = (Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| (grey|RGB)( and alpha)? \| (\d+) \| ([\d ]+) \| (none|[\d ]+) \| (\S.*) \|")
ROWS = [match.groups() for match in ROW.finditer(DOCUMENT)]


def decode(data):
    return decoding.decode(data, SIDE, SIDE, "stretch", "nearest")


def encode(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def numbers(text):
    return [int(number) for number in text.split()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: " ".join(map(str, row)))
def test_pixels_of_a_png_are_shown_as_documented(row):
    colours, alpha, depth, stored, transparent, shown = row
    code = (0 if colours == "grey" else 2) + (4 if alpha else 0)
    samples = np.broadcast_to(numbers(stored), (SIDE, SIDE, len(numbers(stored))))
    key = [] if transparent == "none" else numbers(transparent)
    before = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)) if key else b""
    data = png(samples, code, int(depth), before)
    if shown == "refused":
        with pytest.raises(ValueError, match="16-bit PNG with a transparent colour"):
            decode(data)
        return
    assert np.abs(decode(data).pixels.astype(int) - numbers(shown)).max() <= 1


def test_table_of_png_has_rows():
    assert len(ROWS) == 23


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_of_every_depth_are_shown_over_white(depth):
    random, size = np.random.default_rng(depth), 2**depth
    palette = random.integers(0, 256, (size, 3), np.uint8)
    indices = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % size
    for opacities in ([], [0], random.integers(0, 256, size)):
        alpha = np.append(opacities, [255] * (size - len(opacities))) / 255
        before = chunk(b"PLTE", palette.tobytes())
        before += chunk(b"tRNS", bytes(map(int, opacities))) if len(opacities) else b""
        right = palette * alpha[:, None] + 255 * (1 - alpha[:, None])
        pixels = decode(png(indices, 3, depth, before)).pixels
        assert np.abs(pixels - right[indices]).max() <= 1


def bmp(pixel, masks=(0xFF0000, 0xFF00, 0xFF, 0xFF000000)):
    """A BMP of 32 bits with a header of version 5; `pixel` fills it, but for one row of white."""
    pixels = struct.pack("<I", pixel) * (SIDE * (SIDE - 1))
    pixels += struct.pack("<I", 0xFFFFFF | pixel & 0xFF000000) * SIDE
    head = struct.pack("<IiiHHIIiiII", 124, SIDE, SIDE, 1, 32, 3, len(pixels), 2835, 2835, 0, 0)
    head += struct.pack("<4I", *masks) + b"BGRs" + bytes(64)
    size = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", size + len(pixels), 0, 0, size) + head + pixels


@pytest.mark.parametrize(
    ("alpha", "right"), [(0, (200, 100, 50)), (255, (200, 100, 50)), (51, (244, 224, 214))]
)
def test_alpha_of_a_bmp_that_is_zero_everywhere_is_not_meant(alpha, right):
    decoded = decode(bmp((alpha << 24) | (200 << 16) | (100 << 8) | 50))
    assert np.abs(decoded.pixels[1:].astype(int) - right).max() <= 1
    assert decoded.notes == ()


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_wholly_transparent_picture_is_noted(kind):
    decoded = decode(encode(Image.new("RGBA", (SIDE, SIDE), (9, 8, 7, 0)), kind))
    assert (decoded.pixels == 255).all()
    assert decoded.notes == ("wholly transparent, read as white",)


def test_picture_with_one_visible_pixel_is_not_noted():
    image = Image.new("RGBA", (SIDE, SIDE), (9, 8, 7, 0))
    image.putpixel((3, 3), (9, 8, 7, 1))
    assert decode(encode(image)).notes == ()


@pytest.mark.parametrize(
    ("image", "notes"),
    [
        (Image.new("RGB", (SIDE, SIDE), (9, 8, 7)), ("of one colour",)),
        (Image.new("L", (SIDE, SIDE), 9), ("of one colour",)),
        (Image.new("RGBA", (SIDE, SIDE), (9, 8, 7, 60)), ("of one colour",)),
        (Image.linear_gradient("L").resize((SIDE, SIDE)), ()),
    ],
    ids=["RGB", "grey", "veil", "gradient"],
)
def test_picture_of_one_colour_is_noted(image, notes):
    assert decode(encode(image)).notes == notes


def test_colours_are_judged_before_the_picture_is_fitted():
    image = Image.new("RGB", (SIDE, 2 * SIDE), (9, 8, 7))
    data = encode(image)
    assert decoding.decode(data, SIDE, SIDE, "pad", "nearest").notes == ("of one colour",)
