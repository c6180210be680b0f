"""Decoding: the bytes of an image file to uint8 RGB of a given size."""

import contextlib
import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from fish_jax.data.limits import MeteredBytes, check_scans, make_room

# What a file holds counts, not its extension; other formats, some run by outside programs, do not.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FITS = ("stretch", "crop", "pad")
RESAMPLES = ("nearest", "bilinear", "bicubic", "lanczos")

SHORTEST_SIDE = 16  # Pixels; less is a thumbnail of nothing.
# Lower than the limit of Pillow, which warns beyond it, and refuses only twice as many.
MOST_PIXELS = 80_000_000
_TOO_MANY_PIXELS = f"more than {MOST_PIXELS // 10**6} million pixels"
_MOST_EXIF = 1_000_000  # Bytes; parsing more could take minutes.
_STRIPE = 1 << 20  # Pixels converted at a time.
_room_for_pixels = make_room(2 * MOST_PIXELS)  # In all threads; each takes about 10 bytes.
_one_waits = threading.Lock()  # Metadata, too, take memory, and that before the pixels are known.

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, height: int, width: int, fit: str, resample: str) -> np.ndarray:
    """Turns the bytes of an image file into an RGB image of a given size.

    Args:
      data: a whole JPEG, PNG, WebP, BMP, GIF or TIFF file; of several frames, the first is taken.
      height: pixels.
      width: pixels.
      fit: one of `FITS`.
      resample: one of `RESAMPLES`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      ValueError: it is no image, or one that is too small or too large.
      Exception: the file is damaged; Pillow raises many kinds of error then.
    """
    file = MeteredBytes(data)
    try:
        with contextlib.ExitStack() as stack:
            with _one_waits:
                image = stack.enter_context(Image.open(file, formats=_FORMATS))
                pixels = _check_size(image)
                if image.format in ("JPEG", "MPO"):
                    check_scans(data)
                copies = 2 if image.format == "WEBP" else 1  # Its decoder keeps two frames.
                stack.enter_context(_room_for_pixels(copies * pixels))
            file.allow_pixels()
            return np.asarray(fit_image(to_rgb(image), height, width, fit, resample))
    except Image.DecompressionBombError:
        raise ValueError(_TOO_MANY_PIXELS) from None
    except UnidentifiedImageError:
        raise ValueError("not an image, or its first bytes are damaged") from None


def _check_size(image: Image.Image) -> int:
    """Counts the pixels that must be decoded: of the image or, if larger, of a tile of a TIFF."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(ExifTags.Base.TileWidth, 0) * tags.get(ExifTags.Base.TileLength, 0)
    pixels = max(image.width * image.height, tile)
    if pixels > MOST_PIXELS:
        raise ValueError(_TOO_MANY_PIXELS)
    if min(image.size) < SHORTEST_SIDE:
        raise ValueError(
            f"too small: {image.width} x {image.height} pixels, "
            f"and the shorter side must have {SHORTEST_SIDE}"
        )
    return pixels


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to 8-bit RGB, upright, with white behind what is transparent.

    Args:
      image: any mode but LAB; it is turned as its EXIF orientation says.

    Returns:
      An image of mode RGB.
    """
    image.load()  # A TIFF turns itself upright here, and then forgets its orientation.
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = _over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """Puts white behind what is transparent, some rows at a time, to bound the memory in use."""
    result = Image.new("RGB", image.size)
    rows = 1 + _STRIPE // image.width
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        stripe = image.crop(box).convert("RGBA")
        backdrop = Image.new("RGBA", stripe.size, "white")
        result.paste(Image.alpha_composite(backdrop, stripe).convert("RGB"), box)
    return result


def _upright(image: Image.Image) -> Image.Image:
    if len(image.info.get("exif", b"")) > _MOST_EXIF:
        return image
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Damaged EXIF data raise many kinds of error; the pixels are fine.
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scales deep greys to 0..255.

    White is 65535 in 16 bits. Numbers of 32 bits do not say what it is: of 1 (for floats alone),
    255 and 65535 it is the first that the brightest pixel does not exceed, or else that pixel.
    """
    count = min(image.height, 1 + image.width * image.height // _STRIPE)
    stripes = np.array_split(np.asarray(image), count)
    numbers = lambda stripe: np.nan_to_num(stripe.astype(np.float64), posinf=0, neginf=0)
    whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
    peak = max(numbers(stripe).max() for stripe in stripes)
    white = next((white for white in whites if peak <= white), peak)
    scale = lambda stripe: np.rint(numbers(stripe).clip(0) * (255 / white)).astype(np.uint8)
    return Image.fromarray(np.concatenate([scale(stripe) for stripe in stripes]))


def fit_image(image: Image.Image, height: int, width: int, fit: str, resample: str) -> Image.Image:
    """Brings an image to a given size.

    Args:
      image: mode RGB.
      height: pixels.
      width: pixels.
      fit: "stretch" changes the proportions; "crop" keeps them and cuts off what is too much,
        equally on both sides; "pad" keeps them and adds white, equally on both sides.
      resample: the filter, one of `RESAMPLES`; all but "nearest" average when they shrink.

    Returns:
      An RGB image of `width` x `height` pixels.
    """
    method = Image.Resampling[resample.upper()]
    if fit == "stretch":
        return image.resize((width, height), method)
    across, down = image.width / width, image.height / height
    if fit == "crop":
        scale = min(across, down)
        left = max(0.0, (image.width - width * scale) / 2)
        top = max(0.0, (image.height - height * scale) / 2)
        box = (left, top, image.width - left, image.height - top)
        return image.resize((width, height), method, box)
    scale = max(across, down)
    inner = max(1, round(image.width / scale)), max(1, round(image.height / scale))
    padded = Image.new("RGB", (width, height), "white")
    padded.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps off stderr what Pillow, and libtiff below it, say of damaged files meanwhile."""
    logger = logging.getLogger("PIL")
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # Threads started within see it, too.
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL + 1)
        # A Pillow may have no libtiff, or hide it.
        with contextlib.suppress(AttributeError, OSError):
            set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            stack.callback(set_handler, set_handler(None))
        yield
