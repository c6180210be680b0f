"""Derivatives that are written by hand, where XLA computes its own more slowly."""

from collections.abc import Callable
from typing import Any

import jax


def custom_vjp(*static: int) -> Callable[[Callable[..., Any]], Any]:
    """`jax.custom_vjp` as a decorator of functions with static arguments.

    Args:
      static: positions of the arguments that are no arrays.

    Returns:
      A decorator; the function that it returns needs `defvjp` before it is differentiated.
    """
    return lambda function: jax.custom_vjp(function, nondiff_argnums=static)


def derive_from_adjoints(one: Any, other: Any) -> None:
    """Defines the derivatives of two linear functions of (images, size), each other's adjoint."""
    for function, adjoint in ((one, other), (other, one)):
        function.defvjp(
            lambda images, size, function=function: (function(images, size), None),
            lambda size, _, cotangent, adjoint=adjoint: (adjoint(cotangent, size),),
        )
