"""Image files: find them in a folder or a zip, and turn one into uint8 RGB of a given size."""

import contextlib
import fnmatch
import io
import os
import stat
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

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
_LARGE = 30_000_000  # Pixels; larger ones are decoded one at a time, to bound the memory in use.
_one_large_image = threading.Lock()

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
    return name.startswith(".") or name == "__MACOSX"


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


def _list_folder(path: str) -> Files:
    def relative(file: str) -> str:
        return os.path.relpath(file, path).replace(os.sep, "/")

    def note_closed(error: OSError) -> None:
        entries.append(Entry(relative(error.filename), 0, 0, explain(error), error.filename))

    def read(entry: Entry) -> bytes:
        with open(entry.origin, "rb") as file:
            return file.read()

    entries: list[Entry] = []
    ignored = 0
    visited = set()  # Real paths: a link to a folder is followed, but never in a circle.
    for folder, subfolders, names in os.walk(path, followlinks=True, onerror=note_closed):
        subfolders[:] = sorted(name for name in subfolders if not _is_hidden(name))
        if os.path.realpath(folder) in visited:
            subfolders.clear()
            continue
        visited.add(os.path.realpath(folder))
        for name in names:
            if _is_hidden(name):
                continue
            if _is_image(name):
                file = os.path.join(folder, name)
                entries.append(_examine(file, relative(file)))
            else:
                ignored += 1
    return Files(_by_name(entries), ignored, read)


def _list_zip(archive: zipfile.ZipFile) -> Files:
    one_reader = threading.Lock()

    def read(entry: Entry) -> bytes:
        with one_reader:  # A ZipFile counts its open members without a lock of its own.
            return archive.read(entry.origin)

    entries = []
    ignored = 0
    for member in archive.infolist():
        name = member.filename
        if member.is_dir() or any(_is_hidden(part) for part in name.split("/")):
            continue
        if _is_image(name):
            encrypted = member.flag_bits & 1
            fault = "encrypted" if encrypted else _size_fault(member.file_size)
            entries.append(Entry(name, member.file_size, member.CRC, fault, member))
        else:
            ignored += 1
    return Files(_by_name(entries), ignored, read)


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
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(f"{path} is no zip file, or a damaged one: {error}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {explain(error)}") from error
    with archive:
        yield _list_zip(archive)


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


def explain(error: Exception) -> str:
    """Says in a few words why a file could not be found, read or decoded."""
    if isinstance(error, Image.DecompressionBombError):
        return _TOO_MANY_PIXELS
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or its first bytes are damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


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
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        pixels = image.width * image.height
        if pixels > MOST_PIXELS:
            raise ValueError(_TOO_MANY_PIXELS)
        if min(image.size) < SHORTEST_SIDE:
            raise ValueError(
                f"too small: {image.width} x {image.height} pixels, "
                f"and the shorter side must have {SHORTEST_SIDE}"
            )
        with _one_large_image if pixels > _LARGE else contextlib.nullcontext():
            return np.asarray(fit_image(to_rgb(image), height, width, fit, resample))


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
        image = image.convert("RGBA")
        backdrop = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(backdrop, image)
    return image.convert("RGB")


def _upright(image: Image.Image) -> Image.Image:
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
    values = np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0, neginf=0)
    whites = {"I": (255, 65535), "F": (1, 255, 65535)}.get(image.mode, (65535,))
    peak = values.max()
    white = next((white for white in whites if peak <= white), peak)
    return Image.fromarray(np.rint(values.clip(0) * (255 / white)).astype(np.uint8))


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
