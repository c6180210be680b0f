"""How XLA compiles the training step, and where what it compiled is kept."""

import functools
import os

import jax

# XLA's newer CPU library computes convolutions with large images, above all kernel gradients, up
# to ten times slower than the one before it. An empty list of what it may take turns it off.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def options() -> dict[str, str]:
    """Options for `jax.jit(..., compiler_options=)`, or none where this XLA does not know them."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x + 1).lower(1.0).compile(compiler_options=CPU_OPTIONS)
    except jax.errors.JaxRuntimeError:
        return {}
    return CPU_OPTIONS


def keep_compiled() -> None:
    """Keeps compiled programs in the user's cache for the next start, unless JAX was told where."""
    if jax.config.jax_compilation_cache_dir is None:
        caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        place = os.path.join(caches, "fish_jax", "compiled")
        jax.config.update("jax_compilation_cache_dir", place)
