"""Colour profiles, gamma and code points: what a browser shows, by published matrices."""

import io
import struct

import numpy as np
import pytest
from helpers.pngs import chunk, png
from PIL import Image, ImageCms

from fish_jax.data import colour, decoding

SIDE = 16
ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
DISPLAY_P3 = (0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
# From linear light in those primaries to that of sRGB, as Adobe, Apple and Lindbloom print them.
TO_SRGB = {
    ADOBE_RGB: [[1.3983, -0.3983, 0], [0, 1, 0], [0, -0.0429, 1.0429]],
    DISPLAY_P3: [[1.2249, -0.2249, 0], [-0.0421, 1.0421, 0], [-0.0196, -0.0786, 1.0979]],
    SRGB: np.eye(3).tolist(),
}
COLOURS = [(60, 140, 90), (120, 130, 110), (200, 180, 170), (20, 30, 40), (255, 255, 255)]
NOTE = "with a damaged or unsuitable colour profile, read as sRGB"


def curve(exponent):
    return b"curv" + struct.pack(">IIH", 0, 1, round(exponent * 256))


def wide(primaries, exponent=2.2):
    return colour.make_profile(primaries, curve(exponent))


def in_srgb(rgb, primaries, exponent=2.2):
    linear = np.array(TO_SRGB[primaries]) @ (np.array(rgb) / 255) ** exponent
    linear = linear.clip(0, 1)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.rint(255 * curved)


def tags_to_profile(space, kind, tags):
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI", start + len(body), b"", 0x02100000) + kind + space
    white = struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(36, b"\0") + b"acsp" + bytes(28) + white + bytes(48) + table + body


def grey_profile(exponent):
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = [(b"wtpt", white), (b"kTRC", curve(exponent))]
    return tags_to_profile(b"GRAY" + b"XYZ ", b"mntr", tags)


def ink_profile():
    """A printer whose cyan is a grey of L* = 50, whose black is black and which has no others."""
    lightness = lambda ink: 0 if ink & 1 else 128 if ink & 8 else 255
    grid = b"".join(bytes([lightness(ink), 128, 128]) for ink in range(16))
    identity = struct.pack(">9i", *(65536 * np.eye(3).astype(int)).ravel())
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0\4\3\2\0" + identity + 4 * ramp + grid + 3 * ramp
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    return tags_to_profile(b"CMYK" + b"Lab ", b"prtr", [(b"wtpt", white), (b"A2B0", table)])


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decode(data):
    return decoding.decode(data, SIDE, SIDE, "stretch", "nearest")


def plain(rgb, mode="RGB"):
    return Image.new(mode, (SIDE, SIDE), rgb)


def assert_is(decoded, rgb, tolerance=1):
    assert np.abs(decoded.pixels.astype(int) - rgb).max() <= tolerance


@pytest.mark.parametrize("primaries", [ADOBE_RGB, DISPLAY_P3], ids=["Adobe RGB", "Display P3"])
@pytest.mark.parametrize("rgb", COLOURS)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_profiles_are_converted_to_srgb(primaries, rgb, kind):
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    data = encode(plain(rgb), kind, icc_profile=wide(primaries), **options)
    assert_is(decode(data), in_srgb(rgb, primaries), 3 if kind == "JPEG" else 1)


def test_photograph_is_converted_as_little_cms_does():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8))
    icc = wide(DISPLAY_P3)
    opened = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    right = ImageCms.profileToProfile(
        noise, opened, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    np.testing.assert_array_equal(decode(encode(noise, "PNG", icc_profile=icc)).pixels, right)


def test_transparency_is_applied_in_srgb():
    data = encode(plain((60, 140, 90, 51), "RGBA"), "PNG", icc_profile=wide(ADOBE_RGB))
    assert_is(decode(data), 204 + in_srgb((60, 140, 90), ADOBE_RGB) / 5, 2)


@pytest.mark.parametrize("mode", ["P", "L", "LA"])
def test_profile_of_rgb_suits_palettes_and_greys(mode):
    image = plain((60, 140, 90)).quantize(4) if mode == "P" else plain(55, "L").convert(mode)
    rgb = (60, 140, 90) if mode == "P" else (55, 55, 55)
    decoded = decode(encode(image, "PNG", icc_profile=wide(ADOBE_RGB, 1)))
    assert_is(decoded, in_srgb(rgb, ADOBE_RGB, 1))
    assert NOTE not in decoded.notes


@pytest.mark.parametrize("image", [plain(55, "L"), plain((55, 255), "LA"), plain(55 * 257, "I;16")])
def test_profile_of_greys_is_applied(image):
    linear = decode(encode(image, "PNG", icc_profile=grey_profile(1)))
    assert_is(linear, 128)  # 255 * (1.055 * (55 / 255) ** (1 / 2.4) - 0.055)


def test_profile_of_inks_is_applied():
    for ink, grey in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), 119), ((0, 0, 0, 255), 0)):
        data = encode(plain(ink, "CMYK"), "TIFF", icc_profile=ink_profile())
        assert_is(decode(data), grey, 2)  # L* = 50.2 is 119.
    data = encode(plain((255, 0, 0, 0), "CMYK"), "JPEG", icc_profile=ink_profile())
    assert_is(decode(data), 119, 4)


def test_srgb_profile_changes_nothing():
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    decoded = decode(encode(Image.fromarray(noise), "PNG", icc_profile=icc))
    np.testing.assert_array_equal(decoded.pixels, noise)
    assert decoded.notes == ()


def damaged(place, value):
    icc = bytearray(wide(ADOBE_RGB))
    icc[place : place + len(value)] = value
    return bytes(icc)


@pytest.mark.parametrize(
    "icc",
    [
        b"damaged",
        bytes(500),
        wide(ADOBE_RGB)[:200],
        damaged(36, b"????"),
        damaged(16, b"Luv "),
        grey_profile(1),
        ink_profile(),
        bytes(9_000_000),
    ],
    ids=["text", "zeros", "cut", "signature", "space", "grey", "inks", "long"],
)
def test_profile_that_does_not_suit_is_ignored_with_a_note(icc):
    data = encode(Image.fromarray(np.eye(SIDE, dtype=np.uint8)).convert("RGB"), "TIFF")
    plain_pixels = decode(data).pixels
    data = encode(Image.fromarray(plain_pixels), "TIFF", icc_profile=icc)
    decoded = decode(data)
    np.testing.assert_array_equal(decoded.pixels, plain_pixels)
    assert decoded.notes == (NOTE,)


def test_profile_that_cannot_be_unpacked_is_ignored_with_a_note():
    rows = np.arange(SIDE * SIDE, dtype=np.uint8).reshape(SIDE, SIDE)
    decoded = decode(png(rows, 0, 8, chunk(b"iCCP", b"a\0\0no zlib")))
    np.testing.assert_array_equal(decoded.pixels[..., 0], rows)
    assert decoded.notes == (NOTE,)


GREYS = np.arange(256, dtype=np.uint8).reshape(SIDE, SIDE)


def gamma(value, *more):
    return chunk(b"gAMA", struct.pack(">I", value)) + b"".join(more)


def chromaticities(primaries):
    return chunk(b"cHRM", struct.pack(">8I", *(round(1e5 * number) for number in primaries)))


@pytest.mark.parametrize(("stored", "exponent"), [(100_000, 1), (55_556, 1.8), (38_462, 2.6)])
def test_gamma_of_a_png_is_applied(stored, exponent):
    decoded = decode(png(GREYS, 0, 8, gamma(stored)))
    right = [in_srgb((grey,) * 3, SRGB, exponent) for grey in GREYS.ravel()]
    assert_is(decoded, np.reshape(right, (SIDE, SIDE, 3)), 2)


def test_primaries_of_a_png_are_applied_with_its_gamma():
    rgb = np.full((SIDE, SIDE, 3), (60, 140, 90), np.uint8)
    before = gamma(45_455, chromaticities(ADOBE_RGB))
    assert_is(decode(png(rgb, 2, 8, before)), in_srgb((60, 140, 90), ADOBE_RGB))


@pytest.mark.parametrize(
    "before",
    [
        gamma(45_455),
        gamma(45_455, chromaticities(SRGB)),
        gamma(100_000, chunk(b"sRGB", b"\0")),
        chunk(b"sRGB", b"\0") + gamma(100_000, chromaticities(ADOBE_RGB)),
        chromaticities(ADOBE_RGB),
        gamma(0),
        gamma(2**32 - 1),
        chunk(b"cICP", b"\1\x0d\0\1") + gamma(100_000),
    ],
    ids=["srgb", "srgb too", "sRGB", "sRGB first", "no gamma", "zero", "infinite", "cICP"],
)
def test_png_that_is_in_srgb_is_left_alone(before):
    decoded = decode(png(GREYS, 0, 8, before))
    np.testing.assert_array_equal(decoded.pixels[..., 0], GREYS)
    assert decoded.notes == ()


def test_profile_counts_before_gamma():
    icc = wide(ADOBE_RGB)
    data = encode(plain((60, 140, 90)), "PNG", icc_profile=icc)
    start = data.index(b"IDAT") - 4
    data = data[:start] + gamma(100_000) + data[start:]
    assert_is(decode(data), in_srgb((60, 140, 90), ADOBE_RGB))


def test_impossible_primaries_are_ignored_with_a_note():
    for primaries in ((0.3127, 0, *SRGB[2:]), SRGB[:2] * 4, (0,) * 8):
        decoded = decode(png(GREYS, 0, 8, gamma(50_000, chromaticities(primaries))))
        np.testing.assert_array_equal(decoded.pixels[..., 0], GREYS)
        assert decoded.notes == (NOTE,)


def test_code_points_of_display_p3_are_converted():
    rgb = np.full((SIDE, SIDE, 3), (60, 140, 90), np.uint8)
    decoded = decode(png(rgb, 2, 8, chunk(b"cICP", bytes([12, 13, 0, 1]))))
    linear = ((np.array([60, 140, 90]) / 255 + 0.055) / 1.055) ** 2.4
    assert_is(decoded, in_srgb(255 * linear, DISPLAY_P3, 1))


@pytest.mark.parametrize("points", [(9, 16, 0, 1), (9, 18, 0, 1), (2, 13, 0, 1), (1, 13, 0, 0)])
def test_code_points_of_hdr_and_video_are_refused_by_name(points):
    with pytest.raises(ValueError, match=rf"{points[0]}/{points[1]} of ITU-T H.273, .* to sRGB"):
        decode(png(GREYS, 0, 8, chunk(b"cICP", bytes(points))))
