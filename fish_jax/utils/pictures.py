"""Pictures of a run: grids of images, and curves of what was logged."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from fish_jax.utils.files import replacing


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Puts images side by side, row by row, with a thin white line between.

    Args:
      images: uint8 [N, H, W, 3].
      columns: images per row; the last row is filled up with white.

    Returns:
      uint8 [rows * H + gaps, columns * W + gaps, 3].
    """
    count, height, width, _ = images.shape
    gap = _gap(height)
    rows = -(-count // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, image in enumerate(images):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        sheet[top : top + height, left : left + width] = image
    return sheet


def cut(sheet: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """Takes images out of a picture that `grid` made.

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


def to_png(image: np.ndarray, least_width: int = 0) -> bytes:
    """A picture as a file; narrow ones are enlarged by a whole factor.

    Args:
      image: uint8 [H, W, 3].
      least_width: pixels that the picture should be wide, to be seen on a screen.
    """
    factor = max(round(least_width / image.shape[1]), 1)
    file = io.BytesIO()
    Image.fromarray(image.repeat(factor, 0).repeat(factor, 1)).save(file, "PNG")
    return file.getvalue()


def write_png(path: Path, image: np.ndarray, least_width: int = 0) -> None:
    """Writes a picture whole or not at all, as of `to_png`; its folder is made if there is none."""
    content = to_png(image, least_width)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


PREVIEW_COUNT = 16  # samples in a grid, from the seeds 0 .. 15
PREVIEW_ROWS = 4  # of every picture
