"""Image files: listed in a folder or a zip, and read as bytes."""

import contextlib
import errno
import functools
import io
import itertools
import os
import pathlib
import re
import stat
import threading
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from fish_jax.data.limits import make_room
from fish_jax.errors import UserError
from fish_jax.utils.files import check_regular
from fish_jax.utils.messages import explain
from fish_jax.utils.paths import composed
from fish_jax.utils.zips import ShortReads

EXTENSIONS = tuple(".jpg .jpeg .png .webp .bmp .gif .tif .tiff .jfif .jpe .mpo .apng .dib".split())
# How files of the kinds that are read begin.
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM....\0\0\0\0|II[*+]\0|MM\0[*+]", re.DOTALL
)
_LONGEST_BEGINNING = 12  # Bytes.
# Where systems, network drives and archives keep thumbnails and what was deleted.
_PASSED_OVER = frozenset(
    (
        *("__macosx", "network trash folder", "temporary items", "lost+found", "desktop.ini"),
        *("system volume information", "$recycle.bin", "thumbs.db"),
        *("@eadir", "#recycle", "#snapshot", "~snapshot", "@recycle", "@recently-snapshot"),
    )
)
MOST_BYTES = 200_000_000  # Of one file, unpacked.
_PIECE = 4096  # Bytes unpacked at a time; some methods take as many packed ones instead.
room_for_bytes = make_room(MOST_BYTES)  # What all threads together may hold of files.


class Entry(NamedTuple):
    """A file with the extension of an image, or without one and with the beginning of an image."""

    name: str  # Relative to the folder or zip, with "/" between the parts.
    size: int  # Bytes, unpacked.
    stamp: tuple[int, ...]  # Changes with the content: times of change, or in a zip the checksum.
    fault: str  # Why it cannot be used, as far as that shows without reading it, or "".
    origin: Any  # What `Files.read` needs to read it.


class Files(NamedTuple):
    """What a folder or a zip holds."""

    entries: list[Entry]  # Sorted by name.
    ignored: Counter[str]  # How many files have another extension, by that, in lower case.
    read: Callable[[Entry], bytes]  # May be called from several threads.


def _is_hidden(name: str) -> bool:
    is_dotted = name.startswith(".") and name not in (".", "..")
    return is_dotted or name.lower() in _PASSED_OVER


def _is_image(name: str, read_beginning: Callable[[], bytes]) -> bool:
    """Whether a file is taken for an image: by its extension, or without one by its content."""
    extension = os.path.splitext(name)[1].lower()
    if extension:
        return extension in EXTENSIONS
    return _BEGINNINGS.match(read_beginning()) is not None


def _by_name(entry: Entry) -> tuple[str, str]:
    """Orders files alike, whether their names come from a Mac or not."""
    return composed(entry.name), entry.name


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
        return Entry(name, 0, (), explain(error), file)
    if not stat.S_ISREG(status.st_mode):  # Opening a pipe would wait for ever.
        fault = "not a regular file"
    elif not os.access(file, os.R_OK):
        fault = "permission denied"
    else:
        fault = _size_fault(status.st_size)
    return Entry(name, status.st_size, times_of_change(status), fault, file)


def times_of_change(status: os.stat_result) -> tuple[int, ...]:
    """When a file was changed; programs that keep its date cannot keep the second time."""
    return status.st_mtime_ns, status.st_ctime_ns


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _open_at_once(file: str) -> IO[bytes]:
    """Opens a file that since it was listed may have become another, even a pipe."""
    # Windows has no such flag, nor pipes in its folders.
    at_once = lambda file, flags: os.open(file, flags | getattr(os, "O_NONBLOCK", 0))
    return open(file, "rb", opener=at_once)


def _read_unchanged(entry: Entry) -> bytes:
    with _open_at_once(entry.origin) as file:
        data = file.read(entry.size + 1)
        status = os.fstat(file.fileno())
    if (status.st_size, times_of_change(status)) != (entry.size, entry.stamp):
        raise OSError(errno.ESTALE, "changed while the images were read")
    return data


def read_file(path: str) -> bytes:
    """Reads one image file, which stands alone.

    Raises:
      OSError: it cannot be read.
      ValueError: it is no file, empty or too large.
    """
    entry = _examine(path, path)
    if entry.fault:
        raise ValueError(entry.fault)
    return _read_unchanged(entry)


def _beginning(file: str) -> bytes:
    try:
        check_regular(file)
        with _open_at_once(file) as opened:
            return opened.read(_LONGEST_BEGINNING)
    except (OSError, ValueError):
        return b""


def _is_folder(found: os.DirEntry) -> bool:
    try:
        return found.is_dir()
    except OSError:  # A link in a circle.
        return False


def _walk(path: str) -> Iterator[tuple[str, list[str] | OSError]]:
    """Each folder that is searched, with its files that are not hidden, or why it has none.

    A link to a folder is followed, but never in a circle, nor up to where the first folder lies.
    """
    visited = {_identity(parent) for parent in pathlib.Path(os.path.realpath(path)).parents}
    pending = [path]
    while pending:
        folder = pending.pop()
        try:
            identity = _identity(folder)
            if identity in visited:
                continue
            visited.add(identity)
            with os.scandir(folder) as listing:
                found = [each for each in listing if not _is_hidden(each.name)]
        except OSError as error:
            yield folder, error
            continue
        folders = {each.name for each in found if _is_folder(each)}
        # The last one that is pending is read first.
        pending += [os.path.join(folder, name) for name in sorted(folders, reverse=True)]
        yield folder, [each.name for each in found if each.name not in folders]


def is_among(place: str | os.PathLike, path: str) -> bool:
    """Whether a file in a place would be found among the images of a folder.

    Args:
      place: need not exist.
      path: the path of images; a zip or an array has no place for others.
    """
    if not os.path.isdir(path):
        return False
    there = pathlib.Path(os.path.realpath(place))
    above = {_identity(each) for each in (there, *there.parents) if each.exists()}

    def is_above(folder: str) -> bool:
        try:
            return _identity(folder) in above
        except OSError:  # It is gone meanwhile.
            return False

    return any(is_above(folder) for folder, names in _walk(path) if not isinstance(names, OSError))


def _list_folder(path: str) -> Files:
    def relative(file: str) -> str:
        return os.path.relpath(file, path).replace(os.sep, "/")

    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    for folder, names in _walk(path):
        if isinstance(names, OSError):
            entries.append(Entry(relative(folder), 0, (), explain(names), folder))
            continue
        for name in names:
            file = os.path.join(folder, name)
            if _is_image(name, functools.partial(_beginning, file)):
                entries.append(_examine(file, relative(file)))
            else:
                ignored[_extension(name)] += 1
    return Files(sorted(entries, key=_by_name), ignored, _read_unchanged)


def _name_in_zip(member: zipfile.ZipInfo) -> str:
    """The name of a member, with "/" between its parts, and in Unicode.

    Some programs of Windows write a backslash there; a Mac does not say that its names are UTF-8.
    """
    name = member.filename
    if not member.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _beginning_in_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo, fault: str) -> bytes:
    # Other methods may unpack very much for the first bytes.
    if fault or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return b""
    try:
        with archive.open(member) as file:
            return file.read(_LONGEST_BEGINNING)
    except Exception:  # A damaged zip raises many kinds of error.
        return b""


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
            return "overlaps another entry of the zip"
        return _size_fault(member.file_size)

    entries: list[Entry] = []
    ignored: Counter[str] = Counter()
    for member in archive.infolist():
        name = _name_in_zip(member)
        if name.endswith("/") or any(map(_is_hidden, name.split("/"))):
            continue
        reason = fault(member)
        if _is_image(name, functools.partial(_beginning_in_zip, archive, member, reason)):
            entries.append(Entry(name, member.file_size, (member.CRC,), reason, member))
        else:
            ignored[_extension(name)] += 1
    return Files(sorted(entries, key=_by_name), ignored, read)


@contextlib.contextmanager
def open_files(path: str) -> Iterator[Files]:
    """Lists the image files of a folder, with all its subfolders, or of a zip.

    Hidden files and folders are passed over, and so are thumbnails and deleted files that systems
    keep beside images. A zip is read in place, never unpacked to disk.

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
            file = stack.enter_context(ShortReads(io.FileIO(path), MOST_BYTES))
            files = _list_zip(stack.enter_context(zipfile.ZipFile(file)))
        except OSError as error:
            raise UserError(f"{path} cannot be read: {explain(error)}") from error
        except Exception as error:  # A damaged zip raises many kinds of error.
            reason = explain(error)
            raise UserError(f"{path} is not a zip file, or it is damaged: {reason}") from error
        yield files
