"""JAX's cache of compiled programs on disk."""

import jax

from fish_jax.utils.paths import cache_root


def keep_compiled() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX was given another."""
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_root() / "compiled"))
