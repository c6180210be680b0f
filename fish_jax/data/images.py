"""Images to train on: read from a folder, zip or .npy, or drawn; then cached and split."""

import hashlib
import itertools
import os
from typing import NamedTuple, cast

import numpy as np

from fish_jax.data import decoding
from fish_jax.data.cache import Album, cache_folder
from fish_jax.data.image_files import read_file
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.data.sources import (
    Indexable,
    Request,
    array_sizes,
    draw_images,
    file_sizes,
    read_array,
    read_files,
    read_sequence,
    sequence_sizes,
)
from fish_jax.errors import UserError
from fish_jax.utils.messages import explain, plural, printable
from fish_jax.utils.paths import composed, expand
from fish_jax.utils.validation import Kind, check, choice


class ImageSet(NamedTuple):
    """Images of one size, split into those to train on and those held out.

    Attributes:
      train: uint8 [N, H, W, C]; with nothing held out, mapped from disk.
      holdout: uint8 [M, H, W, C], never trained on.
      train_names: one for each image.
      holdout_names: one for each image.
      skipped: (name, reason) of each file that could not be used.
      source: what was read, in words.
      notes: (name, note) of each image that a person should look at, such as one of one colour.
    """

    train: np.ndarray
    holdout: np.ndarray
    train_names: tuple[str, ...]
    holdout_names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    source: str
    notes: tuple[tuple[str, str], ...] = ()


def load_images(
    path: str | os.PathLike[str] | Indexable,
    height: int,
    width: int,
    *,
    fit: str = "stretch",
    resample: str = "lanczos",
    channels: int = 3,
    include: str = "",
    holdout: float = 0.0,
    seed: int = 0,
    count: int = 4415,
    cache_dir: str = "",
    show_progress: bool = False,
) -> ImageSet:
    """Reads images and brings them to one size; a second call finds the result in the cache.

    Files that cannot be used are skipped and listed. The images are sorted by name. Whether one is
    held out depends on its name and the seed alone, so that new files do not move old ones; but
    near-duplicates stay together, on the side of the first of them.

    Args:
      path: a folder, searched with its subfolders, or a .zip, of JPEG, PNG, WebP, BMP, GIF or TIFF
        files; or a .npy, uint8 [N, H, W, C] or [N, H, W]; "" for drawn fish; or the images
        themselves: anything that has a length and, at each index, a PIL image or a uint8 array,
        [H, W] or [H, W, C].
      height: pixels.
      width: pixels.
      fit: "stretch"; "crop", which cuts off what is too much; or "pad", which adds white.
      resample: "nearest", or with averaging "bilinear", "bicubic" or "lanczos".
      channels: 1 for grey; 3 for RGB; or 4 for RGB and straight alpha, with white where it is 0.
      include: patterns such as "sash_*,rls_*", one of which the file name, or the path inside the
        folder or zip, must match; "" takes every file.
      holdout: the fraction to hold out, in [0, 1).
      seed: the seed of the choice of the images held out, and of the drawn fish; >= 0.
      count: how many fish to draw.
      cache_dir: where to keep the result, by default in the user's cache folder.
      show_progress: whether to draw a progress bar on stderr.

    Raises:
      UserError: no usable image, or a value out of range.
    """
    request = Request(
        height, width, fit, resample, channels, cache_folder(cache_dir), show_progress
    )
    _check(request, holdout, seed)
    place = expand(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else None
    if include and (not place or _extension(place) == ".npy"):
        raise UserError(f"include={include!r} selects files of a folder or a zip; clear it")
    if place is None:
        album, source = read_sequence(cast(Indexable, path), request)
    elif not place:
        album, source = draw_images(count, seed, request)
    elif _is_array(place):
        album, source = read_array(place, request)
    else:
        album, source = read_files(place, include, request)
    return _split(album, holdout, seed, source)


def find_sizes(path: str | os.PathLike[str] | Indexable) -> list[tuple[int, int]]:
    """Finds out whether all images of a source have one size.

    Args:
      path: a folder, a .zip, a .npy or a sequence, as of `load_images`.

    Returns:
      The first (height, width), in pixels, and the first other one if there is one; [] where no
      image can be read.

    Raises:
      UserError: the source holds no images.
    """
    if not isinstance(path, (str, os.PathLike)):
        return sequence_sizes(path)
    place = expand(os.fspath(path))
    return array_sizes(place) if _is_array(place) else file_sizes(place)


def _extension(path: str) -> str:
    return os.path.splitext(path)[1].lower()


def _is_array(path: str) -> bool:
    """Whether a source is a .npy, and not a folder or a zip; raises a UserError for any other."""
    if not os.path.exists(path):
        raise UserError(f"{path} does not exist; give a folder, a .zip or a .npy of images")
    if os.path.isdir(path) or _extension(path) == ".zip":
        return False
    if _extension(path) != ".npy":
        raise UserError(f"{path} is not a folder, a .zip or a .npy of images")
    return True


def load_image(
    path: str,
    height: int,
    width: int,
    *,
    fit: str = "stretch",
    resample: str = "lanczos",
    channels: int = 3,
) -> np.ndarray:
    """Reads one image file as `load_images` reads many, uint8 [height, width, channels].

    Raises:
      UserError: it cannot be used.
    """
    try:
        with decoding.quiet_pillow():
            return decoding.decode(read_file(path), height, width, fit, resample, channels).pixels
    except Exception as error:  # A damaged file raises many kinds of error.
        raise UserError(f"{path} cannot be used as an image: {explain(error)}") from None


def _check(request: Request, holdout: float, seed: int) -> None:
    if request.height < 1 or request.width < 1:
        size = f"{request.height} x {request.width}"
        raise UserError(f"height and width must be at least 1 pixel, not {size}")
    check("fit", request.fit, choice(decoding.FITS))
    check("resample", request.resample, choice(decoding.RESAMPLES))
    check("channels", request.channels, decoding.CHANNELS)
    share = Kind("a fraction of at least 0 and below 1", lambda value: 0 <= value < 1)
    check("holdout", holdout, share)
    check("seed", seed, Kind("at least 0", lambda value: value >= 0))


def _is_held_out(name: str, holdout: float, seed: int) -> bool:
    text = f"{seed}/{composed(name)}".encode(errors="backslashreplace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64 < holdout


def _split(album: Album, holdout: float, seed: int, source: str) -> ImageSet:
    pictures, names, skipped, _, notes = album
    if holdout == 0:
        return ImageSet(pictures, pictures[:0], names, (), skipped, source, notes)
    leaders = near_duplicates(pictures)
    held_out = np.array([_is_held_out(names[leader], holdout, seed) for leader in leaders])
    if held_out.all():
        few = plural(len(names), "image")
        raise UserError(
            f"holdout={holdout} leaves none of {few} to train on; choose a smaller holdout"
        )
    train_names, test_names = (
        tuple(itertools.compress(names, side)) for side in (~held_out, held_out)
    )
    train, test = pictures[~held_out], pictures[held_out]
    return ImageSet(train, test, train_names, test_names, skipped, source, notes)


def report(images: ImageSet) -> str:
    """Describes in a few lines the images that were read, held out and skipped, with notes."""
    _, height, width, channels = images.train.shape
    kind = {1: ", grey", 4: ", with alpha"}.get(channels, "")
    lines = [
        f"images: {printable(images.source)}",
        f"{len(images.train):,} to train on, {len(images.holdout):,} held out, "
        f"each {height} x {width} pixels (height x width){kind}",
    ]
    return "\n".join([*lines, *remarks(images)])


def remarks(images: ImageSet) -> list[str]:
    """Lists skipped files, and notes on images that a person should check."""
    lines = []
    if images.skipped:
        lines.append(f"{plural(len(images.skipped), 'file')} skipped:")
    lines += [f"  {printable(name)}: {printable(reason)}" for name, reason in images.skipped]
    named: dict[str, list[str]] = {}
    for name, note in images.notes:
        named.setdefault(note, []).append(printable(name))
    for note, names in named.items():
        some = " and ".join(names[:2]) if len(names) < 3 else f"{names[0]}, {names[1]}, ..."
        lines.append(f"{plural(len(names), 'image')} {note}: {some}")
    return lines
