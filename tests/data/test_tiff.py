"""Every kind of TIFF: as docs/images.md shows it, or refused by name."""

import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers import tiffs
from helpers.tiffs import HEIGHT, PALETTE, WIDTH, Layout

from fish_jax.data import decoding
from fish_jax.data.tiff import describe

DOCUMENT = (Path(__file__).parents[2] / "docs" / "images.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"\| ([\w, ]+) \| (unsigned|signed|float) \| (\d+) \| ([^|]+) \| ([^|]+) \| (.+) \|"
)
TABLE = {(row[1], row[2], int(row[3])): row.groups()[3:] for row in ROW.finditer(DOCUMENT)}
ORDER = [Layout(*row) for row in itertools.product("<>", (False, True), (False, True))]
ORDER.sort(key=lambda layout: layout.planar)
PLAIN = Layout()
DEPTHS = {
    "unsigned": (1, 2, 4, 8, 12, 16, 32, 64),
    "signed": (8, 16, 32, 64),
    "float": (16, 32, 64),
}
KINDS = [
    (colours, numbers, bits)
    for colours in tiffs.COLOURS
    for numbers, depths in DEPTHS.items()
    for bits in depths
    if colours != "palette" or (numbers == "unsigned" and bits <= 8)
]


def decode(data, height=HEIGHT, width=WIDTH):
    with decoding.quiet_pillow():
        return decoding.decode(data, height, width, "stretch", "nearest").pixels.astype(int)


def assert_close(pixels, right, tolerance=2):
    assert np.abs(pixels - right).max() <= tolerance


@pytest.mark.parametrize(("colours", "numbers", "bits"), KINDS)
def test_every_kind_is_read_right_or_refused_by_name(colours, numbers, bits):
    photometric, code = tiffs.COLOURS[colours], tiffs.NUMBERS[numbers]
    samples = tiffs.quantise(tiffs.shares(tiffs.CHANNELS[photometric]), code, bits)
    right = tiffs.shown(samples, photometric, code, bits)
    stored, shown, cells = TABLE.get((colours, numbers, bits), ("", "", "no" + " | no" * 7))
    if stored:
        np.testing.assert_allclose(samples[-1, 13], np.array(stored.split(), float), atol=1e-3)
        assert_close(right[-1, 13], np.array(shown.split(), float), 0.5)
    for (layout, tiled), cell in zip(
        itertools.product(ORDER, (False, True)), np.repeat(cells.split(" | "), 2), strict=True
    ):
        data = tiffs.write(samples, photometric, code, bits, layout._replace(tiled=tiled))
        read = tiffs.stored(data)
        if read is not None:
            with np.errstate(invalid="ignore"):  # 2**64 - 1 is no float.
                np.testing.assert_array_equal(read, samples.astype(read.dtype))
        if cell == "yes":
            assert_close(decode(data), right)
        else:
            with pytest.raises(ValueError, match=f"unsupported kind .{bits}-bit"):
                decode(data)


def test_table_has_rows():
    assert len(TABLE) == sum("| yes |" in line for line in DOCUMENT.splitlines()) > 20


@pytest.mark.parametrize("extra", [(0,), (1,), (2,), (0, 0), (2, 0)])
@pytest.mark.parametrize(
    ("photometric", "bits"),
    [(0, 8), (0, 16), (1, 8), (1, 16), (2, 8), (2, 16), (3, 8), (5, 8), (5, 16)],
)
def test_further_channels_are_read_right_or_refused_by_name(photometric, extra, bits):
    top, read = 2**bits - 1, 0
    colours = tiffs.shares(tiffs.CHANNELS[photometric])
    alpha = (np.arange(WIDTH) % 5 / 4)[None, :, None] * np.ones((HEIGHT, 1, 1))
    samples = np.rint(colours * (alpha if extra[0] == 1 else 1) * top)
    right = tiffs.shown(np.rint(colours * top), photometric, 1, bits)
    if photometric == 3:
        right = tiffs.shown(samples, photometric, 1, bits)
    if extra[0]:
        right = right * alpha + 255 * (1 - alpha)
    samples = np.concatenate([samples, *[np.rint(alpha * top)] * len(extra)], -1)
    for layout in ORDER:
        data = tiffs.write(samples, photometric, 1, bits, layout, {338: (3, list(extra))})
        try:
            pixels = decode(data)
        except ValueError as error:
            assert f"unsupported kind ({bits}-bit" in str(error)
        else:
            read += 1
            assert_close(pixels, right)
    assert read or photometric != 2 or len(extra) == 2


def ycbcr():
    rgb = np.rint(tiffs.shares(3) * 255)
    luma = rgb @ [0.299, 0.587, 0.114]
    chroma = 128 + (rgb[..., 2] - luma) / 1.772, 128 + (rgb[..., 0] - luma) / 1.402
    return rgb, np.rint(np.stack([luma, *chroma], -1)).clip(0, 255)


@pytest.mark.parametrize("compressed", [False, True])
def test_ycbcr_is_read_right(compressed):
    rgb, samples = ycbcr()
    layout = Layout(compressed=compressed)
    assert_close(decode(tiffs.write(samples, 6, 1, 8, layout, {530: (3, [1, 1])})), rgb)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {530: (3, [2, 2])},
        {530: (3, [1, 1]), 529: (5, [2126, 10000, 7152, 10000, 722, 10000])},
        {530: (3, [1, 1]), 532: (5, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1])},
    ],
    ids=["subsampled by default", "subsampled", "coefficients", "range"],
)
def test_ycbcr_of_another_kind_is_refused_by_name(more):
    with pytest.raises(ValueError, match="unsupported kind .8-bit YCbCr"):
        decode(tiffs.write(ycbcr()[1], 6, 1, 8, PLAIN, more))


@pytest.mark.parametrize("compressed", [False, True])
def test_cielab_is_read_right_or_refused_by_name(compressed):
    # L* = 50, a* = 40, b* = -30 in D50; 165, 91, 171 by the formulas of CIE and IEC 61966-2-1.
    samples = np.broadcast_to([127.5, 40, 256 - 30], (HEIGHT, WIDTH, 3))
    layout = Layout(compressed=compressed)
    assert_close(decode(tiffs.write(samples, 8, 1, 8, layout)), [165, 91, 171])
    with pytest.raises(ValueError, match="unsupported kind .8-bit CIELab"):
        decode(tiffs.write(samples, 8, 1, 8, layout._replace(planar=True)))


def test_colour_map_of_8_bit_numbers_is_not_black():
    samples = np.rint(tiffs.shares(1) * 255)
    bytes_ = PALETTE >> 8
    data = tiffs.write(samples, 3, 1, 8, PLAIN, {320: (3, bytes_.ravel().tolist())})
    right = np.moveaxis(bytes_[:, samples[..., 0].astype(int)], 0, -1)
    np.testing.assert_array_equal(decode(data), right)


def test_dark_colour_map_of_16_bit_numbers_stays_dark():
    samples = np.rint(tiffs.shares(1) * 255)
    data = tiffs.write(samples, 3, 1, 8, PLAIN, {320: (3, (PALETTE >> 4).ravel().tolist())})
    assert decode(data).max() == 15


def pages(*kinds, **options):
    """A TIFF of plain pages, as (grey, subfile type)."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for grey, subfile in kinds:
            page = np.full((HEIGHT, WIDTH), grey, np.uint8)
            writer.write(page, subfiletype=subfile, photometric="minisblack", **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("kinds", "grey"),
    [
        ([(10, 0), (20, 0)], 10),
        ([(10, 2), (20, 2)], 10),
        ([(10, 1), (20, 0)], 20),
        ([(10, 1), (20, 3), (30, 2), (40, 0)], 30),
        ([(10, 1)], 10),
        ([(10, 1), (20, 1)], 10),
    ],
)
def test_first_page_that_is_no_thumbnail_or_mask_is_taken(kinds, grey):
    assert_close(decode(pages(*kinds)), grey, 0)


@pytest.mark.parametrize("flag", [{254: (4, [1])}, {254: (4, [4])}, {255: (3, [2])}])
def test_thumbnail_of_a_raw_photograph_is_refused(flag):
    samples = np.zeros((HEIGHT, WIDTH, 1))
    assert_close(decode(tiffs.write(samples, 1, 1, 8, PLAIN, flag)), 0)
    with pytest.raises(
        ValueError, match="TIFF that holds only thumbnails"
    ):  # The photograph is at tag 330.
        decode(tiffs.write(samples, 1, 1, 8, PLAIN, flag | {330: (4, [8])}))


def test_kind_is_named_in_words():
    samples = np.zeros((HEIGHT, WIDTH, 3))
    data = tiffs.write(samples, 2, 3, 32, Layout(">", planar=True, compressed=True))
    assert describe(data) == "32-bit floating-point RGB, separate planes, compressed, big-endian"
    extra = tiffs.write(samples, 1, 2, 16, PLAIN, {338: (3, [0, 0])})
    assert describe(extra) == "16-bit signed grey, 2 more channels"


def test_what_is_no_tiff_has_no_kind():
    data = tiffs.write(np.zeros((HEIGHT, WIDTH, 1)), 1, 1, 8, PLAIN)
    with decoding.quiet_pillow():
        assert [describe(data[:length]) for length in (0, 3, 7, 8, 200)] == [""] * 5
    assert describe(b"\x89PNG\r\n\x1a\n" + data) == ""
