"""Images as a page shows them: grids and files."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.utils.files import write_bytes

PREVIEW_COUNT = 16  # samples in a grid, from the seeds 0 .. 15
PREVIEW_ROWS = 4  # of every picture


def over_white(images: np.ndarray) -> np.ndarray:
    """Images as a page shows them: greys in three channels, alpha over white.

    Args:
      images: uint8 [..., H, W, C], of 1, 3 or 4 channels; the fourth is straight alpha.

    Returns:
      uint8 [..., H, W, 3]; the same array where there are 3 channels.
    """
    if images.shape[-1] == 3:
        return images
    if images.shape[-1] == 1:
        return np.repeat(images, 3, axis=-1)
    shown = np.empty((*images.shape[:-1], 3), np.uint8)
    for place in np.ndindex(images.shape[:-3]):  # one by one: the numbers take twice the memory
        colours, alpha = np.split(images[place].astype(np.uint16), [3], axis=-1)
        shown[place] = (colours * alpha + 255 * (255 - alpha) + 127) // 255
    return shown


def layout(images: np.ndarray, columns: int, gap: int, background: tuple[int, ...]) -> np.ndarray:
    """Arranges images in rows.

    Args:
      images: uint8 [N, H, W, 3].
      columns: images per row.
      gap: pixels between images.
      background: colour of the gaps and of the rest of the last row, RGB or, for a sheet with an
        alpha channel, RGBA.

    Returns:
      uint8 [rows * (H + gap) - gap, columns * (W + gap) - gap, 3 or 4].
    """
    count, height, width, _ = images.shape
    rows = -(-count // columns)
    shape = (rows * (height + gap) - gap, columns * (width + gap) - gap, len(background))
    sheet = np.full(shape, background, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        place = sheet[top : top + height, left : left + width]
        place[..., :3], place[..., 3:] = image, 255
    return sheet


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Arranges images in rows, with a thin white line between.

    Args:
      images: uint8 [N, H, W, C], shown as `over_white` does.
      columns: images per row; the last row is filled up with white.

    Returns:
      uint8 [rows * H + gaps, columns * W + gaps, 3].
    """
    return layout(over_white(images), columns, _gap(images.shape[1]), (255, 255, 255))


def cut(sheet: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Cuts a picture that `grid` made into its images.

    Args:
      sheet: uint8 [rows * H + gaps, columns * W + gaps, 3].
      columns, rows: of it.

    Returns:
      uint8 [rows * columns, H, W, 3].

    Raises:
      ValueError: no images of one size fit.
    """
    for gap in range(1, sheet.shape[0]):
        height, beyond = divmod(sheet.shape[0] + gap, rows)
        width, beside = divmod(sheet.shape[1] + gap, columns)
        if not beyond and not beside and min(height, width) > gap == _gap(height - gap):
            places = np.ndindex(rows, columns)
            corners = [(row * height, column * width) for row, column in places]
            return np.stack([sheet[y : y + height - gap, x : x + width - gap] for y, x in corners])
    raise ValueError(f"a picture of {sheet.shape[:2]} is no grid of {rows} x {columns} images")


def _gap(height: int) -> int:
    """Pixels between images of a grid."""
    return max(height // 70, 1)


def encode(image: np.ndarray, kind: str, scale: int = 1, **options: int) -> bytes:
    """Encodes a picture.

    Args:
      image: uint8 [H, W, C], of 1, 3 or 4 channels.
      kind: "PNG" or "WEBP".
      scale: pixels high and wide that are made of one.
      **options: of Pillow's encoder.

    Returns:
      The bytes of the file.
    """
    pixels = image.repeat(scale, 0).repeat(scale, 1)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if image.shape[2] == 1 else pixels).save(file, kind, **options)
    return file.getvalue()


def to_png(image: np.ndarray, least_width: int = 0) -> bytes:
    """Encodes a picture as PNG; narrow ones are enlarged by a whole factor.

    Args:
      image: uint8 [H, W, C], as of `encode`.
      least_width: about how wide, in pixels, the picture must be.

    Returns:
      The bytes of the file.
    """
    return encode(image, "PNG", max(round(least_width / image.shape[1]), 1))


def write_png(path: Path, image: np.ndarray, least_width: int = 0) -> None:
    """Writes a picture whole or not at all, as of `to_png`; its folder is made if there is none."""
    write_bytes(path, to_png(image, least_width))
