"""The sources of images: drawn fish, a folder or zip of files, a .npy, or a caller's sequence."""

import contextlib
import math
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import psutil
from PIL import Image
from tqdm import tqdm

from fish_jax.data import decoding, image_files
from fish_jax.data.array_file import ArrayFile, open_array
from fish_jax.data.cache import Album, Shape, cached
from fish_jax.data.frames import Frame
from fish_jax.data.selection import choose_entries
from fish_jax.data.synthetic import drawing
from fish_jax.errors import UserError
from fish_jax.utils.log import phase
from fish_jax.utils.messages import explain, plural, printable

_MOST_THREADS = 8
_SMALLEST_DRAWING = 16  # Pixels.
_KINDS = 6  # Extensions of ignored files that are named.
_ITEM = "a PIL image or a uint8 array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]"
_ARRAY = "a uint8 array of shape [N, H, W, C] with 1, 3 or 4 channels, or [N, H, W] for greys"


class Indexable(Protocol):
    """A sequence of images: nothing of it is used but its length and an item at each index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Request(NamedTuple):
    """The wanted form of images and how to read them; see `images.load_images`."""

    height: int
    width: int
    fit: str
    resample: str
    channels: int
    cache_dir: str
    show_progress: bool

    @property
    def form(self) -> tuple[int, int, str, str, int]:
        """The settings that decide the pixels of an image, besides the file's content."""
        return self.height, self.width, self.fit, self.resample, self.channels

    @property
    def shape(self) -> Shape:
        """Of an image: height, width and channels."""
        return self.height, self.width, self.channels


def check_memory(count: int, request: Request) -> None:
    """Checks, before anything is decoded, that the images fit into this machine's memory.

    Raises:
      UserError: they do not.
    """
    needed = count * math.prod(request.shape)
    there = psutil.virtual_memory().total
    if needed > there:
        raise UserError(
            f"out of memory: {count:,} images of {request.height} x {request.width} pixels need "
            f"{needed / 1e9:,.0f} GB, but this machine has {there / 1e9:.0f} GB; use fewer images "
            "or a smaller height and width"
        )


def draw_images(count: int, seed: int, request: Request) -> tuple[Album, str]:
    """Draws fish, or reads them from the cache.

    Args:
      count: number of fish.
      seed: the seed of the data set.
      request: size and channels; `fit` and `resample` do not matter.

    Returns:
      The fish, and their source in words.

    Raises:
      UserError: no fish, too many, or too small ones.
    """
    height, width = request.height, request.width
    if count < 1:
        raise UserError(f"count must be at least 1 fish, not {count}")
    check_memory(count, request)
    if min(height, width) < _SMALLEST_DRAWING:
        right = f"at least {_SMALLEST_DRAWING} pixels"
        raise UserError(f"drawn fish need a height and a width of {right}, not {height} x {width}")

    def draw() -> Album:
        with phase(f"drawing {count} fish"), _progress(count, "drawing fish", request) as bar:
            school = drawing.draw_school(count, height, width, seed, on_progress=bar.update)
        return Album(school, tuple(f"fish_{index:06d}" for index in range(count)))

    key = ["drawn", count, seed, height, width, drawing.VERSION]
    album = cached(request.cache_dir, key, (height, width, 3), draw)
    if request.channels != 3:
        album = album._replace(pictures=np.stack([_convert(x, request) for x in album.pictures]))
    return album, f"{count:,} drawn fish, seed {seed}"


def read_files(path: str, include: str, request: Request) -> tuple[Album, str]:
    """Decodes the image files of a folder or zip, or reads them from the cache.

    Args:
      path: the path of the folder or zip.
      include: patterns that choose files; see `selection.choose_entries`.
      request: size, filter and cache.

    Returns:
      The images with the files that were skipped, and their source in words.

    Raises:
      UserError: no file that can be used, or too many for the memory.
    """
    with image_files.open_files(path) as files:
        total = plural(len(files.entries), "image file")
        if not files.entries:
            right = " ".join(image_files.EXTENSIONS)
            others = f"; {_ignored(files.ignored)}" if files.ignored else ""
            raise UserError(f"{path} holds no image file; supported extensions are {right}{others}")
        entries, notes = choose_entries(files.entries, include)
        if not entries:
            examples = " and ".join(printable(entry.name) for entry in files.entries[:2])
            told = "; ".join([f"such as {examples}", *(note for note in notes if ":" in note)])
            raise UserError(f"include={include!r} matches none of the {total} in {path}, {told}")
        faulty = tuple((entry.name, entry.fault) for entry in entries if entry.fault)
        sound = [entry for entry in entries if not entry.fault]

        def read(index: int) -> decoding.Decoded:
            with image_files.room_for_bytes(sound[index].size):
                return decoding.decode(files.read(sound[index]), *request.form)

        def decode() -> Album:
            album = _read_all([entry.name for entry in sound], read, request)
            if not album.names:
                name, reason = min(album.skipped + faulty)
                name = printable(name)
                raise UserError(f"{path} holds no readable image; {name}: {reason}")
            return album

        identity = [(entry.name, entry.size, entry.stamp) for entry in sound]
        key = ["files", os.path.realpath(path), include, request.form, identity]
        album = cached(request.cache_dir, key, request.shape, decode)
    album = album._replace(skipped=tuple(sorted(album.skipped + faulty)))
    source = f"{'folder' if os.path.isdir(path) else 'zip'} {path}: {total}"
    if include:
        picks = f"of which include={include!r} picks {len(entries):,}"
        source = "; ".join([f"{source}, {picks}", *notes])
    if files.ignored:
        source += f"; {_ignored(files.ignored)}"
    return album, source


def file_sizes(path: str) -> list[tuple[int, int]]:
    """The first one or two (height, width) that image files of a folder or zip have."""
    found: dict[tuple[int, int], None] = {}
    with image_files.open_files(path) as files, decoding.quiet_pillow():
        for entry in files.entries:
            # Whatever is wrong with one file is said when all are read.
            with contextlib.suppress(Exception):
                if not entry.fault:
                    found.setdefault(decoding.size_of(files.read(entry)))
            if len(found) > 1:
                break
    return list(found)


def _ignored(extensions: Counter[str]) -> str:
    """Counts the files that are not read, such as "9 other files ignored: 8 .heic, 1 .txt"."""
    most = extensions.most_common(_KINDS)
    counts = [f"{number:,} {printable(kind) or 'without extension'}" for kind, number in most]
    rest = extensions.total() - sum(number for _, number in most)
    counts += [f"{rest:,} of other kinds"] if rest else []
    return f"{plural(extensions.total(), 'other file')} ignored: {', '.join(counts)}"


def _check_array(path: str, array: ArrayFile) -> None:
    """Refuses arrays that are not images: uint8 [N, H, W, C] or [N, H, W]."""
    shape = list(array.shape)
    colour = len(shape) == 4 and shape[3] in decoding.MODES
    grey = len(shape) == 3 and shape[2] not in decoding.MODES  # [H, W, 3] is a single image.
    if array.dtype != np.uint8 or not (colour or grey) or array.size == 0:
        kind = printable(str(array.dtype))[:100]
        raise UserError(f"{path} must hold {_ARRAY}, not {kind} {shape}")
    if shape[1] * shape[2] > decoding.MOST_PIXELS:
        too_many = f"more than {decoding.MOST_PIXELS:,} pixels"
        raise UserError(f"{path} holds images of {too_many}: uint8 {shape}")


def array_sizes(path: str) -> list[tuple[int, int]]:
    """The (height, width) of the images in a .npy file; [] where it holds none."""
    with contextlib.suppress(Exception), open_array(path) as array:
        _check_array(path, array)
        return [(array.shape[1], array.shape[2])]
    return []


def _is_ready(array: np.ndarray | ArrayFile, request: Request) -> bool:
    """Whether an array can be used unchanged; colours hidden by alpha must be changed."""
    is_alike = array.dtype == np.uint8 and array.shape[1:] == request.shape
    return is_alike and request.channels != 4


def _convert(image: np.ndarray, request: Request) -> np.ndarray:
    """Brings one image of an array, [H, W, C] or [H, W], to the form of a request."""
    greys = image.ndim == 3 and image.shape[2] == 1
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if greys else image))
    return decoding.convert(Frame(picture), *request.form).pixels


def read_array(path: str, request: Request) -> tuple[Album, str]:
    """Copies a .npy file of images into the cache, resized if necessary.

    Args:
      path: the path of the file.
      request: size, filter and cache.

    Returns:
      The images, and their source in words.

    Raises:
      UserError: no such array, one that changes meanwhile, or too many images for the memory.
    """
    with contextlib.ExitStack() as stack:
        try:
            array = stack.enter_context(open_array(path))
        except Exception as error:  # A damaged header raises many kinds of error.
            reason = explain(error)
            raise UserError(f"{path} must hold {_ARRAY}, but cannot be read: {reason}") from error
        _check_array(path, array)
        is_ready = _is_ready(array, request)
        if not is_ready or array.is_fortran:
            check_memory(len(array), request)
        names = _numbered(len(array))

        def fit(index: int) -> decoding.Decoded:
            return decoding.Decoded(_convert(array[index : index + 1][0], request))

        def build() -> Album:
            if is_ready:
                return Album(cast(np.ndarray, array), names)
            return _read_all(names, fit, request)

        key = ["array", os.path.realpath(path), request.form, *array.stamp]
        try:
            album = cached(request.cache_dir, key, request.shape, build)
            if album.pictures is array:  # not kept
                check_memory(len(array), request)
                album = album._replace(pictures=array[:])
            array.check_unchanged()
        except OSError as error:
            raise UserError(
                f"{path} cannot be used: {explain(error)}; run the command again"
            ) from None
    return album, f"array {path}: uint8 {list(array.shape)}"


def read_sequence(images: Indexable, request: Request) -> tuple[Album, str]:
    """Reads images that a caller of this package holds; they are not kept in the cache.

    Args:
      images: PIL images or uint8 arrays, [H, W] or [H, W, C], of any sizes; the items are asked for
        one after the other, from several threads. A uint8 array [N, H, W, C] of the form that is
        requested is used as it is, not copied.
      request: size, filter and channels.

    Returns:
      The images with those that were skipped, and their source in words.

    Raises:
      UserError: no sequence, none that can be read, or too many for the memory.
    """
    count = _count(images)
    names, source = _numbered(count), f"{plural(count, 'image')} given from Python"
    if isinstance(images, np.ndarray) and count and _is_ready(images, request):
        return Album(images, names), source
    one_reads = threading.Lock()  # Many sequences cannot be read by several threads at once.

    def read(index: int) -> decoding.Decoded:
        with one_reads:
            item = images[index]
        if isinstance(item, Image.Image):
            return decoding.convert(Frame(item), *request.form)
        return decoding.Decoded(_convert(_checked(item), request))

    album = _read_all(names, read, request)
    if not album.names:
        if not count:
            raise UserError("images is empty; pass at least one image")
        none = "the image cannot" if count == 1 else f"none of the {count:,} images can"
        first = "" if count == 1 else " the first:"
        raise UserError(f"{none} be used:{first} {album.skipped[0][1]}")
    return album, source


def sequence_sizes(images: Indexable) -> list[tuple[int, int]]:
    """The first one or two (height, width) that a caller's images have."""
    found: dict[tuple[int, int], None] = {}
    for index in range(_count(images)):
        item = images[index]
        size = item.size[::-1] if isinstance(item, Image.Image) else np.shape(item)[:2]
        if len(size) == 2:
            found[size] = None
        if len(found) > 1 or isinstance(images, np.ndarray):  # whose items have one size
            break
    return list(found)


def _count(images: Indexable) -> int:
    """The length of a sequence; refuses anything else."""
    try:
        if not isinstance(images, Mapping):
            return len(images)
    except TypeError:  # So says what has none, such as a generator.
        pass
    kind = type(images).__name__
    right = "pass a sequence, with a length and an item at each index"
    raise UserError(f"images has the type {kind}; {right}")


def _checked(item: Any) -> np.ndarray:
    """An item that is no PIL image as an array; raises ValueError where it is no image at all."""
    if isinstance(item, Mapping):
        fields = ", ".join(map(str, item))
        raise ValueError(
            f"a row with the fields {fields}, not an image: pass only its image column"
        )
    image = np.asarray(item)
    greys = image.ndim == 2 and image.shape[1] not in decoding.MODES
    colours = image.ndim == 3 and image.shape[2] in decoding.MODES
    if image.dtype != np.uint8 or not (greys or colours) or not image.size:
        raise ValueError(f"{image.dtype} {list(image.shape)}, not {_ITEM}")
    return image


def _numbered(count: int) -> tuple[str, ...]:
    """Names for images that have none."""
    return tuple(f"{index:06d}" for index in range(count))


def _progress(total: int, task: str, request: Request, results: Iterable | None = None) -> tqdm:
    hidden = not request.show_progress
    return tqdm(results, task, total, unit=" images", file=sys.stderr, disable=hidden)


def _read_all(
    names: Sequence[str], read: Callable[[int], decoding.Decoded], request: Request
) -> Album:
    """Reads images in parallel: read(0), read(1), ..., in order, less those that fail."""
    check_memory(len(names), request)
    pictures = np.empty((len(names), *request.shape), np.uint8)
    notes: list[tuple[str, ...]] = [()] * len(names)
    unread = []

    def store(index: int) -> str:
        try:
            pictures[index], notes[index] = read(index)
        except Exception as error:  # Whatever is wrong with one file must not end the run.
            numbered = isinstance(error, OSError) and error.errno  # Pillow does not number its own.
            if numbered or isinstance(error, MemoryError):
                unread.append(names[index])
            return explain(error)  # The error itself would keep the image in memory.
        return ""

    threads = ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1))
    task = phase(f"decoding {len(names)} images")
    with task, decoding.quiet_pillow(), contextlib.ExitStack() as stack:
        stack.callback(threads.shutdown, cancel_futures=True)  # Starts nothing more if interrupted.
        results = threads.map(store, range(len(names)))
        reasons = list(_progress(len(names), "decoding", request, results))
    kept = [index for index, reason in enumerate(reasons) if not reason]
    for target, origin in enumerate(kept):
        if target != origin:
            pictures[target] = pictures[origin]
    skipped = tuple((name, reason) for name, reason in zip(names, reasons, strict=True) if reason)
    used = tuple(names[index] for index in kept)
    told = tuple((names[index], note) for index in kept for note in notes[index])
    return Album(pictures[: len(kept)], used, skipped, not unread, told)
