"""Up-sampling by linear interpolation, and its adjoint, down-sampling without aliasing.

Along a side, the pixels between two are interpolated between their centres; beyond the last centre
they are its pixel's. For a factor of 2 the weights are 1/4 and 3/4, the filter [1, 3, 3, 1] of
Karras et al., 2019, https://arxiv.org/abs/1912.04958. Down-sampling is the adjoint over the
factors, which takes means with the same weights: both keep an image of one colour as it is.
"""

from typing import Any

import jax
import jax.numpy as jnp

from fish_jax.networks.ops.derivatives import custom_vjp, derive_from_adjoints
from fish_jax.networks.ops.pooling import Pair, whole_windows


def _shares(factor: int) -> list[float]:
    """Distances of the new pixels in an old one from its centre, in its sides: -1/4, 1/4 for 2."""
    return [(phase + 0.5) / factor - 0.5 for phase in range(factor)]


def _concatenate(*cuts: tuple[jax.Array, int | None, int | None], axis: int) -> jax.Array:
    """Joins parts of arrays along an axis; a cut is (array, start, stop)."""
    whole = [slice(None)] * axis
    return jnp.concatenate([x[(*whole, slice(i, j))] for x, i, j in cuts], axis)


def _stretch(x: jax.Array, factor: int, axis: int) -> jax.Array:
    """Interpolates along one side."""
    if factor == 1:
        return x
    before = _concatenate((x, 0, 1), (x, 0, -1), axis=axis)
    after = _concatenate((x, 1, None), (x, -1, None), axis=axis)
    parts = [
        (1 - abs(share)) * x + abs(share) * (before if share < 0 else after)
        for share in _shares(factor)
    ]
    shape = (*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return jnp.stack(parts, axis + 1).reshape(shape)


def _gather(x: jax.Array, factor: int, axis: int) -> jax.Array:
    """The adjoint of `_stretch`: sums with the weights of a triangle, the sides mirrored."""
    if factor == 1:
        return x
    parts = [jax.lax.slice_in_dim(x, p, None, factor, axis) for p in range(factor)]
    weighted = list(zip(_shares(factor), parts))
    own: Any = sum((1 - abs(share)) * part for share, part in weighted)
    left: Any = sum(-share * part for share, part in weighted if share < 0)
    right: Any = sum(share * part for share, part in weighted if share > 0)
    of_next = _concatenate((left, 1, None), (right, -1, None), axis=axis)
    of_last = _concatenate((left, 0, 1), (right, 0, -1), axis=axis)
    return own + of_next + of_last


@custom_vjp(1)
def upsample_linear(images: jax.Array, size: Pair) -> jax.Array:
    """Interpolates between pixels: [N, H, W, C] to [N, size[0]*H, size[1]*W, C]."""
    return _stretch(_stretch(images, size[0], 1), size[1], 2)


@custom_vjp(1)
def sum_linear(images: jax.Array, size: Pair) -> jax.Array:
    """The adjoint: [N, H, W, C], of whole windows, to [N, H / size[0], W / size[1], C]."""
    return _gather(_gather(images, size[1], 2), size[0], 1)


# XLA's derivatives are the same numbers, but on a CPU they take several times as long.
derive_from_adjoints(upsample_linear, sum_linear)


def downsample_linear(images: jax.Array, size: Pair) -> jax.Array:
    """Smooths and subsamples: [N, H, W, C] to [N, H // size[0], W // size[1], C].

    Rows and columns after the last whole window are left out.
    """
    return sum_linear(whole_windows(images, size), size) / (size[0] * size[1])
