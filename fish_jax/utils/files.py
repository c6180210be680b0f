"""Files: written whole or not at all, and locked."""

import contextlib
import itertools
import math
import os
import re
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import portalocker

WINDOWS = os.name == "nt"  # where nothing that is open can be renamed, replaced or deleted
PATIENCE = 10  # seconds to wait on Windows until the readers of a file have closed it


def try_lock(file: IO[bytes]) -> bool:
    """Locks an open file until it is closed, or until the process ends, however it ends.

    On Windows no other handle can read the locked bytes.

    Args:
      file: open for writing. Each call of `open` counts as another owner, also within a process.

    Returns:
      Whether nobody else holds the lock. True on a file system without locks.
    """
    try:
        portalocker.lock(file, portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING)
    except portalocker.LockException as error:  # of another kind on a file system without locks
        return not isinstance(error, portalocker.AlreadyLocked)
    return True


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Adds the name of a file to an OSError of writing it, which comes without one."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Writes a file whole or not at all: to another name first, then renamed once it is on disk.

    Args:
      path: the file; its folder must exist.

    Yields:
      A file to write bytes to. If writing fails, the file that was at `path` stays.

    Raises:
      OSError: the file cannot be written; names it.
    """
    partial = f"{path}.{uuid.uuid4().hex[:8]}.partial"
    try:
        with naming(path), open(partial, "wb") as file:
            try_lock(file)  # by which `remove_partial` knows that its writer lives
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power cut may leave the name with nothing behind it
            if WINDOWS:
                file.close()
            _replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)


def _replace(partial: str, path: str | Path) -> None:
    """Renames a file over another; on Windows, waits for those who have the other one open."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return os.replace(partial, path)
        except PermissionError:
            if not WINDOWS or time.monotonic() > end:
                raise
        time.sleep(0.05)


def remove_partial(folder: Path, name: str = ".+", inner: bool = True) -> None:
    """Removes the partial files of writers that were killed within `replacing`.

    Other files stay: the folder may be shared.

    Args:
      folder: where `replacing` wrote.
      name: the files it was to write, as a regular expression.
      inner: whether to look in the folders right in it, too.
    """
    places = ("*.partial", "*/*.partial") if inner else ("*.partial",)
    for path in itertools.chain.from_iterable(map(folder.glob, places)):
        if re.fullmatch(rf"{name}\.[0-9a-f]{{8}}\.partial", path.name):
            with contextlib.suppress(OSError):
                if _is_abandoned(path):
                    path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Whether the writer of a partial file has ended."""
    with open(path, "r+b") as file:
        is_free = try_lock(file)
    # On Windows a living writer closes the file, and so unlocks it, before it renames it.
    return is_free and not (WINDOWS and time.time() - path.stat().st_mtime < 2 * PATIENCE)


def append(path: str | Path, data: bytes) -> None:
    """Adds bytes to the end of a file, all or none; a kill loses none of them.

    Raises:
      OSError: there is no space for them; names the file.
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
    """Waits until the content of a file, if the file exists, would survive a power cut."""
    if path.exists():
        with naming(path), open(path, "r+b") as file:  # Windows syncs only what may be written
            os.fsync(file.fileno())


def check_regular(path: str | Path) -> None:
    """Refuses anything but a file on disk: opening a pipe would wait for ever.

    Raises:
      ValueError: it is something else.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("not a regular file")


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, as UTF-8, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


def without_nan(value: Any) -> Any:
    """Replaces NaN and infinity, which JSON does not have, by None, at any depth of a value."""
    if isinstance(value, Mapping):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
