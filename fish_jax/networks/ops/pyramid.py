"""Images of a pyramid: each level is twice as high and wide as the one below, or a pixel less.

`halve` undoes `double`: what a level adds to the enlarged image of the level below can begin at
zero without a change to what a network sees of the levels below.
"""

import jax
import jax.numpy as jnp

from fish_jax.networks.ops import linear_resampling, pooling
from fish_jax.networks.ops.pooling import Pair


def halved(side: int, times: int) -> int:
    """A side halved so many times, each time rounded up."""
    return -(-side // 2**times)


def halved_size(size: Pair, times: int = 1) -> Pair:
    """The size of an image halved so many times, each time rounded up."""
    return halved(size[0], times), halved(size[1], times)


def halve(images: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels; of a last row or column that has no partner, of the pixels there are.

    Args:
      images: [N, H, W, C].

    Returns:
      [N, ceil(H / 2), ceil(W / 2), C].
    """
    odd = [(0, side % 2) for side in images.shape[1:3]]
    return pooling.mean_pool(jnp.pad(images, ((0, 0), *odd, (0, 0)), "edge"), (2, 2))


def _split(images: jax.Array, axis: int) -> jax.Array:
    """Halves each pixel along an axis, along the slope between its neighbours.

    The two halves have the pixel's mean. Pixels at the border have no slope.
    """
    length = images.shape[axis]
    if length < 3:
        return jnp.repeat(images, 2, axis)
    take = lambda start, stop: jax.lax.slice_in_dim(images, start, stop, axis=axis)
    edges = [(1, 1) if each == axis else (0, 0) for each in range(images.ndim)]
    slope = jnp.pad((take(2, length) - take(0, length - 2)) / 8, edges)
    parts = jnp.stack([images - slope, images + slope], axis + 1)
    return parts.reshape(*images.shape[:axis], -1, *images.shape[axis + 1 :])


def double(images: jax.Array, size: Pair) -> jax.Array:
    """Enlarges images so that `halve` gives them back.

    Args:
      images: [N, h, w, C].
      size: (H, W), each twice the side or one less.

    Returns:
      [N, H, W, C].
    """
    return _split(_split(images, 1), 2)[:, : size[0], : size[1]]


def double_features(features: jax.Array, size: Pair) -> jax.Array:
    """Enlarges features to the sizes of `double`, by linear interpolation between pixels' centres.

    [N, h, w, C] to [N, H, W, C].
    """
    return linear_resampling.upsample_linear(features, (2, 2))[:, : size[0], : size[1]]
