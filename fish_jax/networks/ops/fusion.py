"""Control over XLA's fusion on a CPU."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

CACHED = 2**18  # numbers that fit into a core's cache, where reading them again costs little
BATCH = 32  # images, assumed of a program for any number of them


def is_large(*arrays: jax.Array) -> bool:
    """Whether arrays together do not fit into a core's cache."""
    known = lambda length: length if isinstance(length, int) else BATCH
    return sum(math.prod(map(known, array.shape)) for array in arrays) >= CACHED


def compute_or_zeros(condition: jax.Array, function: Callable, *arguments: Any) -> Any:
    """Computes `function(*arguments)` if the condition holds; else gives zeros of its shapes."""
    shapes = jax.eval_shape(function, *arguments)
    zeros = lambda *_: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.cond(condition, function, zeros, *arguments)


def isolate_on_cpu(function: Callable, *arrays: jax.Array) -> Any:
    """Computes `function(*arrays)` once on a CPU: XLA does not fuse it into its uses.

    Fused, it would be computed again inside each use, in the order of the use, and keep its inputs
    alive. XLA moves nothing out of a branch, so here it is a branch of a condition that always
    holds; `optimization_barrier` would not do, as XLA removes it before it fuses. Small arrays are
    left to XLA.
    """
    if not is_large(*arrays):
        return function(*arrays)

    def alone(*arrays: jax.Array) -> Any:
        taken = ~(arrays[0][(0,) * arrays[0].ndim] > jnp.inf)
        return compute_or_zeros(taken, function, *arrays)

    return jax.lax.platform_dependent(*arrays, cpu=alone, default=function)
