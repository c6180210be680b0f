"""Harmless damage is mended; what hides or changes pixels is not."""

import io

import numpy as np
import pytest
from helpers.pngs import chunk, png
from PIL import Image

from fish_jax.data import decoding
from fish_jax.data.mending import Mended, complete_jpeg, mend_png

SIDE = 48
GREYS = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 37 % 251
NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def decode(data):
    return decoding.decode(data, SIDE, SIDE, "stretch", "nearest")


def jpeg(**options):
    file = io.BytesIO()
    Image.fromarray(NOISE).save(file, "JPEG", **options)
    return file.getvalue()


def is_restart(data, place):
    return data[place] == 0xFF and 0xD0 <= data[place + 1] < 0xD8


KINDS = {
    "baseline": {},
    "sharp": {"quality": 100, "subsampling": 0},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 2},
    "restarts of rows": {"restart_marker_rows": 1},
}
SEQUENTIAL = {name: options for name, options in KINDS.items() if name != "progressive"}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_jpeg_without_its_end_marker_is_read_in_full(options):
    whole = jpeg(**options)
    right = decode(whole).pixels
    for end in (b"", b"\xff", b"\xff\xff"):
        np.testing.assert_array_equal(decode(whole[:-2] + end).pixels, right)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_jpeg_cut_anywhere_is_read_in_full_or_refused(options):
    whole = jpeg(**options)
    right, read = decode(whole).pixels.astype(int), []
    cuts = {*range(0, len(whole), 97), *range(len(whole) - 40, len(whole) - 2)}
    starts = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
    cuts |= {start + more for start in starts for more in range(-1, 12)}
    restarts = [place for place in range(starts[0], len(whole) - 40) if is_restart(whole, place)]
    cuts |= {place + more for place in restarts for more in range(3)}
    for cut in cuts:
        try:
            pixels = decode(whole[:cut]).pixels
        except (OSError, ValueError, SyntaxError):
            continue
        read.append(cut)
        assert np.abs(pixels - right).max() <= 2
    assert min(read, default=len(whole)) > len(whole) - 6


@pytest.mark.parametrize("options", SEQUENTIAL.values(), ids=SEQUENTIAL)
@pytest.mark.parametrize("behind", [b"", b"a film\xff\xd9"])
def test_jpeg_cut_off_with_an_end_marker_is_refused(options, behind):
    """Such as an interrupted download that a program repaired: the rest would be grey."""
    whole = jpeg(**options)
    scan = whole.index(b"\xff\xda")
    for share in (0.1, 0.3, 0.6):
        cut = scan + int(share * (len(whole) - scan))
        with pytest.raises(ValueError, match="cut off before its last pixels"):
            decode(whole[:cut] + b"\xff\xd9" + behind)
    np.testing.assert_array_equal(decode(whole + behind).pixels, decode(whole).pixels)


@pytest.mark.parametrize("value", [0, 90, 128, 255])
def test_jpeg_of_one_colour_is_read(value):
    file = io.BytesIO()
    Image.new("RGB", (90, 70), (value,) * 3).save(file, "jpeg")
    np.testing.assert_array_equal(decode(file.getvalue()).pixels, value)


def test_progressive_jpeg_that_ends_between_two_scans_is_refused():
    whole = jpeg(progressive=True)
    starts = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xda"]
    assert len(starts) > 5
    for start in starts[1:]:
        table = whole.rindex(b"\xff\xc4", 0, start)  # Its codes come between the scans.
        with pytest.raises(OSError, match="truncated"):
            decode(whole[:table])
        frame = whole.index(b"\xff\xc2")
        with pytest.raises(OSError, match="truncated"):  # with a byte that may fill any gap
            decode(whole[:frame] + b"\xff" + whole[frame:table])


def test_jpeg_without_its_end_marker_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = jpeg(exif=exif)
    np.testing.assert_array_equal(decode(whole[:-2]).pixels, decode(whole).pixels)


def test_what_is_no_jpeg_is_not_completed():
    for data in (b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xc2\0\x0b"):
        assert complete_jpeg(data, 1) is None


CHECKED = {
    b"tEXt": b"a\0b",
    b"zTXt": b"a\0\0b",
    b"iTXt": b"a",
    b"tIME": bytes(7),
    b"pHYs": bytes(9),
    b"eXIf": b"II*\0",
    b"abCd": b"private",
}
OF_COLOURS = {
    b"iCCP": b"a\0\0b",
    b"gAMA": bytes([0, 1, 0x86, 0xA0]),
    b"tRNS": b"\0\5",
    b"sRGB": b"\0",
    b"cHRM": bytes(32),
    b"cICP": bytes([9, 16, 0, 1]),
}


@pytest.mark.parametrize("name", [*CHECKED, *OF_COLOURS])
def test_ancillary_chunk_with_a_wrong_checksum_is_left_out(name):
    content = (CHECKED | OF_COLOURS)[name]
    decoded = decode(png(GREYS, 0, 8, chunk(name, content, checksum=0)))
    np.testing.assert_array_equal(decoded.pixels[..., 0], GREYS)
    note = f"read without its damaged {name.decode()} chunk"
    assert decoded.notes == ((note,) if name in OF_COLOURS else ())


def test_several_are_left_out_and_good_ones_stay():
    bad, good = chunk(b"tEXt", b"a\0b", checksum=1), chunk(b"gAMA", b"\0\1\x86\xa0")
    mended = mend_png(png(GREYS, 0, 8, bad + good + bad + bad))
    assert mended == Mended(png(GREYS, 0, 8, good))


def test_other_bytes_stay_as_they_are():
    good = png(GREYS, 0, 8, chunk(b"tEXt", b"a\0b"))
    for data in (
        good,
        good[:30],
        b"",
        b"\x89PNG\r\n\x1a\n",
        jpeg(),
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 20,
    ):
        assert mend_png(data) == Mended(data)


def test_wrong_checksum_of_the_palette_or_header_is_no_harmless_damage():
    data = png(GREYS % 2, 3, 1, chunk(b"PLTE", b"abcdef", checksum=0))
    with pytest.raises((SyntaxError, ValueError)):
        decode(data)


def test_png_without_its_end_is_read():
    data = png(GREYS, 0, 8)
    np.testing.assert_array_equal(decode(data[:-12]).pixels[..., 0], GREYS)
