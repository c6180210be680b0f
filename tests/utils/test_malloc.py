"""The process starts again with the memory settings once, and only where none were given."""

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
