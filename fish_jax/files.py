"""Files that are there whole or not at all."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[IO[bytes]]:
    """Opens a new file that takes the place of `path` at the end.

    Args:
      path: of the file; its folder must exist.

    Yields:
      A file to write bytes to. If that fails, what was at `path` stays.
    """
    partial = f"{path}.{os.getpid()}.partial"
    try:
        with open(partial, "wb") as file:
            yield file
        os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(partial)


def remove_partial(folder: Path) -> None:
    """Removes what `replacing` left where it was killed, in a folder and those right in it.

    Files of others, with which the folder may be shared, stay.
    """
    for path in (*folder.glob("*.partial"), *folder.glob("*/*.partial")):
        if re.fullmatch(r".+\.\d+\.partial", path.name) and path.is_file():
            path.unlink()
