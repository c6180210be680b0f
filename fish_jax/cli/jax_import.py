"""The import of JAX by the command line, once its flags are right."""

import importlib

from fish_jax.errors import UserError

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None

LEAST_ADDRESSES = 1_500_000_000  # bytes; with 700 million XLA aborts, with 1,200 no demo fits


def import_jax() -> None:
    """Imports JAX and Flax.

    Raises:
      UserError: one of their environment variables, such as JAX_ENABLE_X64, has a wrong value, or
        the process may have too little memory to start XLA, which would abort it.
    """
    limit = _address_limit()
    if limit is not None and limit < LEAST_ADDRESSES:
        raise UserError(
            f"this process may use {limit / 1e9:.2f} GB of address space (ulimit -v), but JAX "
            f"needs {LEAST_ADDRESSES / 1e9} GB to start; raise the limit"
        )
    try:
        importlib.import_module("flax")  # and JAX
    except ValueError as error:
        raise UserError(
            f"JAX does not start: {error}; correct or unset that environment variable"
        ) from None


def _address_limit() -> int | None:
    """How many bytes of addresses the process may have; None for any number."""
    if resource is None:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit
