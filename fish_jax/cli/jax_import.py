"""The import of JAX by the command line, once its flags are right."""

import importlib

from fish_jax.errors import UserError


def import_jax() -> None:
    """Imports JAX and Flax.

    Raises:
      UserError: one of their environment variables, such as JAX_ENABLE_X64, has a wrong value.
    """
    try:
        importlib.import_module("flax")  # and JAX
    except ValueError as error:
        raise UserError(
            f"JAX does not start: {error}; correct that environment variable, or unset it"
        ) from None
