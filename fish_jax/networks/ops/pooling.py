"""Nearest-neighbour up-sampling, and sums, means and maxima of windows.

Their derivatives are made of slices and sums: XLA's own are the same numbers, but on a CPU they
take two to ten times as long.
"""

import functools
import itertools

import jax
import jax.numpy as jnp

from fish_jax.networks.ops.derivatives import custom_vjp, derive_from_adjoints

Pair = tuple[int, int]
Saved = tuple[jax.Array, jax.Array]


def _parts(images: jax.Array, size: Pair) -> list[jax.Array]:
    """The pixels at each place of a window, row by row: [N, H // size[0], W // size[1], C] each."""
    height, width = images.shape[1] // size[0] * size[0], images.shape[2] // size[1] * size[1]
    places = itertools.product(range(size[0]), range(size[1]))
    return [images[:, i : height : size[0], j : width : size[1]] for i, j in places]


def _interleave(parts: list[jax.Array], size: Pair) -> jax.Array:
    """The images of which these are the `_parts`, of whole windows."""
    rows = [
        jnp.stack(parts[i * size[1] : (i + 1) * size[1]], 3).reshape(
            *parts[0].shape[:2], -1, parts[0].shape[3]
        )
        for i in range(size[0])
    ]
    return jnp.stack(rows, 2).reshape(parts[0].shape[0], -1, *rows[0].shape[2:])


@custom_vjp(1)
def upsample_nearest(images: jax.Array, size: Pair) -> jax.Array:
    """Repeats rows and columns: [N, H, W, C] to [N, size[0]*H, size[1]*W, C]."""
    count, height, width, channels = images.shape
    shape = (count, height, size[0], width, size[1], channels)
    output = jnp.broadcast_to(images[:, :, None, :, None], shape)
    return output.reshape(count, height * size[0], width * size[1], channels)


@custom_vjp(1)
def sum_pool(images: jax.Array, size: Pair) -> jax.Array:
    """Sums of windows: [N, H, W, C], of whole windows, to [N, H / size[0], W / size[1], C]."""
    return functools.reduce(jnp.add, _parts(images, size))


derive_from_adjoints(upsample_nearest, sum_pool)


def whole_windows(images: jax.Array, size: Pair) -> jax.Array:
    """The images without the rows and columns after the last whole window."""
    height, width = (side // s * s for side, s in zip(images.shape[1:3], size))
    return images[:, :height, :width]


def mean_pool(images: jax.Array, size: Pair) -> jax.Array:
    """Means of windows: [N, H, W, C] to [N, H // size[0], W // size[1], C].

    Rows and columns after the last whole window are left out.
    """
    return sum_pool(whole_windows(images, size), size) / (size[0] * size[1])


@custom_vjp(1)
def max_pool(images: jax.Array, size: Pair) -> jax.Array:
    """Maxima of windows: [N, H, W, C] to [N, H // size[0], W // size[1], C].

    Rows and columns after the last whole window are left out. The cotangent goes to the first
    maximum of a window, row by row.
    """
    return functools.reduce(jnp.maximum, _parts(images, size))


def _max_pool_forward(images: jax.Array, size: Pair) -> tuple[jax.Array, Saved]:
    maxima = max_pool(images, size)
    return maxima, (images, maxima)


def _max_pool_backward(size: Pair, saved: Saved, cotangent: jax.Array) -> tuple[jax.Array]:
    images, maxima = saved
    free, parts = jnp.ones(maxima.shape, bool), []
    for part in _parts(images, size):
        first = free & (part == maxima)
        parts.append(jnp.where(first, cotangent, jnp.zeros_like(cotangent)))
        free &= ~first
    whole = _interleave(parts, size)
    missing = [(0, side - made) for side, made in zip(images.shape, whole.shape)]
    return (jnp.pad(whole, missing),)


max_pool.defvjp(_max_pool_forward, _max_pool_backward)
