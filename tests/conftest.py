"""The strictest settings JAX has: a test that passes here does not lean on a conversion.

Programs are compiled in the quickest way (XLA's fusion emitters take over half of its time), and
each once. OpenBLAS has one thread, as threads of two workers would wait for each other.
"""

import os

from helpers.xla_flags import fusion_emitters

os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_force_host_platform_device_count=8",
        "--xla_backend_optimization_level=0",
        *(f"--{name}={str(on).lower()}" for name, on in fusion_emitters(False).items()),
    ]
)
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import jax
import pytest
from helpers import encoders

from fish_jax.data.images import load_images

jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="session")
def keep_programs(tmp_path_factory):
    """A module that needs a program of another one reads it from a file."""
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True, scope="session")
def untrained_encoder():
    """Training the judge's encoder takes minutes."""
    with encoders.untrained():
        yield


@pytest.fixture(autouse=True, scope="module")
def forget_programs():
    """Compiled programs have memory mappings, of which Linux allows a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture
def strict_dtypes():
    """Mixed types are an error. optax's own Adam does not pass it, so it is not for whole steps."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture
def float64():
    """Doubles, for comparisons to many digits."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def folder(tmp_path):
    """An empty folder for images."""
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def load(tmp_path):
    """`load_images` at 20 x 30 pixels, with a cache folder of its own."""

    def load_here(path, height=20, width=30, **options):
        defaults = {"cache_dir": str(tmp_path / "cache"), "show_progress": False}
        return load_images(str(path), height, width, **(defaults | options))

    return load_here
