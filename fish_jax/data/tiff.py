"""Kinds of TIFF files: which of them Pillow reads right, and the words for the others.

tests/data/test_tiff.py holds each kind against numbers that were stored on purpose.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from PIL import Image, ImagePalette, TiffImagePlugin

from fish_jax.data.limits import MeteredBytes

_SUBFILE, _OLD_SUBFILE = 254, 255
_BITS, _COMPRESSION, _PHOTOMETRIC, _PLANAR = 258, 259, 262, 284
_COLOUR_MAP, _SUB_DIRECTORIES, _EXTRA, _SAMPLE_FORMAT = 320, 330, 338, 339
_COEFFICIENTS, _SUBSAMPLING, _REFERENCE = 529, 530, 532

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR, _LAB = 0, 1, 2, 3, 5, 6, 8
UNSIGNED, SIGNED, _FLOAT = 1, 2, 3
_ALPHA = 2  # Not premultiplied.
_FULL_RANGE = (0, 255, 128, 255, 128, 255)
_COLOURS = {
    _WHITE_IS_ZERO: "grey in which 0 is white",
    _BLACK_IS_ZERO: "grey",
    _RGB: "RGB",
    _PALETTE: "palette",
    4: "mask",
    _CMYK: "CMYK",
    _YCBCR: "YCbCr",
    _LAB: "CIELab",
    9: "ICCLab",
    10: "ITULab",
    32803: "raw camera",
    32844: "LogL",
    32845: "LogLuv",
    34892: "raw camera",
}
_FORMATS = {UNSIGNED: "", SIGNED: "signed ", _FLOAT: "floating-point "}
_MOST_PAGES = 100  # Looked through for one that is no thumbnail.


class Kind(NamedTuple):
    """What decides how the samples of a TIFF are stored; numbers are those of its tags."""

    is_big_endian: bool
    is_compressed: bool
    is_planar: bool
    photometric: int
    sample_format: int
    bits: tuple[int, ...]
    extra: tuple[int, ...]
    is_plain_ycbcr: bool = True

    def __str__(self) -> str:
        depths = "/".join(map(str, sorted(set(self.bits))))
        numbers = _FORMATS.get(self.sample_format, "undefined ")
        parts = [f"{depths}-bit {numbers}{_COLOURS.get(self.photometric, 'colours')}"]
        parts += [f"{len(self.extra)} more channels"] * (len(self.extra) > 0)
        parts += ["separate planes"] * self.is_planar + ["compressed"] * self.is_compressed
        return ", ".join(parts + ["big-endian"] * self.is_big_endian)


def _numbers(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,)


def _kind(tags: Mapping[int, Any], is_big_endian: bool) -> Kind:
    formats = set(_numbers(tags.get(_SAMPLE_FORMAT, UNSIGNED)))
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    return Kind(
        is_big_endian,
        tags.get(_COMPRESSION, 1) != 1,
        tags.get(_PLANAR, 1) == 2,
        photometric,
        formats.pop() if len(formats) == 1 else 0,
        _numbers(tags.get(_BITS, 1)),
        _numbers(tags.get(_EXTRA, ())),
        photometric != _YCBCR or _is_plain_ycbcr(tags),
    )


def _is_plain_ycbcr(tags: Mapping[int, Any]) -> bool:
    """Whether colours are as in a JPEG, and as many as pixels."""
    reference = tuple(map(float, _numbers(tags.get(_REFERENCE, _FULL_RANGE))))
    is_usual = reference == _FULL_RANGE and _COEFFICIENTS not in tags
    return is_usual and _numbers(tags.get(_SUBSAMPLING, (2, 2))) == (1, 1)


def kind_of(image: Image.Image) -> Kind | None:
    """Tells the kind of a TIFF from its tags, of the page it is at; None for another format."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    return _kind(image.tag_v2, image.tag_v2.prefix == b"MM")


def describe(data: bytes) -> str:
    """Names the kind of a TIFF that Pillow does not open; "" if it is none, or damaged.

    Args:
      data: the whole file.
    """
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if data[2:3] == b"+" else 8])
        file = MeteredBytes(data)
        file.seek(tags.next)
        tags.load(file)
        is_tiff = _PHOTOMETRIC in tags and TiffImagePlugin.IMAGEWIDTH in tags
        return str(_kind(tags, tags.prefix == b"MM")) if is_tiff else ""
    except Exception:  # Damaged tags raise many kinds of error.
        return ""


def is_misread(kind: Kind) -> bool:
    """Whether Pillow decodes files of this kind to wrong pixels, without an error."""
    deep = max(kind.bits) > 8
    if kind.photometric == _WHITE_IS_ZERO and kind.sample_format == _FLOAT:
        return True
    if kind.is_big_endian and kind.is_compressed and deep and kind.sample_format != UNSIGNED:
        return True  # libtiff has turned the bytes already, and Pillow turns them again.
    if kind.photometric == _YCBCR and not kind.is_compressed:
        return kind.is_planar or not kind.is_plain_ycbcr
    if not kind.is_planar:
        return False
    is_rgb = kind.photometric == _RGB
    if kind.is_compressed:
        is_single = is_rgb and len(kind.extra) == 1
        return kind.photometric == _LAB or (any(kind.extra) and not is_single)
    if kind.extra and not (is_rgb and kind.extra == (_ALPHA,)):
        return True
    return set(kind.bits) != {8} or kind.photometric in (_WHITE_IS_ZERO, _LAB)


def refusal(kind: Kind | str) -> str:
    """Says that a kind of TIFF is not read, and what to do."""
    return f"a TIFF of an unsupported kind ({kind}): convert it to 8-bit RGB"


def choose_page(image: Image.Image) -> None:
    """Moves a TIFF of several pages to the first that is no thumbnail, preview or mask.

    Raises:
      ValueError: the image is where Pillow does not look, as in raw photographs.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    with contextlib.suppress(EOFError):
        for page in range(_MOST_PAGES):
            image.seek(page)
            tags = image.tag_v2
            if not tags.get(_SUBFILE, 0) & 5 and tags.get(_OLD_SUBFILE) != 2:
                return
    image.seek(0)
    if _SUB_DIRECTORIES in image.tag_v2:
        raise ValueError(
            "a TIFF that holds only thumbnails, as raw photographs do: export it as JPEG"
        )


def mend_palette(image: Image.Image) -> None:
    """Brightens the colour map of a TIFF, before it is loaded, if its numbers are of 8 bits.

    They should be of 16, and some programs forget it; libtiff tells by the largest number, too.
    """
    numbers = getattr(image, "tag_v2", {}).get(_COLOUR_MAP, ())
    if image.mode in ("P", "PA") and numbers and max(numbers) < 256:
        image.palette = ImagePalette.raw("RGB;L", bytes(numbers))
