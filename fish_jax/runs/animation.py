"""Animations as WebP or GIF, such as the samples of a run over its epochs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fish_jax.errors import UserError
from fish_jax.runs import config_file, layout
from fish_jax.utils.files import replacing
from fish_jax.utils.pictures import over_white
from fish_jax.utils.progress import Advance, ignore_advance

KINDS = {".webp": dict(format="WEBP", quality=90), ".gif": dict(format="GIF")}
MOST_FRAMES = 240  # of a film; all are held in memory at once
SECONDS = 12  # that a film lasts, about
FASTEST, SLOWEST = 40, 400  # milliseconds of a frame; a GIF counts in tens
LAST = 2_000  # milliseconds of the last one


def write_animation(
    path: Path,
    frames: Sequence[Image.Image],
    milliseconds: Sequence[int],
    on_progress: Advance = ignore_advance,
) -> None:
    """Writes an animation that repeats for ever, whole or not at all.

    Args:
      path: ends in a key of `KINDS`; its folder is made if it does not exist.
      frames: the frames of one size.
      milliseconds: duration of each frame.
      on_progress: called with the number of frames done since the last call.

    Raises:
      OSError: it cannot be written; names the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, ready = KINDS[path.suffix.lower()], []
    for frame in frames:
        # A GIF has 256 colours, and to find them takes longer than all the rest.
        ready.append(frame.quantize() if kind["format"] == "GIF" else frame)
        on_progress(1)
    options = dict(save_all=True, append_images=ready[1:], duration=list(milliseconds), loop=0)
    with replacing(path) as file:
        ready[0].save(file, **options, **kind)


def enlarged(images: np.ndarray, least_width: int) -> list[Image.Image]:
    """Enlarges images, uint8 [N, H, W, C], by a whole factor to about a width, as frames."""
    factor = max(round(least_width / images.shape[2]), 1)
    size = (images.shape[2] * factor, images.shape[1] * factor)
    shown = map(Image.fromarray, over_white(images))
    return [image.resize(size, Image.Resampling.NEAREST) for image in shown]


def film(folder: Path) -> tuple[list[Image.Image], list[int]]:
    """Makes frames of the samples of a run, one per epoch, with the epoch below.

    Args:
      folder: the folder of the run, which may still train.

    Returns:
      Frames, and how many milliseconds each is to be seen. Of more than `MOST_FRAMES` epochs as
      many are taken, the first and last among them.

    Raises:
      UserError: no run, no samples, or a picture that cannot be read.
    """
    config_file.read_config(folder)
    paths = np.array(layout.epoch_pictures(folder, layout.SAMPLES), object)
    if not len(paths):
        raise UserError(f"{folder} has no samples of an epoch yet; train it first")
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), MOST_FRAMES)).round().astype(int)
    frames = [_captioned(_read(path), f"epoch {int(path.stem)}") for path in paths[chosen]]
    for path, frame in zip(paths[chosen], frames):
        if frame.size != frames[0].size:
            raise UserError(f"{path} has another size than {paths[0]}; move it away")
    pace = int(np.clip(1000 * SECONDS / len(frames), FASTEST, SLOWEST)) // 10 * 10
    return frames, [pace] * (len(frames) - 1) + [LAST]


def _read(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a picture ({error}); move it away") from None


def _captioned(image: Image.Image, text: str) -> Image.Image:
    """The picture with a line of text below."""
    size = max(12, image.width // 50)
    font = ImageFont.load_default(size)
    below = round(1.8 * size)
    sheet = Image.new("RGB", (image.width, image.height + below), "white")
    sheet.paste(image, (0, 0))
    place = (image.width // 2, image.height + below // 2)
    ImageDraw.Draw(sheet).text(place, text, "black", font, anchor="mm")
    return sheet
