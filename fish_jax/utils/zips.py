"""Zips, read in no more memory than their own size explains."""

import io
from typing import IO


class ShortReads(io.BufferedReader):
    """A zip's file for `zipfile.ZipFile`, which reads a list of entries at one time.

    The list may claim to have gigabytes. Reading raises a ValueError where it has too many bytes.

    Args:
      file: unbuffered, or in memory; closed with this one.
      most_listed: bytes of the list.
    """

    def __init__(self, file: IO[bytes], most_listed: int) -> None:
        # BytesIO is no RawIOBase, but has its `readinto`.
        super().__init__(file)  # pyright: ignore[reportArgumentType]
        self._most = most_listed

    def read(self, size: int | None = -1) -> bytes:
        """Reads up to so many bytes."""
        if size is not None and size > self._most:
            raise ValueError(f"its list of entries is larger than {self._most // 10**6} MB")
        return super().read(size)
