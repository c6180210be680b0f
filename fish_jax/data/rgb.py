"""Images of any mode to 8-bit RGB or RGBA: deep greys, orientation, colour profiles, alpha."""

from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image

from fish_jax.data import colour, tiff
from fish_jax.data.frames import Frame

_MOST_EXIF = 1_000_000  # Bytes; parsing more could take minutes.
_STRIPE = 1 << 20  # Pixels converted at a time.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Converted(NamedTuple):
    """An image of mode RGB or RGBA, and notes on it for a person."""

    image: Image.Image
    notes: tuple[str, ...]


def to_rgb(frame: Frame, code_points: bytes = b"", keep_alpha: bool = False) -> Converted:
    """Converts an image of any mode to 8-bit sRGB, upright, with white behind what is transparent.

    Args:
      frame: any mode; it is turned as its EXIF orientation says.
      code_points: the content of the cICP chunk of a PNG.
      keep_alpha: whether an image that has transparency becomes RGBA, with straight alpha, instead.

    Raises:
      ValueError: its transparency or its colours are of a kind that is not read.
    """
    notes, transform = [], None
    try:
        profile = colour.profile_of(frame.image, code_points)
        transform = colour.srgb_transform(profile, frame.image.mode) if profile else None
    except colour.WrongProfile:
        notes.append("with a damaged or unsuitable colour profile, read as sRGB")
    _mend_transparent_colour(frame)
    image = _upright(frame.image)
    if _is_deep(image, frame.kind):
        image = _to_8_bits(image, frame)
    if frame.image.format == "BMP" and image.mode == "RGBA" and _is_clear(image):
        image = image.convert("RGB")  # Its alpha was not meant: many programs leave it at 0.
    image, is_clear = _convert_colours(image, transform, keep_alpha)
    if is_clear:
        notes.append("wholly transparent" + (", read as white" if not keep_alpha else ""))
    elif not np.ptp(image.getextrema(), axis=1).any():
        notes.append("of one colour")
    return Converted(image, tuple(notes))


def _is_clear(image: Image.Image) -> bool:
    return image.getchannel("A").getextrema()[1] == 0


def _mend_transparent_colour(frame: Frame) -> None:
    """Brings the transparent colour of a PNG to the depth that Pillow gives the pixels."""
    info = frame.image.info
    if frame.raw_mode == "RGB;16B" and "transparency" in info:
        raise ValueError(
            "a 16-bit PNG with a transparent colour, which is not supported: convert it to 8 bits"
        )
    depth = {"L;2": 2, "L;4": 4, "L": 8}.get(frame.raw_mode)
    if depth and isinstance(info.get("transparency"), int):
        white = 2**depth - 1
        info["transparency"] = (info["transparency"] & white) * (255 // white)


def _orientation(image: Image.Image) -> int | None:
    if len(image.info.get("exif", b"")) > _MOST_EXIF:
        return None
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Damaged EXIF data raise many kinds of error; the pixels are fine.
        return None


def _upright(image: Image.Image) -> Image.Image:
    orientation = _orientation(image)
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def lies_on_its_side(image: Image.Image) -> bool:
    """Whether the height of an image that is opened, but not loaded, is the width it is shown with.

    Pillow turns the size of a TIFF by itself, and would load a PNG to find EXIF data behind it.
    """
    is_known = image.format != "TIFF" and "exif" in image.info
    return is_known and _orientation(image) in (5, 6, 7, 8)


def _is_deep(image: Image.Image, kind: tiff.Kind | None) -> bool:
    is_signed = kind is not None and kind.sample_format == tiff.SIGNED
    return image.mode in ("I", "F") or image.mode.startswith("I;16") or is_signed


def _numbers(image: Image.Image, kind: tiff.Kind | None) -> tuple[np.ndarray, tuple[int, ...]]:
    """The numbers of a deep grey, and what white may be in them."""
    stored = np.asarray(image)
    if image.mode == "F":
        return stored, (1, 255, 65535)
    if image.mode == "L":
        return stored.view(np.int8), (127,)
    if image.mode.startswith("I;16"):
        return stored, (2 ** kind.bits[0] - 1 if kind else 65535,)
    if kind and kind.bits[0] == 16:
        return stored, (32767,)
    unsigned = kind is not None and kind.sample_format == tiff.UNSIGNED
    return stored.view(np.uint32) if unsigned else stored, (255, 65535)


def _to_8_bits(image: Image.Image, frame: Frame) -> Image.Image:
    """Scales deep or signed greys to 0..255, as mode L, or LA where one grey is transparent.

    White is the largest number of 16 bits or less, and black is 0. Numbers of 32 bits do not say
    what white is: of 1 (for floats alone), 255 and 65535 it is the first that the brightest pixel
    does not exceed, or else that pixel.
    """
    stored, whites = _numbers(image, frame.kind)
    stripes = np.array_split(stored, min(image.height, 1 + stored.size // _STRIPE))
    numbers = lambda stripe: np.nan_to_num(stripe.astype(np.float64), posinf=0, neginf=0)
    peak = max(numbers(stripe).max() for stripe in stripes)
    white = next((white for white in whites if peak <= white), peak)
    scale = lambda stripe: np.rint(numbers(stripe).clip(0) * (255 / white)).astype(np.uint8)
    greys = np.concatenate([scale(stripe) for stripe in stripes])
    # Pillow inverts what has 8 bits or less, and leaves this.
    if frame.kind and frame.kind.photometric == 0 and frame.raw_mode in ("I;16", "I;16N"):
        greys = 255 - greys
    result = Image.fromarray(greys)
    if "transparency" in image.info:
        is_seen = stored != image.info["transparency"]
        result.putalpha(Image.fromarray(is_seen.astype(np.uint8) * 255))
    return result


def _convert_colours(
    image: Image.Image, to_srgb: colour.ToRGB | None, keep_alpha: bool
) -> tuple[Image.Image, bool]:
    """Brings an image to sRGB, as `to_rgb` does, and says whether all of it is transparent.

    It does so some rows at a time, to bound the memory in use.
    """
    is_see_through = image.has_transparency_data
    if image.mode == "RGB" and not is_see_through and to_srgb is None:
        return image, False
    result = Image.new("RGBA" if keep_alpha and is_see_through else "RGB", image.size)
    rows, opacity = 1 + _STRIPE // image.width, 0
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        stripe = image.crop(box)
        if is_see_through:
            stripe = (stripe.convert("LA") if stripe.mode == "La" else stripe).convert("RGBA")
        colours = to_srgb(stripe) if to_srgb else stripe.convert("RGB")
        if is_see_through:
            alpha = stripe.getchannel("A")
            opacity = max(opacity, *alpha.getextrema())
            colours.putalpha(alpha)
            if not keep_alpha:
                backdrop = Image.new("RGBA", colours.size, "white")
                colours = Image.alpha_composite(backdrop, colours).convert("RGB")
        result.paste(colours, box)
    return result, is_see_through and not opacity
