"""Image files: find them in a folder or a zip, and turn one into uint8 RGB of a given size."""

import contextlib
import ctypes
import errno
import fnmatch
import io
import itertools
import logging
import os
import pathlib
import stat
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from fish_jax.data.limits import MeteredBytes, check_scans, make_room
from fish_jax.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
# What a file holds counts, not its extension; other formats, some run by outside programs, do not.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FITS = ("stretch", "crop", "pad")
RESAMPLES = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
PAD_COLOUR = "white"

SHORTEST_SIDE = 16  # Pixels; less is a thumbnail of nothing.
# Lower than the limit of Pillow, which warns beyond it, and refuses only twice as many.
MOST_PIXELS = 80_000_000
MOST_BYTES = 200_000_000  # Of one file, unpacked.
_TOO_MANY_PIXELS = f"more than {MOST_PIXELS // 10**6} million pixels"
_MOST_EXIF = 1_000_000  # Bytes; parsing more could take minutes.
_STRIPE = 1 << 20  # Pixels converted at a time.
_PIECE = 4096  # Bytes unpacked at a time; some methods take as many packed ones instead.
# What all threads together may hold: bytes of files, and pixels, which take about 10 bytes each.
room_for_bytes = make_room(MOST_BYTES)
_room_for_pixels = make_room(2 * MOST_PIXELS)
_one_waits = threading.Lock()  # Metadata, too, take memory, and that before the pixels are known.

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Entry(NamedTuple):
    """A file with the extension of an image."""

    name: str  # Relative to the folder or zip, with "/" between the parts.
    size: int  # Bytes, unpacked.
    stamp: int  # Changes with the content: the time of the last change, or in a zip the checksum.
    fault: str  # Why it cannot be used, as far as that shows without reading it, or "".
    origin: Any  # What `Files.read` needs to read it.


class Files(NamedTuple):
    """What a folder or a zip holds."""

    entries: tuple[Entry, ...]  # Sorted by name.
    ignored: int  # How many files have another extension.
    read: Callable[[Entry], bytes]  # May be called from several threads.


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and name not in (".", "..") or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _size_fault(size: int) -> str:
    if size == 0:
        return "empty file"
    return f"larger than {MOST_BYTES // 10**6} MB" if size > MOST_BYTES else ""


def _examine(file: str, name: str) -> Entry:
    try:
        status = os.stat(file)
    except OSError as error:
        return Entry(name, 0, 0, explain(error), file)
    if not stat.S_ISREG(status.st_mode):  # Opening a pipe would wait for ever.
        fault = "not a regular file"
    elif not os.access(file, os.R_OK):
        fault = "permission denied"
    else:
        fault = _size_fault(status.st_size)
    return Entry(name, status.st_size, status.st_mtime_ns, fault, file)


def _by_name(entries: list[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda entry: entry.name))


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _is_folder(item: os.DirEntry) -> bool:
    try:
        return item.is_dir()
    except OSError:  # Such as a link to itself.
        return False


def _read_unchanged(entry: Entry) -> bytes:
    """Reads a file that since it was listed may have become another, even a pipe."""
    at_once = lambda file, flags: os.open(file, flags | os.O_NONBLOCK)
    with open(entry.origin, "rb", opener=at_once) as file:
        data = file.read(entry.size + 1)
        status = os.fstat(file.fileno())
    if (status.st_size, status.st_mtime_ns) != (entry.size, entry.stamp):
        raise OSError(errno.ESTALE, "changed while the images were read")
    return data


def _list_folder(path: str) -> Files:
    def relative(file: str) -> str:
        return os.path.relpath(file, path).replace(os.sep, "/")

    entries: list[Entry] = []
    ignored = 0
    # A link to a folder is followed, but never in a circle, nor up to where this folder lies.
    visited = {_identity(parent) for parent in pathlib.Path(os.path.realpath(path)).parents}
    pending = [path]
    while pending:
        folder = pending.pop()
        try:
            identity = _identity(folder)
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(folder) as found:
                items = sorted((item.name, _is_folder(item)) for item in found)
        except OSError as error:
            entries.append(Entry(relative(folder), 0, 0, explain(error), folder))
            continue
        shown = [item for item in items if not _is_hidden(item[0])]
        pending += [os.path.join(folder, name) for name, is_folder in shown[::-1] if is_folder]
        files = [os.path.join(folder, name) for name, is_folder in shown if not is_folder]
        entries += [_examine(file, relative(file)) for file in files if _is_image(file)]
        ignored += sum(not _is_image(file) for file in files)
    return Files(_by_name(entries), ignored, _read_unchanged)


def _overlapping(members: Sequence[zipfile.ZipInfo]) -> set[int]:
    """Finds the places of entries that share bytes with the next: how a small zip becomes huge."""
    placed = sorted(members, key=lambda member: member.header_offset)
    return {
        member.header_offset
        for member, following in itertools.pairwise(placed)
        if member.header_offset + member.compress_size > following.header_offset
    }


def _list_zip(archive: zipfile.ZipFile) -> Files:
    one_reader = threading.Lock()
    overlapping = _overlapping(archive.infolist())

    def read(entry: Entry) -> bytes:
        # A ZipFile counts its open members without a lock of its own. In one go it would unpack
        # far more than the size that the zip states, and only then cut it off.
        with one_reader, archive.open(entry.origin) as file:
            return b"".join(iter(lambda: file.read(_PIECE), b""))

    def fault(member: zipfile.ZipInfo) -> str:
        if member.flag_bits & 1:
            return "encrypted"
        if archive.getinfo(member.filename) is not member:
            return "replaced by a later entry of the same name"
        if member.header_offset in overlapping:
            return "overlaps another entry"
        return _size_fault(member.file_size)

    entries = []
    ignored = 0
    for member in archive.infolist():
        name = member.filename
        if member.is_dir() or any(_is_hidden(part) for part in name.split("/")):
            continue
        if _is_image(name):
            entries.append(Entry(name, member.file_size, member.CRC, fault(member), member))
        else:
            ignored += 1
    return Files(_by_name(entries), ignored, read)


class _ZipReader(io.FileIO):
    """Reads a zip, but not gigabytes at one time: its own list of entries may claim as many."""

    def read(self, size: int = -1) -> bytes:
        if size > MOST_BYTES:
            raise ValueError(f"its list of entries is {_size_fault(size)}")
        return super().read(size)


def check_regular(path: str) -> None:
    """Refuses anything but a file on disk: opening a pipe would wait for ever.

    Raises:
      ValueError: there is something else.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("not a regular file")


@contextlib.contextmanager
def open_files(path: str) -> Iterator[Files]:
    """Lists the image files of a folder, with all its subfolders, or of a zip.

    Hidden files and folders are passed over. A zip is read in place, never unpacked to disk.

    Args:
      path: a folder or a zip.

    Raises:
      UserError: the zip cannot be read.
    """
    if os.path.isdir(path):
        yield _list_folder(path)
        return
    with contextlib.ExitStack() as stack:
        try:
            check_regular(path)
            reader = stack.enter_context(_ZipReader(path))
            files = _list_zip(stack.enter_context(zipfile.ZipFile(reader)))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {explain(error)}") from error
        except Exception as error:  # A damaged zip raises many kinds of error.
            reason = explain(error)
            raise UserError(f"{path} is no zip file, or a damaged one: {reason}") from error
        yield files


def choose_entries(entries: Sequence[Entry], include: str) -> list[Entry]:
    """Picks files by name.

    Args:
      entries: the files to choose from.
      include: patterns of `fnmatch`, with commas between them; one of them must match the file
        name, or the whole relative name. "" picks every file.
    """
    patterns = [pattern.strip() for pattern in include.split(",") if pattern.strip()]

    def is_chosen(name: str) -> bool:
        forms = (name, name.rpartition("/")[2])
        return any(fnmatch.fnmatchcase(form, pattern) for form in forms for pattern in patterns)

    return [entry for entry in entries if not patterns or is_chosen(entry.name)]


def printable(name: str) -> str:
    """Writes what cannot be printed, such as bytes that are no UTF-8, as escapes."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def explain(error: Exception) -> str:
    """Says in a few words that can be printed why a file could not be found, read or decoded."""
    if isinstance(error, Image.DecompressionBombError):
        return _TOO_MANY_PIXELS
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or its first bytes are damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, MemoryError):
        return "not enough memory"
    return printable(str(error).strip().partition("\n")[0][:200]) or type(error).__name__


def decode(data: bytes, height: int, width: int, fit: str, resample: str) -> np.ndarray:
    """Turns the bytes of an image file into an RGB image of a given size.

    Args:
      data: a whole JPEG, PNG, WebP, BMP, GIF or TIFF file; of several frames, the first is taken.
      height: pixels.
      width: pixels.
      fit: one of `FITS`.
      resample: one of `RESAMPLES`.

    Returns:
      uint8 [height, width, 3].

    Raises:
      ValueError: the image is too small or too large.
      Exception: the file is damaged; Pillow raises many kinds of error then.
    """
    file = MeteredBytes(data)
    with contextlib.ExitStack() as stack:
        with _one_waits:
            image = stack.enter_context(Image.open(file, formats=_FORMATS))
            pixels = _check_size(image)
            if image.format in ("JPEG", "MPO"):
                check_scans(data)
            copies = 2 if image.format == "WEBP" else 1  # Its decoder keeps two frames.
            stack.enter_context(_room_for_pixels(copies * pixels))
        file.allow_pixels()
        return np.asarray(fit_image(to_rgb(image), height, width, fit, resample))


def _check_size(image: Image.Image) -> int:
    """Counts the pixels that must be decoded: of the image or, if larger, of a tile of a TIFF."""
    tags = getattr(image, "tag_v2", {})
    tile = tags.get(ExifTags.Base.TileWidth, 0) * tags.get(ExifTags.Base.TileLength, 0)
    pixels = max(image.width * image.height, tile)
    if pixels > MOST_PIXELS:
        raise ValueError(_TOO_MANY_PIXELS)
    if min(image.size) < SHORTEST_SIDE:
        raise ValueError(
            f"too small: {image.width} x {image.height} pixels, "
            f"and the shorter side must have {SHORTEST_SIDE}"
        )
    return pixels


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to 8-bit RGB, upright, with white behind what is transparent.

    Args:
      image: any mode but LAB; it is turned as its EXIF orientation says.

    Returns:
      An image of mode RGB.
    """
    image.load()  # A TIFF turns itself upright here, and then forgets its orientation.
    image = _upright(image)
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bits(image)
    if image.has_transparency_data:
        image = _over_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    """Puts white behind what is transparent, some rows at a time, to bound the memory in use."""
    result = Image.new("RGB", image.size)
    rows = 1 + _STRIPE // image.width
    for top in range(0, image.height, rows):
        box = (0, top, image.width, min(top + rows, image.height))
        stripe = image.crop(box).convert("RGBA")
        backdrop = Image.new("RGBA", stripe.size, "white")
        result.paste(Image.alpha_composite(backdrop, stripe).convert("RGB"), box)
    return result


def _upright(image: Image.Image) -> Image.Image:
    if len(image.info.get("exif", b"")) > _MOST_EXIF:
        return image
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Damaged EXIF data raise many kinds of error; the pixels are fine.
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Scales deep greys to 0..255.

    White is 65535 in 16 bits. Numbers of 32 bits do not say what it is: of 1 (for floats alone),
    255 and 65535 it is the first that the brightest pixel does not exceed, or else that pixel.
    """
    count = min(image.height, 1 + image.width * image.height // _STRIPE)
    stripes = np.array_split(np.asarray(image), count)
    numbers = lambda stripe: np.nan_to_num(stripe.astype(np.float64), posinf=0, neginf=0)
    whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
    peak = max(numbers(stripe).max() for stripe in stripes)
    white = next((white for white in whites if peak <= white), peak)
    scale = lambda stripe: np.rint(numbers(stripe).clip(0) * (255 / white)).astype(np.uint8)
    return Image.fromarray(np.concatenate([scale(stripe) for stripe in stripes]))


def fit_image(image: Image.Image, height: int, width: int, fit: str, resample: str) -> Image.Image:
    """Brings an image to a given size.

    Args:
      image: mode RGB.
      height: pixels.
      width: pixels.
      fit: "stretch" changes the proportions; "crop" keeps them and cuts off what is too much,
        equally on both sides; "pad" keeps them and adds white, equally on both sides.
      resample: the filter, one of `RESAMPLES`; all but "nearest" average when they shrink.

    Returns:
      An RGB image of `width` x `height` pixels.
    """
    method = RESAMPLES[resample]
    if fit == "stretch":
        return image.resize((width, height), method)
    across, down = image.width / width, image.height / height
    if fit == "crop":
        scale = min(across, down)
        left = max(0.0, (image.width - width * scale) / 2)
        top = max(0.0, (image.height - height * scale) / 2)
        box = (left, top, image.width - left, image.height - top)
        return image.resize((width, height), method, box)
    if fit == "pad":
        scale = max(across, down)
        inner = max(1, round(image.width / scale)), max(1, round(image.height / scale))
        padded = Image.new("RGB", (width, height), PAD_COLOUR)
        corner = (width - inner[0]) // 2, (height - inner[1]) // 2
        padded.paste(image.resize(inner, method), corner)
        return padded
    raise ValueError(f"fit must be one of {', '.join(FITS)}, not {fit!r}")


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps off stderr what Pillow, and libtiff below it, say of damaged files meanwhile."""
    logger = logging.getLogger("PIL")
    level = logger.level
    with warnings.catch_warnings(), _quiet_libtiff():  # Threads started within see the filter, too.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextlib.contextmanager
def _quiet_libtiff() -> Iterator[None]:
    try:
        set_handler = ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler
    except (AttributeError, OSError):  # A Pillow without libtiff, or one that hides it.
        yield
        return
    set_handler.argtypes = [ctypes.c_void_p]
    set_handler.restype = ctypes.c_void_p
    previous = set_handler(None)
    try:
        yield
    finally:
        set_handler(previous)
