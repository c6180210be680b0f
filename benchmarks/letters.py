"""Draws a data set of letters in many fonts and colours, to train GANs on other images than fish.

    python -m benchmarks.letters --out letters.npy --count 2000 --height 28 --width 64 --seed 0

writes uint8 [N, H, W, 3] that `--config.data.path=letters.npy` reads. Every picture is a pure
function of a seed, an index and its size; other versions of Pillow or of matplotlib, which has the
fonts, may draw some pixels otherwise.
"""

import argparse
import colorsys
import functools
import math
import string
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from benchmarks import arguments
from fish_jax.errors import UserError
from fish_jax.utils.files import replacing

# Of the fonts that matplotlib ships, those with all capital letters.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSansMono-BoldOblique", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
    *("DejaVuSerif-BoldItalic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic"),
    *("STIXGeneralBolIta", "cmb10", "cmmi10", "cmr10", "cmss10", "cmsy10", "cmti10", "cmtt10"),
)
CONTRAST = 4.0  # least of the letters to any part of their background, as WCAG 2 defines it
LEAST_SIDE = 16  # pixels; in less, letters can hardly be read

_FINER = 4  # letters are drawn this many times finer than the picture
_MARGIN = 0.06  # of the shorter side

Colour = tuple[float, float, float]  # red, green and blue in [0, 1]


class Letters(NamedTuple):
    """What is on a picture."""

    text: str
    font: str
    fill: float  # size, as a share of the largest that fits
    weight: float  # what strokes gain at each edge, in em
    gap: float  # what letters are further apart than the font says, in em
    slant: float  # of upright strokes, as a tangent
    angle: float  # degrees, to the left
    place: tuple[float, float]  # x and y: -1 and 1 touch the margins, 0 is the centre
    ink: Colour
    paper: Colour
    shade: Colour  # the background at the end of its gradient
    towards: float  # the gradient's direction, radians


def luminance(colour: np.ndarray | Colour) -> np.ndarray:
    """Relative luminance of sRGB.

    Args:
      colour: [..., 3] in [0, 1].

    Returns:
      [...] in [0, 1].
    """
    colour = np.asarray(colour, float)
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return (linear * (0.2126, 0.7152, 0.0722)).sum(-1)


def contrast(one: np.ndarray | Colour, other: np.ndarray | Colour) -> np.ndarray:
    """How much the lighter colour outshines the other, from 1 to 21; [..., 3] each."""
    bright = luminance(one) + 0.05, luminance(other) + 0.05
    return np.maximum(*bright) / np.minimum(*bright)


def _choose_colours(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Ink, paper and shade, drawn until the ink stands out from both of the others."""
    while True:
        ink, paper = (colorsys.hsv_to_rgb(*rng.uniform(size=3)) for _ in range(2))
        # All channels rise or all fall, so that no part of the gradient is beyond its ends.
        end, share = rng.integers(2), rng.uniform(0, 0.3) * rng.integers(2)
        shade = tuple(float(channel + share * (end - channel)) for channel in paper)
        if min(contrast(ink, paper), contrast(ink, shade)) >= CONTRAST:
            return ink, paper, shade


def choose_letters(seed: int, index: int, aspect: float) -> Letters:
    """Chooses what is on picture `index` of a data set, and how it looks.

    Args:
      seed: the data set, >= 0.
      index: of the picture, >= 0.
      aspect: width over height; wide pictures have two or three letters, others one or two.

    Returns:
      Letters of A to Z, all alike probable, and their looks.
    """
    rng = np.random.default_rng([seed, index])
    lengths = (1,) if aspect < 1.4 else (1, 2) if aspect < 2 else (2, 3)
    length = lengths[rng.integers(len(lengths))]
    text = "".join(string.ascii_uppercase[rng.integers(26)] for _ in range(length))
    font = FONTS[rng.integers(len(FONTS))]
    ink, paper, shade = _choose_colours(rng)
    return Letters(
        text=text,
        font=font,
        fill=rng.uniform(0.7, 1),
        weight=rng.uniform(0.005, 0.04),
        gap=rng.uniform(0, 0.12),
        slant=rng.uniform(-0.2, 0.2),
        angle=rng.uniform(-8, 8),
        place=(rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4)),
        ink=ink,
        paper=paper,
        shade=shade,
        towards=rng.uniform(0, 2 * math.pi),
    )


@functools.lru_cache(len(FONTS))
def _font(name: str, em: int) -> ImageFont.FreeTypeFont:
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf")
    return ImageFont.truetype(str(path), em, layout_engine=ImageFont.Layout.BASIC)


def _about(centre: tuple[float, float], slant: float, angle: float) -> tuple[float, ...]:
    """Where a pixel of the slanted and turned picture comes from: Pillow's affine coefficients."""
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = np.array([[1, slant], [0, 1]]) @ turned
    shift = centre - matrix @ centre
    return tuple(np.column_stack([matrix, shift]).ravel().tolist())


def _outline(letters: Letters, em: int) -> Image.Image:
    """The letters slanted and turned, white on black, with nothing around them."""
    font, stroke = _font(letters.font, em), round(letters.weight * em)
    steps = [font.getlength(letter) + 2 * stroke + letters.gap * em for letter in letters.text]
    width, height = math.ceil(sum(steps)) + 2 * em, 3 * em
    mask = Image.new("L", (width, height))
    canvas = ImageDraw.Draw(mask)
    for letter, x in zip(letters.text, np.cumsum([em, *steps])):
        place = (float(x), 2 * em)
        canvas.text(place, letter, 255, font, "ls", stroke_width=stroke, stroke_fill=255)
    turn = _about((width / 2, height / 2), letters.slant, math.radians(letters.angle))
    mask = mask.transform(mask.size, Image.Transform.AFFINE, turn, Image.Resampling.BILINEAR)
    return mask.crop(mask.getbbox())


def _coverage(letters: Letters, height: int, width: int) -> np.ndarray:
    """The share of each pixel that is ink, [H, W] in [0, 1]."""
    frame = np.array([width, height]) * _FINER
    room = frame - 2 * _FINER * math.ceil(_MARGIN * min(height, width))
    outline = _outline(letters, _FINER * min(height, width))
    scale = letters.fill * min(room / outline.size)
    size = np.maximum(np.int64(scale * np.array(outline.size)), 1)
    outline = outline.resize(size.tolist(), Image.Resampling.LANCZOS)
    corner = np.int64(frame / 2 - size / 2 + np.array(letters.place) * (room - size) / 2)
    fine = Image.new("L", tuple(frame.tolist()))
    fine.paste(outline, tuple(corner.tolist()))
    return np.asarray(fine.reduce(_FINER)) / 255


def _background(letters: Letters, height: int, width: int) -> np.ndarray:
    """From paper to shade across the picture, [H, W, 3] in [0, 1]."""
    x, y = math.cos(letters.towards), math.sin(letters.towards)
    rows, columns = (np.linspace(-0.5, 0.5, side) for side in (height, width))
    along = (x * columns + y * rows[:, None]) / (abs(x) + abs(y)) + 0.5
    paper, shade = np.array(letters.paper), np.array(letters.shade)
    return paper + along[..., None] * (shade - paper)


def _to_pixels(values: np.ndarray) -> np.ndarray:
    return np.uint8(np.rint(255 * values))


def draw_picture(seed: int, index: int, height: int, width: int) -> np.ndarray:
    """Draws picture `index` of a data set.

    Args:
      seed: the data set, >= 0.
      index: of the picture, >= 0.
      height, width: pixels, >= LEAST_SIDE.

    Returns:
      uint8 [height, width, 3].
    """
    letters = choose_letters(seed, index, width / height)
    background = _background(letters, height, width)
    coverage = _coverage(letters, height, width)[..., None]
    return _to_pixels(background + coverage * (np.array(letters.ink) - background))


def draw_letters(
    count: int,
    height: int,
    width: int,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Draws the first `count` pictures of a data set.

    Args:
      count: how many, >= 0.
      height, width: pixels.
      seed: the data set, >= 0.
      on_progress: called after each picture with 1.

    Returns:
      uint8 [count, height, width, 3].

    Raises:
      UserError: the pictures are too small for letters, or too many for memory.
    """
    if min(height, width) < LEAST_SIDE:
        raise UserError(
            f"height and width must be at least {LEAST_SIDE} pixels, not {height} x {width}"
        )
    try:
        pictures = np.empty((count, height, width, 3), np.uint8)
    except (MemoryError, OverflowError, ValueError) as error:
        size = f"{count} pictures of {height} x {width}"
        raise UserError(f"{size} do not fit in memory; draw fewer or smaller ones") from error
    for index in range(count):
        pictures[index] = draw_picture(seed, index, height, width)
        if on_progress is not None:
            on_progress(1)
    return pictures


def _array_file(text: str) -> str:
    path = Path(arguments.output(text))
    if path.suffix != ".npy" or path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} must be a file that ends in .npy")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=_array_file, required=True, help="the .npy to write")
    parser.add_argument("--count", type=arguments.count, default=2000, help="pictures")
    parser.add_argument("--height", type=arguments.count, default=28)
    parser.add_argument("--width", type=arguments.count, default=64)
    parser.add_argument("--seed", type=arguments.seed, default=0)
    options = parser.parse_args()
    try:
        # The delay lets an error stand alone.
        with tqdm(total=options.count, desc="drawing letters", unit=" images", delay=0.2) as bar:
            size = options.height, options.width
            pictures = draw_letters(options.count, *size, options.seed, bar.update)
        with replacing(options.out) as file:
            np.save(file, pictures)
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
