"""The images to train on: read from a folder, a zip or a .npy, or drawn; then cached and split."""

import hashlib
import inspect
import json
import os
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import PIL
from PIL import Image
from tqdm import tqdm

from fish_jax.data import image_files
from fish_jax.data.image_files import explain, printable
from fish_jax.data.near_duplicates import near_duplicates
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.utils.files import remove_partial, replacing
from fish_jax.utils.log import phase

_CACHE_FORMAT = 1  # One more whenever the same files would give other pixels.
_MOST_THREADS = 8
_SMALLEST_DRAWING = 16  # Pixels.
_LONGEST_HEADER = 65_535  # Bytes, of a .npy.


class ImageSet(NamedTuple):
    """Images of one size, split for good into those to train on and those held out."""

    train: np.ndarray  # uint8 [N, H, W, 3]; with nothing held out, mapped from disk.
    holdout: np.ndarray  # uint8 [M, H, W, 3], never trained on.
    train_names: tuple[str, ...]
    holdout_names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]  # (name, reason) of what could not be used.
    source: str  # What was read, in words.


class _Album(NamedTuple):
    """Everything that could be read, before the split: what the cache holds."""

    pictures: np.ndarray  # uint8 [N, H, W, 3]
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    is_final: bool = True  # False if a file could not be read, which may go better next time.


class _Request(NamedTuple):
    """How the images are to be made."""

    height: int
    width: int
    fit: str
    resample: str


def load_images(
    path: str,
    height: int,
    width: int,
    *,
    fit: str = "stretch",
    resample: str = "lanczos",
    include: str = "",
    holdout: float = 0.0,
    seed: int = 0,
    count: int = 4415,
    cache_dir: str = "",
    show_progress: bool = True,
) -> ImageSet:
    """Reads images and brings them to one size; a second call finds the result in the cache.

    Files that cannot be used are skipped and listed. The images are sorted by name. Whether one is
    held out depends on its name and the seed alone, so that new files do not move old ones; but
    near-duplicates stay together, on the side of the first of them.

    Args:
      path: a folder, searched with its subfolders, or a .zip, of JPEG, PNG, WebP, BMP, GIF or TIFF
        files; or a .npy, uint8 [N, H, W, 3] or [N, H, W]; or "" for drawn fish.
      height: pixels.
      width: pixels.
      fit: "stretch"; "crop", which cuts off what is too much; or "pad", which adds white.
      resample: "nearest", or with averaging "bilinear", "bicubic" or "lanczos".
      include: patterns such as "sash_*,rls_*", one of which the file name, or the path inside the
        folder or zip, must match; "" takes every file.
      holdout: the fraction to hold out, in [0, 1).
      seed: of the choice of the images held out, and of the drawn fish; >= 0.
      count: how many fish to draw.
      cache_dir: where to keep the result, by default in the user's cache folder.
      show_progress: whether to draw a progress bar on stderr.

    Raises:
      UserError: nothing there that could be used, or a value out of range.
    """
    request = _Request(height, width, fit, resample)
    _check(request, holdout, seed)
    cache_dir = cache_folder(cache_dir)
    path = os.path.expanduser(path)
    extension = os.path.splitext(path)[1].lower()
    if include and (not path or extension == ".npy"):
        raise UserError(f"include={include!r} picks files of a folder or a zip by name; clear it")
    if not path:
        album, source = _draw(count, seed, request, cache_dir, show_progress)
    elif not os.path.exists(path):
        raise UserError(f"{path} does not exist; give a folder, a .zip or a .npy of images")
    elif os.path.isdir(path) or extension == ".zip":
        album, source = _read_files(path, include, request, cache_dir, show_progress)
    elif extension == ".npy":
        album, source = _read_array(path, request, cache_dir, show_progress)
    else:
        raise UserError(f"{path} is neither a folder nor a .zip nor a .npy of images")
    return _split(album, holdout, seed, source)


def _check(request: _Request, holdout: float, seed: int) -> None:
    if request.height < 1 or request.width < 1:
        size = f"{request.height} x {request.width}"
        raise UserError(f"height and width must be at least 1 pixel, not {size}")
    if request.fit not in image_files.FITS:
        right = ", ".join(image_files.FITS)
        raise UserError(f"fit must be one of {right}, not {request.fit!r}")
    if request.resample not in image_files.RESAMPLES:
        right = ", ".join(image_files.RESAMPLES)
        raise UserError(f"resample must be one of {right}, not {request.resample!r}")
    if not 0 <= holdout < 1:
        raise UserError(f"holdout must be a fraction of at least 0 and below 1, not {holdout}")
    if seed < 0:
        raise UserError(f"seed must be at least 0, not {seed}")


def _check_memory(count: int, request: _Request) -> None:
    """Refuses, before anything is decoded, what could not be held."""
    needed = count * request.height * request.width * 3
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > there:
        raise UserError(
            f"out of memory: {count:,} images of {request.height} x {request.width} pixels take "
            f"{needed / 1e9:,.0f} GB, and this machine has {there / 1e9:.0f} GB; choose fewer "
            "images or a smaller height and width"
        )


# The three kinds of source.


def _draw(
    count: int, seed: int, request: _Request, cache_dir: str, show_progress: bool
) -> tuple[_Album, str]:
    height, width = request.height, request.width
    if count < 1:
        raise UserError(f"count must be at least 1 fish, not {count}")
    _check_memory(count, request)
    if min(height, width) < _SMALLEST_DRAWING:
        right = f"at least {_SMALLEST_DRAWING} pixels"
        raise UserError(f"drawn fish need a height and a width of {right}, not {height} x {width}")

    def draw() -> _Album:
        with (
            phase(f"drawing {count} fish"),
            _progress(count, "drawing fish", show_progress) as bar,
        ):
            school = drawing.draw_school(count, height, width, seed, on_progress=bar.update)
        return _Album(school, tuple(f"fish_{index:06d}" for index in range(count)))

    key = ["drawn", count, seed, height, width, inspect.getsource(drawing)]
    album = _cached(cache_dir, key, height, width, draw)
    return album, f"{count:,} drawn fish, seed {seed}"


def _read_files(
    path: str, include: str, request: _Request, cache_dir: str, show_progress: bool
) -> tuple[_Album, str]:
    with image_files.open_files(path) as files:
        total = _plural(len(files.entries), "image file")
        if not files.entries:
            right = " ".join(image_files.EXTENSIONS)
            raise UserError(f"{path} holds no image file; those looked for end in {right}")
        entries = image_files.choose_entries(files.entries, include)
        if not entries:
            examples = " and ".join(printable(entry.name) for entry in files.entries[:2])
            raise UserError(
                f"include={include!r} matches none of the {total} in {path}, such as {examples}"
            )
        faulty = tuple((entry.name, entry.fault) for entry in entries if entry.fault)
        sound = [entry for entry in entries if not entry.fault]

        def read(index: int) -> np.ndarray:
            with image_files.room_for_bytes(sound[index].size):
                return image_files.decode(files.read(sound[index]), *request)

        def decode() -> _Album:
            names = tuple(entry.name for entry in sound)
            album = _decode_all(names, read, request, show_progress)
            if not album.names:
                name, reason = min(album.skipped + faulty)
                name = printable(name)
                raise UserError(f"{path} holds no image that can be read; {name}: {reason}")
            return album

        identity = [(entry.name, entry.size, entry.stamp) for entry in sound]
        key = ["files", os.path.realpath(path), include, request, identity]
        album = _cached(cache_dir, key, request.height, request.width, decode)
    album = album._replace(skipped=tuple(sorted(album.skipped + faulty)))
    source = f"{'folder' if os.path.isdir(path) else 'zip'} {path}: {total}"
    if include:
        source += f", of which include={include!r} picks {len(entries):,}"
    if files.ignored:
        source += f"; {_plural(files.ignored, 'other file')} ignored"
    return album, source


def _map_array(path: str) -> np.memmap:
    """Maps the array of a .npy file from disk; whatever is in it, none of it is executed."""
    image_files.check_regular(path)
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        # NumPy reads a long header whole before it refuses it. In version 1 none is long.
        if version[0] > 1 and int.from_bytes(file.read(4), "little") > _LONGEST_HEADER:
            raise ValueError("its header is too long")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about odd headers.
        return np.lib.format.open_memmap(path, mode="r")


def _open_array(path: str) -> np.memmap:
    right = "a uint8 array of shape [N, H, W, 3], or [N, H, W] for greys"
    try:
        array = _map_array(path)
    except Exception as error:  # A damaged header raises many kinds of error.
        reason = explain(error)
        raise UserError(f"{path} must hold {right}, but cannot be read: {reason}") from error
    colour = array.ndim == 4 and array.shape[3] == 3
    grey = array.ndim == 3 and array.shape[2] != 3  # [H, W, 3] would be a single image.
    if array.dtype != np.uint8 or not (colour or grey) or array.size == 0:
        kind = printable(str(array.dtype))[:100]
        raise UserError(f"{path} must hold {right}, not {kind} {list(array.shape)}")
    if array.shape[1] * array.shape[2] > image_files.MOST_PIXELS:
        too_many = f"more than {image_files.MOST_PIXELS:,} pixels"
        raise UserError(f"{path} holds images of {too_many}: uint8 {list(array.shape)}")
    return array


def _read_array(
    path: str, request: _Request, cache_dir: str, show_progress: bool
) -> tuple[_Album, str]:
    array = _open_array(path)
    is_ready = array.shape[1:] == (request.height, request.width, 3)
    if not is_ready:
        _check_memory(len(array), request)
    names = tuple(f"{index:06d}" for index in range(len(array)))
    source = f"array {path}: uint8 {list(array.shape)}"
    if is_ready:
        return _Album(array, names), source

    def fit(index: int) -> np.ndarray:
        image = Image.fromarray(np.ascontiguousarray(array[index])).convert("RGB")
        return np.asarray(image_files.fit_image(image, *request))

    def fit_all() -> _Album:
        return _decode_all(names, fit, request, show_progress)

    status = os.stat(path)
    key = ["array", os.path.realpath(path), request, status.st_size, status.st_mtime_ns]
    return _cached(cache_dir, key, request.height, request.width, fit_all), source


# Decoding in parallel.


def _progress(total: int, description: str, show: bool) -> tqdm:
    return tqdm(total=total, desc=description, unit=" images", file=sys.stderr, disable=not show)


def _decode_all(
    names: tuple[str, ...],
    decode: Callable[[int], np.ndarray],
    request: _Request,
    show_progress: bool,
) -> _Album:
    """Collects the images decode(0), decode(1), ..., in this order, less those that fail."""
    _check_memory(len(names), request)
    pictures = np.empty((len(names), request.height, request.width, 3), np.uint8)
    unread = []

    def store(index: int) -> str:
        try:
            pictures[index] = decode(index)
        except Exception as error:  # Whatever is wrong with one file must not end the run.
            numbered = isinstance(error, OSError) and error.errno  # Pillow does not number its own.
            if numbered or isinstance(error, MemoryError):
                unread.append(names[index])
            return explain(error)  # The error itself would keep the image in memory.
        return ""

    reasons = []
    threads = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    with (
        phase(f"decoding {len(names)} images"),
        image_files.quiet_pillow(),
        _progress(len(names), "decoding", show_progress) as bar,
    ):
        try:
            for reason in threads.map(store, range(len(names))):
                reasons.append(reason)
                bar.update()
        finally:  # Also when interrupted: nothing more is started.
            threads.shutdown(cancel_futures=True)
    kept = [index for index, reason in enumerate(reasons) if not reason]
    for target, origin in enumerate(kept):
        if target != origin:
            pictures[target] = pictures[origin]
    return _Album(
        pictures[: len(kept)],
        tuple(names[index] for index in kept),
        tuple((name, reason) for name, reason in zip(names, reasons, strict=True) if reason),
        is_final=not unread,
    )


# The cache: a .npy of the pictures, which is mapped, and a .json of their names.


def cache_folder(given: str = "") -> str:
    """Where what was computed of images is kept: a given folder, or one of the user's caches."""
    if given:
        return os.path.expanduser(given)
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(caches, "fish_jax")


def _cached(folder: str, key: list, height: int, width: int, build: Callable[[], _Album]) -> _Album:
    """Finds the album of this key in the folder, or builds it and leaves it there."""
    identity = json.dumps([_CACHE_FORMAT, PIL.__version__, *key])
    stem = os.path.join(folder, hashlib.sha256(identity.encode()).hexdigest()[:32])
    album = _load_album(stem, height, width)
    if album is not None:
        return album
    album = build()
    if not album.is_final:
        return album
    try:
        os.makedirs(folder, exist_ok=True)
        remove_partial(Path(folder), r"[0-9a-f]{32}\.\w+")
        with phase(f"writing the cache {stem}"):
            _save_album(stem, album)
    except OSError as error:
        reason = explain(error)
        print(f"warning: the images are not cached in {folder}: {reason}", file=sys.stderr)
        return album
    return _load_album(stem, height, width) or album


def _seal(album: _Album) -> str:
    """Sums up an album, to notice damage."""
    content = json.dumps([album.names, album.skipped, digest(album.pictures)])
    return hashlib.sha256(content.encode()).hexdigest()


def _load_album(stem: str, height: int, width: int) -> _Album | None:
    try:
        pictures = _map_array(f"{stem}.npy")
        image_files.check_regular(f"{stem}.json")
        with open(f"{stem}.json", encoding="utf-8") as file:
            listing = json.load(file)
        skipped = tuple((name, reason) for name, reason in listing["skipped"])
        album = _Album(pictures, tuple(listing["names"]), skipped)
        fits = pictures.shape == (len(album.names), height, width, 3) and pictures.dtype == np.uint8
        return album if fits and _seal(album) == listing["seal"] else None
    except Exception:  # Missing or damaged, in whatever way: it is built anew.
        return None


def _save_album(stem: str, album: _Album) -> None:
    listing = {"names": album.names, "skipped": album.skipped, "seal": _seal(album)}
    with replacing(f"{stem}.npy") as file:
        # By its writing alone: of a file that it knows, NumPy does not say why writing failed.
        np.save(SimpleNamespace(write=file.write), album.pictures)
    with replacing(f"{stem}.json") as file:
        file.write(json.dumps(listing).encode())


# The split, and what is said about it.


def _is_held_out(name: str, holdout: float, seed: int) -> bool:
    text = f"{seed}/{name}".encode(errors="backslashreplace")
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64 < holdout


def _split(album: _Album, holdout: float, seed: int, source: str) -> ImageSet:
    pictures, names, skipped, _ = album
    if holdout == 0:
        return ImageSet(pictures, pictures[:0], names, (), skipped, source)
    leaders = near_duplicates(pictures)
    held_out = np.array([_is_held_out(names[leader], holdout, seed) for leader in leaders])
    if held_out.all():
        few = _plural(len(names), "image")
        raise UserError(f"holdout={holdout} leaves none of {few} to train on; give a smaller one")
    return ImageSet(
        pictures[~held_out],
        pictures[held_out],
        tuple(name for name, out in zip(names, held_out, strict=True) if not out),
        tuple(name for name, out in zip(names, held_out, strict=True) if out),
        skipped,
        source,
    )


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def report(images: ImageSet) -> str:
    """Says in some lines what was read, what is held out, and what was skipped and why."""
    _, height, width, _ = images.train.shape
    lines = [
        f"images: {printable(images.source)}",
        f"{len(images.train):,} to train on, {len(images.holdout):,} held out, "
        f"each {height} x {width} pixels (height x width)",
    ]
    if images.skipped:
        lines.append(f"{_plural(len(images.skipped), 'file')} skipped:")
    lines += [f"  {printable(name)}: {printable(reason)}" for name, reason in images.skipped]
    return "\n".join(lines)


def digest(array: np.ndarray) -> str:
    """Sums up the shape, type and content of an array, to notice that data have changed.

    Args:
      array: at least one axis; read a part at a time, so that it may be mapped from disk.

    Returns:
      Eight hexadecimal digits; equal arrays give equal ones. It is no proof against intent.
    """
    checksum = zlib.crc32(repr((array.dtype.str, array.shape)).encode())
    for start in range(0, len(array), 64):
        checksum = zlib.crc32(np.ascontiguousarray(array[start : start + 64]), checksum)
    return f"{checksum:08x}"
