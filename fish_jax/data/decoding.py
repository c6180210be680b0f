"""Decoding: the bytes of an image file to uint8 grey, RGB or RGBA of a given size."""

import contextlib
import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile, JpegImagePlugin, UnidentifiedImageError

from fish_jax.data import frames, mending, rgb, tiff, unreadable
from fish_jax.data.limits import MeteredBytes, check_scans, make_room, without_layers
from fish_jax.utils.validation import Kind

# What a file holds counts, not its extension; other formats, some run by outside programs, do not.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FITS = ("stretch", "crop", "pad")
RESAMPLES = ("nearest", "bilinear", "bicubic", "lanczos")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's names, by the number of channels.
CHANNELS = Kind(
    "1 (grey), 3 (RGB) or 4 (RGB and alpha)", lambda value: type(value) is int and value in MODES
)
_CLEAR = np.array([255, 255, 255, 0], np.uint8)  # What has no colour is white, as on a page.

SHORTEST_SIDE = 16  # Pixels; less is a thumbnail of nothing.
# Lower than the limit of Pillow, which warns beyond it, and refuses only twice as many.
MOST_PIXELS = 80_000_000
# Of a JPEG, as phones have them; beyond `MOST_PIXELS`, half its height and width are decoded.
MOST_JPEG_PIXELS = 210_000_000
_room_for_pixels = make_room(2 * MOST_PIXELS)  # In all threads; each takes about 10 bytes.
_one_waits = threading.Lock()  # Metadata, too, take memory, and that before the pixels are known.


class Decoded(NamedTuple):
    """An image from a file.

    Attributes:
      pixels: uint8 [height, width, channels].
      notes: what a person should know of it, in a few words each.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()


def decode(
    data: bytes, height: int, width: int, fit: str, resample: str, channels: int = 3
) -> Decoded:
    """Turns the bytes of an image file into an image of a given size and number of channels.

    Args:
      data: a whole JPEG, PNG, WebP, BMP, GIF or TIFF file; of several frames, the first is taken.
      height, width, fit, resample, channels: as in `convert`.

    Raises:
      ValueError: it is no image, one of a kind that is not read, or one that is too small
        or too large.
      Exception: the file is damaged; Pillow raises many kinds of error then.
    """
    mended = mending.mend_png(without_layers(data))
    file = MeteredBytes(mended.data)
    try:
        with contextlib.ExitStack() as stack:
            with _one_waits:
                image = stack.enter_context(_open(file))
                tiff.choose_page(image)
                pixels = _check_size(image)
                if image.format == "JPEG":
                    check_scans(data, pixels)
                    if pixels > MOST_PIXELS:
                        image.draft(None, (image.width // 2, image.height // 2))
                copies = 2 if image.format == "WEBP" else 1  # Its decoder keeps two frames.
                stack.enter_context(_room_for_pixels(copies * pixels))
            file.allow_pixels()
            source = frames.load(image, data)
            form = (height, width, fit, resample, channels)
            decoded = convert(source, *form, code_points=mended.code_points)
            notes = (f"read without its damaged {name} chunk" for name in mended.lost)
            return decoded._replace(notes=(*notes, *decoded.notes))
    except Image.DecompressionBombError:
        raise ValueError(_too_many(MOST_PIXELS)) from None
    except UnidentifiedImageError:
        raise ValueError(unreadable.name_kind(data)) from None
    except ValueError as error:
        if "MAX_TEXT_CHUNK" not in str(error):
            raise
        raise ValueError("its colour profile or a text is larger than 1 MB when unpacked") from None


def size_of(data: bytes) -> tuple[int, int]:
    """The height and width, in pixels, of the upright image in a file, without decoding it.

    Raises:
      ValueError, Exception: as of `decode`.
    """
    file = MeteredBytes(mending.mend_png(without_layers(data)).data)
    with _one_waits, _open(file) as image:
        tiff.choose_page(image)
        _check_size(image)
        width, height = image.size
        return (width, height) if rgb.lies_on_its_side(image) else (height, width)


def _open(file: MeteredBytes) -> ImageFile.ImageFile:
    """Opens an image file without decoding it."""
    if file.getbuffer()[:3] != b"\xff\xd8\xff":
        return Image.open(file, formats=_FORMATS)
    try:  # `Image.open` refuses more than 179 million pixels.
        return JpegImagePlugin.JpegImageFile(file)
    except SyntaxError as error:
        raise UnidentifiedImageError from error


def _too_many(most: int) -> str:
    return f"more than {most // 10**6} million pixels"


def _check_size(image: Image.Image) -> int:
    """Counts the pixels that must be decoded: of the image or, if larger, of a tile of a TIFF."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(ExifTags.Base.TileWidth, 0) * tags.get(ExifTags.Base.TileLength, 0)
    pixels = max(image.width * image.height, tile)
    most = MOST_JPEG_PIXELS if image.format == "JPEG" else MOST_PIXELS
    if pixels > most:
        raise ValueError(_too_many(most))
    if min(image.size) < SHORTEST_SIDE:
        raise ValueError(
            f"too small: {image.width} x {image.height} pixels; the shorter side needs at least "
            f"{SHORTEST_SIDE}"
        )
    return pixels


def convert(
    frame: frames.Frame,
    height: int,
    width: int,
    fit: str,
    resample: str,
    channels: int,
    code_points: bytes = b"",
) -> Decoded:
    """Turns a loaded image into one of a given size and number of channels.

    Colours are those that a browser shows: in sRGB, upright, over white. Grey is their luma (ITU-R
    601). With alpha, colours are straight, not multiplied by it, and white where it is 0.

    Args:
      frame: the frame of any mode.
      height: pixels.
      width: pixels.
      fit: one of `FITS`.
      resample: one of `RESAMPLES`.
      channels: a key of `MODES`.
      code_points: as in `rgb.to_rgb`.

    Raises:
      ValueError: as of `rgb.to_rgb`.
    """
    image, notes = rgb.to_rgb(frame, code_points, keep_alpha=channels == 4)
    if image.mode != MODES[channels]:
        image = image.convert(MODES[channels])
    pixels = np.asarray(fit_image(image, height, width, fit, resample))
    pixels = pixels.reshape(height, width, channels)
    if channels == 4:
        pixels = np.where(pixels[..., 3:] == 0, _CLEAR, pixels)
    return Decoded(pixels, notes)


def fit_image(image: Image.Image, height: int, width: int, fit: str, resample: str) -> Image.Image:
    """Brings an image to a given size.

    Args:
      image: mode L, RGB or RGBA.
      height: pixels.
      width: pixels.
      fit: "stretch" changes the proportions; "crop" keeps them and cuts off what is too much,
        equally on both sides; "pad" keeps them and adds white, with alpha clear, equally on both
        sides.
      resample: the filter, one of `RESAMPLES`; all but "nearest" average when they shrink.

    Returns:
      An image of the same mode, of `width` x `height` pixels.
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
    padded = Image.new(image.mode, (width, height), "#ffffff00")  # Of other modes, white.
    padded.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return padded


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Suppresses what Pillow and libtiff print on stderr about damaged files."""
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
