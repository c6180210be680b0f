"""A .npy of images, read with calls that fail where the file has changed.

A file that is mapped kills the process when it becomes shorter, and changes what is trained on when
it is written anew.
"""

import contextlib
import errno
import io
import math
import os
import threading
from collections.abc import Iterator

import numpy as np

from fish_jax.data.image_files import times_of_change
from fish_jax.utils import npz
from fish_jax.utils.files import check_regular


class ArrayFile:
    """The array of a .npy, which is read a part at a time, by slices of its first axis.

    Attributes:
      shape, dtype: as the file declares them.
      is_fortran: whether it is in Fortran's order, and so is held in memory once it is read.
      stamp: the stamp of the file's content: its size and the times of its last changes.
    """

    def __init__(self, file: io.BufferedReader) -> None:
        self._file, self._lock = file, threading.Lock()
        self.stamp = self._stamp()
        header = npz.read_header(file)
        self.shape, self.dtype, self.is_fortran = header.shape, header.dtype, header.is_fortran
        self._whole: np.ndarray | None = None
        self._start = file.tell()
        if any(type(side) is not int or side < 0 for side in self.shape) or self.dtype.hasobject:
            raise ValueError("its header does not describe an array of numbers")
        if self._start + self.size * self.dtype.itemsize > self.stamp[0]:
            raise ValueError("the file is shorter than its array")

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Reads some rows; raises OSError if the file has changed since it was opened."""
        first, end, _ = rows.indices(len(self))
        if self.is_fortran:  # whose rows lie all over the file
            if self._whole is None:
                self._whole = self._read(0, self.shape[::-1]).T
            return self._whole[first:end]
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return self._read(first * row, (end - first, *self.shape[1:]))

    def _read(self, start: int, shape: tuple[int, ...]) -> np.ndarray:
        content = np.empty(shape, self.dtype)
        with self._lock:
            self._file.seek(self._start + start)
            count = self._file.readinto(content.data.cast("B"))
        self.check_unchanged(count == content.nbytes)
        return content

    def check_unchanged(self, is_whole: bool = True) -> None:
        """Raises OSError if the file has changed since it was opened."""
        if not is_whole or self._stamp() != self.stamp:
            raise OSError(errno.ESTALE, "changed while it was read")

    def _stamp(self) -> tuple[int, ...]:
        status = os.fstat(self._file.fileno())
        return status.st_size, *times_of_change(status)


@contextlib.contextmanager
def open_array(path: str) -> Iterator[ArrayFile]:
    """Opens the array of a .npy without executing any of its content.

    Raises:
      Exception: of many kinds, for what is no such file.
    """
    check_regular(path)
    with open(path, "rb") as file:
        yield ArrayFile(file)
