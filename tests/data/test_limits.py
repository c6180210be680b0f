"""Limits count what is decoded, not bytes that merely lie in the file."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from fish_jax.data import decoding, limits

HEIGHT, WIDTH = 48, 64
LONG = 400_000  # Bytes; more than Pillow may keep of metadata.


@pytest.fixture(autouse=True)
def a_hundredth_of_the_metadata(monkeypatch):
    monkeypatch.setattr(limits, "_MOST_METADATA", 320_000)
    monkeypatch.setattr(limits, "_LONG", 10_000)


def photo():
    rough = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    return Image.fromarray(rough).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def assert_is_photo(data, tolerance=0):
    pixels = decoding.decode(data, HEIGHT, WIDTH, "stretch", "nearest").pixels.astype(int)
    assert np.abs(pixels - np.asarray(photo())).max() <= tolerance


def scans(count):
    """A progressive JPEG with its last scan so many times more."""
    data = encode(photo(), "JPEG", progressive=True, quality=95, subsampling=0)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (count + 1) + data[-2:]


def test_a_film_behind_a_jpeg_has_no_scans():
    whole = encode(photo(), "JPEG", quality=100, subsampling=0)
    assert_is_photo(whole + b"MotionPhoto_Data" + b"\xff\xda\0\0" * 1000, 6)


@pytest.mark.parametrize("marker", [0xE1, 0xE2, 0xFE])
def test_a_segment_before_the_pixels_has_no_scans(marker):
    """A thumbnail, the second image of a panorama."""
    whole = encode(photo(), "JPEG", quality=100, subsampling=0)
    segment = struct.pack(">BBH", 255, marker, 4002) + b"\xff\xda\0\0" * 1000
    assert_is_photo(whole[:2] + segment + whole[2:], 6)


def test_scans_before_the_end_count():
    limits.check_scans(scans(400), WIDTH * HEIGHT)
    with pytest.raises(ValueError, match="more than 500 scans"):
        decoding.decode(scans(500), HEIGHT, WIDTH, "stretch", "nearest")


def test_a_large_jpeg_may_have_fewer_scans():
    limits.check_scans(scans(40), 64_000_000)
    with pytest.raises(ValueError, match="more than 62 scans"):
        limits.check_scans(scans(60), 64_000_000)


def test_very_many_segments_are_refused_quickly():
    with pytest.raises(ValueError, match="more than 100,000 segments"):
        limits.check_scans(b"\xff\xd8" + b"\xff\xfe\0\2" * 200_000, 1)
    limits.check_scans(b"\xff\xd8" + b"\xff" * 10**6, 1)


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(37724, 7, b"layers"), (50839, 1, b"ImageJ"), (270, 2, "text ")],
)
@pytest.mark.parametrize(
    "options", [{}, {"big_tiff": True}, {"compression": "tiff_lzw"}, {"save_all": True}]
)
def test_layers_of_a_tiff_do_not_count(tag, kind, value, options):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[tag] = kind
    tags[tag] = value * (LONG // len(value))
    assert_is_photo(encode(photo(), "TIFF", tiffinfo=tags, **options))


def big_endian_tiff():
    pixels, layers = np.asarray(photo()).tobytes(), bytes(LONG)
    place = 8 + len(pixels)
    entries = [(256, 4, 1, WIDTH), (257, 4, 1, HEIGHT), (258, 3, 3, place)]
    entries += [(262, 4, 1, 2), (273, 4, 1, 8), (277, 4, 1, 3), (278, 4, 1, HEIGHT)]
    entries += [(279, 4, 1, len(pixels)), (37724, 7, LONG, place + 6)]
    directory = b"".join(struct.pack(">HHII", *entry) for entry in entries)
    head = b"MM\0*" + struct.pack(">I", place + 6 + LONG)
    behind = struct.pack(">3H", 8, 8, 8) + layers + struct.pack(">H", len(entries))
    return head + pixels + behind + directory + bytes(4)


def test_layers_of_a_tiff_of_the_other_byte_order_do_not_count():
    assert_is_photo(big_endian_tiff())


def test_numbers_of_a_tiff_count():
    """Pillow unpacks them to twenty times their size."""
    numbers = struct.pack(">HHI", 37724, 4, LONG // 4)
    data = big_endian_tiff().replace(struct.pack(">HHI", 37724, 7, LONG), numbers)
    with pytest.raises(ValueError, match="too much metadata"):
        decoding.decode(data, HEIGHT, WIDTH, "stretch", "nearest")


@pytest.mark.parametrize("cut", [4, 9, 5000, 9000, -1, -5, -30])
def test_a_tiff_that_is_cut_off_stays_as_it_is(cut, monkeypatch):
    monkeypatch.setattr(limits, "_LONG", 1)
    data = encode(photo(), "TIFF")[:cut]
    assert len(limits.without_layers(data)) == len(data)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@pytest.mark.parametrize("place", [33, -12])
@pytest.mark.parametrize("name", [b"mkBT", b"caBX", b"tEXt"])
def test_objects_of_an_editor_in_a_png_do_not_count(name, place):
    whole = encode(photo(), "PNG")
    assert_is_photo(whole[:place] + chunk(name, bytes(LONG)) + whole[place:])


def test_short_chunks_and_needed_ones_stay(monkeypatch):
    profile = bytes(np.random.default_rng(0).integers(0, 255, 5000, np.uint8))
    data = encode(photo(), "PNG", icc_profile=profile, dpi=(72, 72))
    assert limits.without_layers(data) is data
    monkeypatch.setattr(limits, "_LONG", 10)
    left = limits.without_layers(data)
    assert b"iCCP" in left and b"IHDR" in left and b"pHYs" not in left
    assert Image.open(io.BytesIO(left)).info["icc_profile"] == profile


@pytest.fixture
def small_limits(monkeypatch):
    """A thousandth of the pixels, of Pillow's limit too."""
    monkeypatch.setattr(decoding, "MOST_PIXELS", 80_000)
    monkeypatch.setattr(decoding, "MOST_JPEG_PIXELS", 210_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_000)


@pytest.mark.parametrize("missing", [0, 2])  # bytes; two are the end marker
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_of_200_megapixels_is_decoded_at_half_its_size(small_limits, progressive, missing):
    large = photo().resize((512, 390), Image.Resampling.BICUBIC)
    data = encode(large, "JPEG", quality=95, progressive=progressive)
    data = data[: len(data) - missing]
    pixels = decoding.decode(data, 390, 512, "stretch", "bilinear").pixels.astype(int)
    assert np.abs(pixels - np.asarray(large)).mean() < 3
    shown = decoding.decode(data, HEIGHT, WIDTH, "stretch", "lanczos").pixels.astype(int)
    assert np.abs(shown - np.asarray(large.resize((WIDTH, HEIGHT)))).max() < 12


def test_larger_ones_and_other_kinds_of_that_size_are_refused(small_limits):
    for kind, width in (("PNG", 512), ("JPEG", 600)):
        with pytest.raises(ValueError, match="million pixels"):
            decoding.decode(encode(Image.new("L", (width, 390)), kind), 20, 20, "crop", "lanczos")


@pytest.mark.slow
def test_a_jpeg_of_a_phone_of_200_megapixels():
    data = encode(Image.new("L", (16_384, 12_288), 90), "JPEG", quality=50)
    pixels = decoding.decode(data, 20, 30, "stretch", "lanczos").pixels.astype(int)
    assert np.abs(pixels - 90).max() <= 1
