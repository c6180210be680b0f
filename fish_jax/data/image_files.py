"""Image files: listed in a folder or a zip, and read as bytes."""

import contextlib
import errno
import fnmatch
import io
import itertools
import os
import pathlib
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fish_jax.data.limits import make_room
from fish_jax.errors import UserError
from fish_jax.utils.files import check_regular
from fish_jax.utils.messages import explain

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MOST_BYTES = 200_000_000  # Of one file, unpacked.
_PIECE = 4096  # Bytes unpacked at a time; some methods take as many packed ones instead.
room_for_bytes = make_room(MOST_BYTES)  # What all threads together may hold of files.


class Entry(NamedTuple):
    """A file with the extension of an image."""

    name: str  # Relative to the folder or zip, with "/" between the parts.
    size: int  # Bytes, unpacked.
    stamp: int  # Changes with the content: the time of the last change, or in a zip the checksum.
    fault: str  # Why it cannot be used, as far as that shows without reading it, or "".
    origin: Any  # What `Files.read` needs to read it.


class Files(NamedTuple):
    """What a folder or a zip holds."""

    entries: list[Entry]  # Sorted by name.
    ignored: Counter[str]  # How many files have another extension, by that, in lower case.
    read: Callable[[Entry], bytes]  # May be called from several threads.


def _is_hidden(name: str) -> bool:
    return (name.startswith(".") and name not in (".", "..")) or name == "__MACOSX"


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _extension(name: str) -> str:
    extension = os.path.splitext(name)[1].lower()
    return extension if len(extension) < 10 else ""  # Longer ones are parts of names.


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


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _read_unchanged(entry: Entry) -> bytes:
    """Reads a file that since it was listed may have become another, even a pipe."""
    # Windows has no such flag, nor pipes in its folders.
    at_once = lambda file, flags: os.open(file, flags | getattr(os, "O_NONBLOCK", 0))
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
    ignored: Counter[str] = Counter()
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
            names = [name for name in os.listdir(folder) if not _is_hidden(name)]
        except OSError as error:
            entries.append(Entry(relative(folder), 0, 0, explain(error), folder))
            continue
        for name in sorted(names, reverse=True):  # The last one that is pending is read first.
            file = os.path.join(folder, name)
            if os.path.isdir(file):
                pending.append(file)
            elif _is_image(name):
                entries.append(_examine(file, relative(file)))
            else:
                ignored[_extension(name)] += 1
    return Files(sorted(entries, key=lambda entry: entry.name), ignored, _read_unchanged)


def _list_zip(archive: zipfile.ZipFile) -> Files:
    one_reader = threading.Lock()
    placed = sorted(archive.infolist(), key=lambda member: member.header_offset)
    overlapping = {  # Entries that share bytes with the next: how a small zip becomes huge.
        member.header_offset
        for member, following in itertools.pairwise(placed)
        if member.header_offset + member.compress_size > following.header_offset
    }

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

    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    for member in archive.infolist():
        name = member.filename
        if member.is_dir() or any(map(_is_hidden, name.split("/"))):
            continue
        if _is_image(name):
            entries.append(Entry(name, member.file_size, member.CRC, fault(member), member))
        else:
            ignored[_extension(name)] += 1
    return Files(sorted(entries, key=lambda entry: entry.name), ignored, read)


class _ZipReader(io.FileIO):
    """Reads a zip, but not gigabytes at one time: its own list of entries may claim as many."""

    def read(self, size: int = -1) -> bytes:
        if size > MOST_BYTES:
            raise ValueError(f"its list of entries is {_size_fault(size)}")
        return super().read(size)


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
