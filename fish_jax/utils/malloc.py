"""How glibc keeps the gigabytes that every step takes and gives back."""

import os
import sys

# In huge pages, and kept by the process: else each step gets them anew, cleared page by page.
TUNABLES = ":".join(
    f"glibc.malloc.{setting}"
    for setting in ("hugetlb=1", "mmap_max=0", "trim_threshold=1000000000000", "arena_max=1")
)


def keep_pages() -> None:
    """Starts the process again with `TUNABLES`, once, on Linux, unless it was given others."""
    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = TUNABLES
        os.execv(sys.executable, sys.orig_argv)
