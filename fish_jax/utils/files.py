"""Files that are there whole or not at all."""

import contextlib
import math
import os
import re
import stat
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from fish_jax.utils import locks


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Gives the name of a file to errors of writing it, which come without one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a new file that takes the place of `path` at the end, once it is on disk.

    Args:
      path: of the file; its folder must exist.

    Yields:
      A file to write bytes to. If that fails, what was at `path` stays.

    Raises:
      OSError: it cannot be written; names the file.
    """
    partial = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    try:
        with naming(path), open(partial, "wb") as file:
            locks.take(file)  # by which `remove_partial` knows that its writer lives
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the name with nothing behind it
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)


def remove_partial(folder: Path, name: str = ".+") -> None:
    """Removes what `replacing` left where it was killed, in a folder and those right in it.

    Files of others, with which the folder may be shared, stay.

    Args:
      folder: of the files that `replacing` should have made.
      name: theirs, as a regular expression.
    """
    for path in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
        if not re.fullmatch(rf"{name}\.[0-9a-f]{{8}}\.partial", path.name):
            continue
        with contextlib.suppress(OSError), open(path, "r+b") as file:
            if locks.take(file):
                path.unlink()


def append(path: str | Path, data: bytes) -> None:
    """Adds to the end of a file, whole or not at all; a kill loses nothing of it.

    Raises:
      OSError: there is no space for it; names the file.
    """
    with naming(path), open(path, "ab", buffering=0) as file:
        end, rest = file.tell(), memoryview(data)
        try:
            while rest:  # once, but for a disk that is full: only the second write says so
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(end)
            raise


def sync(path: Path) -> None:
    """Waits until what was written to a file, if it exists, would outlive a power cut."""
    if path.exists():
        with naming(path), open(path, "rb") as file:
            os.fsync(file.fileno())


def check_regular(path: str | Path) -> None:
    """Refuses anything but a file on disk: opening a pipe would wait for ever.

    Raises:
      ValueError: there is something else.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("not a regular file")


def write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def without_nan(value: Any) -> Any:
    """The same without NaN and infinity, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
