"""Grids of images, small enough to be inside a report."""

import base64
import io
from collections.abc import Mapping

import numpy as np
from PIL import Image

from fish_jax.utils.pictures import layout

Attributes = Mapping[str, str | int]  # of an image of HTML
TINY = 100  # images of no more pixels in width are kept as they are, and enlarged by the browser

# Widths of an image in pixels and qualities of WebP; the first that is small enough is taken.
LADDER = ((320, 82), (260, 80), (220, 76), (180, 72), (150, 66), (120, 55), (90, 40))


def arrange(images: np.ndarray, wide: bool) -> np.ndarray:
    """Arranges images in full rows of a pleasing shape, transparent between them.

    Args:
      images: uint8 [N, H, W, 3].
      wide: whether the whole may be four times as wide as high, or should be about a square.

    Returns:
      uint8 [height, width, 4]; the last channel is 0 between images.
    """
    count, height, width, _ = images.shape
    wish = 4 if wide else 1.2
    fits = [n for n in range(1, count + 1) if count % n == 0]
    ratio = lambda columns: columns * width / (count // columns * height) / wish
    columns = min(fits, key=lambda n: max(ratio(n), 1 / ratio(n)))
    return layout(images, columns, max(1, height // 35), (0, 0, 0, 0))


def attributes(
    sheet: np.ndarray, width: int, budget: int, alt: str, data: Attributes, style: str = ""
) -> Attributes:
    """The attributes of an image of HTML that shows a picture.

    Args:
      sheet, width, budget: as in `encode`.
      alt: the picture in words.
      data: by name, for scripts.
      style: classes of CSS.
    """
    classes = f"{style} tiny" if width <= TINY else style
    return {
        **({"class": classes.strip()} if classes else {}),
        "src": encode(sheet, width, budget),
        "alt": alt,
        "width": sheet.shape[1],
        "height": sheet.shape[0],
        **{f"data-{name}": value for name, value in data.items()},
        "decoding": "async",
    }


def encode(sheet: np.ndarray, width: int, budget: int) -> str:
    """Writes a picture as a data URI of WebP.

    Args:
      sheet: uint8 [H, W, 4].
      width: the width of one image on it, in pixels.
      budget: bytes that it may take, about: the smallest of `LADDER` is taken if none does.

    Returns:
      The URI.
    """
    picture, data = Image.fromarray(sheet), b""
    if width <= TINY:
        data = _webp(picture, lossless=True)
    for step, quality in LADDER:
        if data and len(data) <= budget:
            break
        factor = min(1.0, step / width)
        size = [max(1, round(side * factor)) for side in picture.size]
        small = picture.resize(size, Image.Resampling.LANCZOS) if factor < 1 else picture
        data = _webp(small, quality=quality)
    return "data:image/webp;base64," + base64.b64encode(data).decode()


def _webp(picture: Image.Image, **options: int | bool) -> bytes:
    file = io.BytesIO()
    picture.save(file, "WEBP", method=2, **options)
    return file.getvalue()
