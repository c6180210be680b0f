"""The cache of decoded images: a .npy of the pixels, mapped into memory, and a .json of names.

Both are named by a checksum of what the pixels depend on: the files, the size, the filter, and the
versions of Pillow and of this format. Damage is noticed, and the images are decoded anew.
"""

import hashlib
import json
import os
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL

from fish_jax.utils import npz
from fish_jax.utils.files import check_regular, remove_partial, replacing, write_text
from fish_jax.utils.log import phase
from fish_jax.utils.messages import explain, printable
from fish_jax.utils.paths import cache_root, expand

_CACHE_FORMAT = 2  # One more whenever the same files would give other pixels.

Shape = tuple[int, int, int]  # height, width, channels


class Album(NamedTuple):
    """All images of a source, before the split: the content of the cache.

    Attributes:
      pictures: uint8 [N, H, W, C]; or a file with them, before they are kept.
      names: one for each image.
      skipped: (name, reason) of each file that could not be used.
      is_final: False if a file could not be read, which may go better next time.
      notes: (name, note) of each image that a person should look at.
    """

    pictures: np.ndarray
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    is_final: bool = True
    notes: tuple[tuple[str, str], ...] = ()


def cache_folder(given: str = "") -> str:
    """The folder that keeps decoded images: a given one, or the user's cache."""
    return expand(given) if given else str(cache_root())


def cached(folder: str, key: list, shape: Shape, build: Callable[[], Album]) -> Album:
    """Reads an album from the cache, or builds it and keeps it there.

    Args:
      folder: the folder of the cache; made if it does not exist.
      key: all that the pixels depend on, of JSON's types.
      shape: the shape of an image.
      build: makes the album.

    Returns:
      The album, its pictures mapped from disk; as it was built if it could not be kept.
    """
    identity = json.dumps([_CACHE_FORMAT, PIL.__version__, *key])
    stem = os.path.join(folder, hashlib.sha256(identity.encode()).hexdigest()[:32])
    album = _load_album(stem, shape)
    if album is not None:
        return album
    album, reason = build(), ""
    if not album.is_final:
        return album
    try:
        os.makedirs(folder, exist_ok=True)
        remove_partial(Path(folder), r"[0-9a-f]{32}\.\w+")
        with phase(f"writing the cache {stem}"):
            _save_album(stem, album)
    except OSError as error:
        reason = explain(error)
    # On Windows, writing also fails where another process was faster and has mapped its file.
    kept = _load_album(stem, shape)
    if reason and kept is None:
        place = printable(folder)
        print(f"warning: the images are not cached in {place}: {reason}", file=sys.stderr)
    return kept or album


def map_array(path: str) -> np.memmap:
    """Maps the array of a .npy file from disk, without executing any of its content.

    Raises:
      Exception: of many kinds, for what is no such file.
    """
    check_regular(path)
    with open(path, "rb") as file:
        npz.read_header(file)  # refuses a long one, which NumPy reads whole
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about odd headers.
        return np.lib.format.open_memmap(path, mode="r")


def _seal(album: Album) -> str:
    """A checksum of an album, to notice damage."""
    content = json.dumps([album.names, album.skipped, album.notes, digest(album.pictures)])
    return hashlib.sha256(content.encode()).hexdigest()


def _load_album(stem: str, shape: Shape) -> Album | None:
    try:
        pictures = map_array(f"{stem}.npy")
        check_regular(f"{stem}.json")
        listing = json.loads(Path(f"{stem}.json").read_text(encoding="utf-8"))
        skipped = tuple((name, reason) for name, reason in listing["skipped"])
        notes = tuple((name, note) for name, note in listing["notes"])
        album = Album(pictures, tuple(listing["names"]), skipped, notes=notes)
        fits = pictures.shape == (len(album.names), *shape) and pictures.dtype == np.uint8
        return album if fits and _seal(album) == listing["seal"] else None
    except Exception:  # Missing or damaged, in whatever way: it is built anew.
        return None


def _save_album(stem: str, album: Album) -> None:
    listing = {"names": album.names, "skipped": album.skipped, "notes": album.notes}
    listing["seal"] = _seal(album)
    with replacing(f"{stem}.npy") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": album.pictures.shape}
        np.lib.format.write_array_header_1_0(file, header)
        for part in _parts(album.pictures):
            file.write(part.data)
    write_text(Path(f"{stem}.json"), json.dumps(listing))


def digest(array: np.ndarray) -> str:
    """A checksum of the shape, type and content of an array, to notice that data have changed.

    Args:
      array: at least one axis; read a part at a time, so that it may be mapped from disk.

    Returns:
      Eight hexadecimal digits; equal arrays give equal ones. It is no proof against intent.
    """
    checksum = zlib.crc32(repr((array.dtype.str, array.shape)).encode())
    for part in _parts(array):
        checksum = zlib.crc32(part.data, checksum)
    return f"{checksum:08x}"


def _parts(array: np.ndarray) -> Iterator[np.ndarray]:
    """An array in parts of 64 along its first axis."""
    for start in range(0, len(array), 64):
        yield np.ascontiguousarray(array[start : start + 64])
