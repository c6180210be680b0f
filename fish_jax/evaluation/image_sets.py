"""Scores any two sets of images, real and generated ones, whatever made them."""

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from fish_jax.data.images import ImageSet, find_sizes, load_images, remarks
from fish_jax.data.sources import Indexable
from fish_jax.errors import UserError
from fish_jax.evaluation.evaluate import MOST_IMAGES, SHOWN, read_references
from fish_jax.evaluation.features.batches import LEAST_SIDE
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.metrics.inception import load_network
from fish_jax.evaluation.real_images import RealImages, divide
from fish_jax.evaluation.references import LEAST_IMAGES
from fish_jax.evaluation.scores import Judgement
from fish_jax.utils.messages import printable
from fish_jax.utils.progress import ignore_begin
from fish_jax.utils.terminal import announce, stage_bars
from fish_jax.utils.validation import check, pair, shown, whole

# How images are brought to one size.
FORM: dict[str, Any] = {"fit": "stretch", "resample": "lanczos", "channels": 3}
Source = str | Path | Indexable
Size = tuple[int, int]


def score(
    real: Source,
    fake: Source,
    count: int = 0,
    intervals: bool = True,
    seed: int = 0,
    *,
    size: Size | None = None,
    inception: str | Path = "",
    resize: str = "clean",
    show_progress: bool = False,
) -> Judgement:
    """Scores generated images of any origin against real ones, as `evaluate` does for a run.

    The real images are divided into thirds, near-duplicates together. One third trains the feature
    encoder, generated images are compared with the second, and the third gives the baselines. 95
    real and 32 generated images are enough. Memorisation cannot be measured.

    Args:
      real: a folder, .zip or .npy of images, or the images themselves, as `load_images` accepts
        them. An `ImageSet`, which that returns, counts with its training images.
      fake: the generated images, likewise.
      count: images on each side; 0: all, at most 2,000. Where there are more
        generated images, a random choice is taken.
      intervals: whether to compute 95 % intervals over images of the same generator.
      seed: the seed of all random choices.
      size: (height, width) at which images are compared; None: the real images' size. Images of
        another size are stretched to it, by Lanczos' filter.
      inception, resize: as in `evaluate`.
      show_progress: whether to draw progress bars on stderr, and report there what was read.

    Returns:
      The scores, their baselines and the protocol.

    Raises:
      UserError: images that cannot be read, too few or too small ones, real images of different
        sizes where no size is given, or weights that cannot be used.
    """
    real, fake = (each.train if isinstance(each, ImageSet) else each for each in (real, fake))
    sides = {"real": real, "generated": fake}
    for name, images in sides.items():
        _check_source(name, images)
    network = load_network(inception, resize) if inception else None
    size = size or _common_size(real, fake)
    check("size", size, pair(whole(LEAST_SIDE)))
    found = {name: _read(name, images, size, show_progress) for name, images in sides.items()}
    count = _count(divide(found["real"], seed), found, count)
    generated = found["generated"].train
    if len(generated) > count:
        chosen = np.random.default_rng(seed).choice(len(generated), count, replace=False)
        generated = generated[np.sort(chosen)]
    config = {"data": {"path": found["real"].source, "cache": "", **FORM}}
    with stage_bars() if show_progress else contextlib.nullcontext(ignore_begin) as begin:
        references = read_references(config, found["real"], count, seed, network, begin)
        judgement = judge(references, generated, intervals, begin=begin, network=network)
    origins = "; ".join(_origin(name, given, found[name]) for name, given in sides.items())
    return judgement._replace(protocol=f"{judgement.protocol}; {printable(origins)}")


def parse_size(text: str) -> Size:
    """Parses the height and width of images: "140x320" gives (140, 320).

    Raises:
      UserError: anything else.
    """
    match = re.fullmatch(r"\s*(\d{1,5})\s*x\s*(\d{1,5})\s*", text)
    if not match:
        raise UserError(f"--size={text} is not HEIGHTxWIDTH in pixels; write it as 140x320")
    return int(match[1]), int(match[2])


def _check_source(name: str, images: Any) -> None:
    if images is None or (isinstance(images, str) and not images):
        raise UserError(
            f"the {name} images are {shown(images)}; give a folder, a .zip, a .npy or an array"
        )


def _common_size(real: Source, fake: Source) -> Size:
    """The size of all real images."""
    sizes = find_sizes(real)
    if len(sizes) > 1:
        texts = [f"{height} x {width}" for height, width in sizes]
        height, width = (find_sizes(fake) or [(140, 320)])[0]
        place = f" in {real}" if isinstance(real, (str, os.PathLike)) else ""
        raise UserError(
            f"the real images{place} have different sizes, such as {' and '.join(texts)} (height "
            "x width); choose one size for both sides, such as that of the generated images: "
            f"--size={height}x{width}, in Python size=({height}, {width})"
        )
    return sizes[0] if sizes else (LEAST_SIDE, LEAST_SIDE)  # reading them says what is wrong


def _read(name: str, images: Source, size: Size, show_progress: bool) -> ImageSet:
    """Reads one side."""
    loaded = load_images(images, *size, **FORM, show_progress=show_progress)
    if show_progress:
        lines = [f"{name}: {printable(loaded.source)}; {len(loaded.train):,} are used"]
        announce("\n".join([*lines, *remarks(loaded)]))
    return loaded


def _origin(name: str, given: Source, read: ImageSet) -> str:
    """Where the images of one side are from, and how those of an array are shown as RGB."""
    channels = given.shape[3] if isinstance(given, np.ndarray) and given.ndim == 4 else 3
    return ", ".join([f"{name}: {read.source}", *SHOWN.get(channels, ())])


def _count(parts: RealImages, found: dict[str, ImageSet], count: int) -> int:
    """The images on each side; as many as there are, up to 2,000, for 0."""
    needed, most = max(count, LEAST_IMAGES), min(np.sum(~parts.seen), len(parts.held_out))
    if count and count < LEAST_IMAGES:
        raise UserError(f"at least {LEAST_IMAGES} images on each side are needed, not {count}")
    if most < needed:
        images = found["real"]
        raise UserError(
            f"{images.source} gives {len(images.train):,} real images; a third of them trains the "
            f"feature encoder, which leaves {most} on each side, but {needed} are needed: give at "
            f"least {3 * needed - 1} without near-duplicates"
        )
    made = len(found["generated"].train)
    if made < needed:
        source = found["generated"].source
        raise UserError(f"{source} gives {made:,} generated images; at least {needed} are needed")
    return count or int(min(made, most, MOST_IMAGES))
