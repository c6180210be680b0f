"""The first frame of animated files, as a browser shows it."""

import io
import struct

import numpy as np
import pytest
from helpers.pngs import chunk, pixels, png
from PIL import Image

from fish_jax.data import decoding

SIDE = 16
RED, BLUE, WHITE = (200, 40, 30), (20, 60, 180), (255, 255, 255)


def decode(data):
    return decoding.decode(data, SIDE, SIDE, "stretch", "nearest").pixels


def gif(index, box, *, transparent=None, local=False):
    """A GIF whose one frame fills `box`, left, top, width and height, with one colour."""
    palette = bytes([*RED, *BLUE])
    head = b"GIF89a" + struct.pack("<HHBBB", SIDE, SIDE, 0 if local else 128, 0, 0)
    head += b"" if local else palette
    if transparent is not None:
        head += b"!\xf9\4\1\0\0" + bytes([transparent]) + b"\0"
    head += b"," + struct.pack("<4HB", *box, 128 if local else 0) + (palette if local else b"")
    # Codes of three bits: a clear code before each pixel keeps them from growing.
    bits = "".join(f"{code:03b}"[::-1] for code in [4, index] * (box[2] * box[3]) + [5])
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[start : start + 8][::-1], 2) for start in range(0, len(bits), 8))
    blocks = [data[start : start + 255] for start in range(0, len(data), 255)]
    return head + b"\2" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0;"


@pytest.mark.parametrize("local", [False, True])
@pytest.mark.parametrize("transparent", [None, 0])
def test_frame_that_does_not_fill_a_gif_has_white_around_it(transparent, local):
    right = np.full((SIDE, SIDE, 3), WHITE)
    right[4:12, 2:10] = BLUE
    data = gif(1, (2, 4, 8, 8), transparent=transparent, local=local)
    np.testing.assert_array_equal(decode(data), right)


def test_what_a_frame_leaves_of_a_gif_is_clear():
    right = np.full((SIDE, SIDE, 4), (*WHITE, 0))
    right[4:12, 2:10] = (*BLUE, 255)
    data = gif(1, (2, 4, 8, 8))
    found = decoding.decode(data, SIDE, SIDE, "stretch", "nearest", 4).pixels
    np.testing.assert_array_equal(found, right)


def test_frame_that_fills_a_gif_is_the_picture():
    np.testing.assert_array_equal(decode(gif(0, (0, 0, SIDE, SIDE))), np.full((SIDE, SIDE, 3), RED))


def control(number, box=(SIDE, SIDE, 0, 0), blend=0):
    return chunk(b"fcTL", struct.pack(">5I2H2B", number, *box, 1, 10, 0, blend))


def samples(*colour):
    return np.broadcast_to(np.uint8(colour), (SIDE, SIDE, len(colour)))


def animated(first, *, box=(SIDE, SIDE, 0, 0), blend=0, fallback=True):
    """A PNG of one frame; with a fallback, the picture itself is red and not part of it."""
    begin = chunk(b"acTL", struct.pack(">2I", 1, 0))
    if not fallback:
        return png(first, 2 if first.shape[2] == 3 else 6, 8, begin + control(0, box, blend))
    shape = first[: box[1], : box[0]]
    frame = control(0, box, blend) + chunk(b"fdAT", struct.pack(">I", 1) + pixels(shape, 8))
    picture = samples(*RED, 255)[..., : first.shape[2]]
    return png(picture, 2 if first.shape[2] == 3 else 6, 8, begin, frame)


def test_animation_of_a_png_counts_not_its_fallback():
    for fallback in (False, True):
        data = animated(samples(*BLUE), fallback=fallback)
        np.testing.assert_array_equal(decode(data), samples(*BLUE))


def test_transparency_of_the_first_frame_is_over_white_not_over_the_fallback():
    pixels_ = decode(animated(samples(0, 100, 200, 51)))
    assert np.abs(pixels_.astype(int) - (204, 224, 244)).max() <= 1


@pytest.mark.parametrize("change", [{"box": (8, 8, 2, 2)}, {"blend": 1}])
def test_first_frame_of_a_png_in_parts_is_refused_by_name(change):
    with pytest.raises(ValueError, match="animated PNG with a partial first frame"):
        decode(animated(samples(*BLUE), **change))


def test_first_frame_of_a_webp_is_taken():
    file = io.BytesIO()
    frames = [Image.new("RGBA", (SIDE, SIDE), colour) for colour in ((*BLUE, 255), (*RED, 255))]
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    np.testing.assert_array_equal(decode(file.getvalue()), samples(*BLUE))
