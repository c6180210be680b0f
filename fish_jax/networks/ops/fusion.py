"""What XLA is kept from fusing on a CPU."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

CACHED = 2**18  # numbers that fit into a core's cache: how often they are read does not matter
BATCH = 32  # images, where a program takes any number


def is_large(*arrays: jax.Array) -> bool:
    """Whether arrays do not fit into a core's cache."""
    known = lambda length: length if isinstance(length, int) else BATCH
    return sum(math.prod(map(known, array.shape)) for array in arrays) >= CACHED


def isolate_on_cpu(function: Callable, *arrays: jax.Array) -> Any:
    """`function(*arrays)`, which a CPU computes once and on its own where the arrays are large.

    XLA would compute it once more inside each use, in the order of the use, and keep alive what it
    is computed from. It moves nothing out of a branch; `optimization_barrier` is gone before it
    fuses. The other branch is never taken.
    """
    if not is_large(*arrays):
        return function(*arrays)

    def alone(*arrays):
        taken = ~(arrays[0][(0,) * arrays[0].ndim] > jnp.inf)
        shapes = jax.eval_shape(function, *arrays)
        zeros = lambda *_: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
        return jax.lax.cond(taken, function, zeros, *arrays)

    return jax.lax.platform_dependent(*arrays, cpu=alone, default=function)
