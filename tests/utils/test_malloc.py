"""The settings of malloc, which the process starts again with, and memory that is given back."""

import os
import subprocess
import sys

import pytest

from fish_jax.utils import malloc

SCRIPT = """
import os
from fish_jax.utils import malloc
malloc.keep_pages()
print(os.environ["GLIBC_TUNABLES"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux")
@pytest.mark.parametrize("given", ["", "glibc.malloc.hugetlb=0"])
def test_memory_settings(given):
    environment = {name: v for name, v in os.environ.items() if name != "GLIBC_TUNABLES"}
    if given:
        environment["GLIBC_TUNABLES"] = given
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == (given or malloc.TUNABLES)


TRIM = """
from fish_jax.utils import malloc
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
kept = [b"1" * 100_000 for _ in range(1000)]
last = b"2" * 100_000
del kept
before = resident()
malloc.trim()
print(before - resident())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is on Linux")
def test_memory_that_is_kept_can_be_given_back():
    """98 MB, most of it."""
    environment = {**os.environ, "GLIBC_TUNABLES": malloc.TUNABLES}
    command = [sys.executable, "-c", TRIM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert int(done.stdout) > 80_000
