"""Arrays in .npy and .npz files, read in no more time and memory than their own size explains.

NumPy reads a header of any length whole, and unpacks whatever a zip holds. Nothing here is
unpickled.
"""

import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fish_jax.utils.files import check_regular
from fish_jax.utils.zips import ShortReads

LONGEST_HEADER = 1_000  # bytes, of a .npy; with all of NumPy's 64 dimensions it has fewer
MOST_LISTED = 1_000_000  # bytes of a zip's list of entries, for some thousands


class Header(NamedTuple):
    """An array as a .npy declares it, which may be wrong."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype


class StoredArray(NamedTuple):
    """An array that is not read yet."""

    shape: tuple[int, ...]
    dtype: np.dtype
    load: Callable[[], np.ndarray]


def read_header(file: IO[bytes]) -> Header:
    """Reads the header of a .npy, and leaves the file where the numbers begin.

    Raises:
      Exception: of many kinds, for what is no header.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"its format {version} is not known")
    size = 2 if version == (1, 0) else 4
    length = file.read(size)
    if int.from_bytes(length, "little") > LONGEST_HEADER:
        raise ValueError("its header is too long")
    text = io.BytesIO(length + file.read(int.from_bytes(length, "little")))
    formats = np.lib.format
    parse = formats.read_array_header_1_0 if size == 2 else formats.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about odd headers
        return Header(*parse(text))


def open_archive(content: IO[bytes]) -> zipfile.ZipFile:
    """Opens a .npz in memory; raises exceptions of many kinds for what is none."""
    return zipfile.ZipFile(ShortReads(content, MOST_LISTED))


def list_arrays(archive: zipfile.ZipFile) -> dict[str, StoredArray]:
    """Reads the headers of all arrays of a .npz, by name.

    Raises:
      Exception: of many kinds, for what is no .npz or a damaged one.
    """

    def load(member: zipfile.ZipInfo) -> np.ndarray:
        with archive.open(member) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    arrays = {}
    for member in archive.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("packed in a way that NumPy does not use")  # nor is unpacked piecewise
        with archive.open(member) as file:
            shape, _, dtype = read_header(file)
        name = member.filename.removesuffix(".npy")
        arrays[name] = StoredArray(shape, dtype, lambda member=member: load(member))
    return arrays


def read_stored(path: Path) -> dict[str, np.ndarray]:
    """Reads all arrays of a file that `numpy.savez` wrote, which packs none of them.

    The checksums of the format reveal damage.

    Raises:
      Exception: of many kinds, for a file that is not whole or not one of these.
    """
    check_regular(path)
    with ShortReads(io.FileIO(path), MOST_LISTED) as file, zipfile.ZipFile(file) as archive:
        members, size = archive.infolist(), path.stat().st_size
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("its arrays are packed")
        if sum(member.file_size for member in members) > size:  # or they lie in each other
            raise ValueError("its arrays are larger than the file")
        return {name: array.load() for name, array in list_arrays(archive).items()}
