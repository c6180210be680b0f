"""Settings of glibc's malloc that keep the gigabytes each step allocates and frees."""

import ctypes
import os
import sys

# Huge pages, kept by the process: else each step gets its memory anew, cleared page by page.
_SETTINGS = ("hugetlb=1", "mmap_max=0", "trim_threshold=1000000000000", "arena_max=1")
TUNABLES = ":".join(f"glibc.malloc.{setting}" for setting in _SETTINGS)


def keep_pages() -> None:
    """Restarts the process with `TUNABLES`, once; only on Linux, and unless it was given others."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, sys.orig_argv)


def trim() -> None:
    """Gives freed memory back to the system, such as a compiler's; only where malloc is glibc's.

    `keep_pages` has malloc keep it otherwise.
    """
    if sys.platform == "linux":
        release = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if release is not None:
            release(0)
