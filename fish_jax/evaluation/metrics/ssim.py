"""Structural similarity (SSIM) of pairs of images at five scales (MS-SSIM).

Among generated images it detects mode collapse and nothing else: images that all look alike have a
high `pair_similarity`. It says nothing about quality, and must be compared with the same number of
real images.

References:
  Wang et al., Image Quality Assessment: From Error Visibility to Structural Similarity, 2004,
  https://doi.org/10.1109/TIP.2003.819861
  Wang et al., Multi-scale Structural Similarity for Image Quality Assessment, 2003,
  https://doi.org/10.1109/ACSSC.2003.1292216
  Odena et al., Conditional Image Synthesis with Auxiliary Classifier GANs, 2017 (among generated
  images), https://arxiv.org/abs/1610.09585
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.evaluation.metrics.images import Images, check_images, to_floats
from fish_jax.utils.batching import map_padded

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Of the five scales, the finest first.
WINDOW = 11  # Pixels.
DEVIATION = 1.5  # Pixels, of the window's Gaussian.
RANGE = 255

_C1 = (0.01 * RANGE) ** 2
_C2 = (0.03 * RANGE) ** 2
_SMALLEST_SIDE = 2 ** (len(WEIGHTS) - 1)  # Pixels: one is left at the last scale.
_PAIRS_AT_A_TIME = 16  # Few enough for a cache, as they are compared in several passes.


# Several programs, not one: XLA would compute the first blur anew for each tap of the second.


@jax.jit
def _to_planes(images: Images) -> jax.Array:
    """Converts [N, H, W, 3] to floats [N, 3, H, W], around the middle of the range.

    XLA adds up shifted rows of this layout several times faster. The variances are differences of
    squares, which are smallest around the middle.
    """
    return to_floats(images).transpose(0, 3, 1, 2) - RANGE / 2


@jax.jit
def _moments(left: jax.Array, right: jax.Array) -> jax.Array:
    """The products whose means make up the similarity: [4, N, 3, H, W]."""
    return jnp.stack([left, right, left * right, jnp.square(left) + jnp.square(right)])


@functools.partial(jax.jit, static_argnums=(1, 2))
def _blur(planes: jax.Array, axis: int, size: int) -> jax.Array:
    """Means along an axis under a window of this size, wherever all of it fits."""
    offsets = (np.arange(size) - (size - 1) / 2) / (DEVIATION * size / WINDOW)
    window = np.exp(-np.square(offsets) / 2)
    window /= window.sum()
    count = planes.shape[axis] - size + 1
    # The type checker counts in the sum of no arrays, the integer 0.
    return sum(  # pyright: ignore[reportReturnType]
        float(weight) * jax.lax.slice_in_dim(planes, place, place + count, 1, axis)
        for place, weight in enumerate(window)
    )


@jax.jit
def _combine(moments: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarity, and its contrast and structure alone: means of blurred moments, [N] each."""
    left, right, product, squares = moments
    covariance = product - left * right
    variances = squares - jnp.square(left) - jnp.square(right)
    contrast = (2 * covariance + _C2) / (variances + _C2)
    left, right = left + RANGE / 2, right + RANGE / 2
    luminance = (2 * left * right + _C1) / (jnp.square(left) + jnp.square(right) + _C1)
    return jnp.mean(luminance * contrast, (1, 2, 3)), jnp.mean(contrast, (1, 2, 3))


def _compare(left: jax.Array, right: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Similarity, and its contrast and structure alone, of planes: [N, 3, H, W] to [N] each."""
    size = min(WINDOW, *left.shape[2:])
    return _combine(_blur(_blur(_moments(left, right), 3, size), 4, size))


@jax.jit
def _halve(planes: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels; the last of an odd number of rows or columns is left out."""
    height, width = planes.shape[2] // 2 * 2, planes.shape[3] // 2 * 2
    rows = planes[:, :, 0:height:2, :width] + planes[:, :, 1:height:2, :width]
    return (rows[..., 0::2] + rows[..., 1::2]) / 4


def _five_scales(left: jax.Array, right: jax.Array) -> jax.Array:
    """`ms_ssim` of planes: [N, 3, H, W] to [N]."""
    factors = []
    for _ in WEIGHTS:
        similarity, contrast = _compare(left, right)
        factors.append(contrast)
        left, right = _halve(left), _halve(right)
    factors[-1] = similarity
    powers = [jnp.maximum(factor, 0) ** weight for factor, weight in zip(factors, WEIGHTS)]
    return functools.reduce(jnp.multiply, powers)


def ms_ssim(left: Images, right: Images) -> np.ndarray:
    """Computes the structural similarity of pairs at five scales, each half of the one before.

        prod_{s = 1..4} max(cs_s, 0)^w_s * max(ssim_5, 0)^w_5

        cs = (2 c_lr + C2) / (v_l + v_r + C2)
        ssim = cs * (2 m_l m_r + C1) / (m_l^2 + m_r^2 + C1)

    with cs_s and ssim_5 the means over pixels and channels at scale s and at the fifth, and
    w = (.0448, .2856, .3001, .2363, .1333). Means m, variances v and covariance c are those under a
    Gaussian of 11 x 11 pixels and deviation 1.5, wherever all of it fits; C1 = (.01 * 255)^2,
    C2 = (.03 * 255)^2. Scales are means of 2 x 2 pixels, without a last odd row or column.

    Below 176 pixels the window no longer fits the last scale; window and deviation shrink to it:
    at 140 x 320 it has 8 pixels at the last scale, at 28 x 64 it has 11, 11, 7, 3 and 1. One pixel
    has no variance, and compares brightness alone. Compare numbers at one size only.

    Args:
      left, right: uint8, or floats of 0 to 255, [N, H, W, 3], H and W at least 16.

    Returns:
      float32 [N] in [0, 1]; 1 for equal images.

    Raises:
      ValueError: the two differ in shape, are of another shape or type, or have a side shorter
        than 16 pixels, of which nothing is left at the fifth scale.

    References:
      Wang et al., 2003, https://doi.org/10.1109/ACSSC.2003.1292216
    """
    if left.shape != right.shape:
        raise ValueError(f"pairs differ in shape: {list(left.shape)} and {list(right.shape)}")
    check_images(left)
    check_images(right)
    height, width = left.shape[1:3]
    if min(height, width) < _SMALLEST_SIDE:
        raise ValueError(
            f"five scales need sides of at least {_SMALLEST_SIDE} pixels, not {height} x {width}"
        )
    compare = lambda *sides: _five_scales(*map(_to_planes, sides))
    sides, size = (np.asarray(left), np.asarray(right)), min(_PAIRS_AT_A_TIME, len(left))
    return map_padded(compare, *sides, size=size).astype(np.float32)


def pair_similarity(images: Images, key: jax.Array) -> np.ndarray:
    """Computes the MS-SSIM of random pairs of a set's images, each image in at most one pair.

    The values are independent, so that their bootstrap is sound.

    Args:
      images: uint8, or floats of 0 to 255, [N, H, W, 3], N >= 2, H and W at least 16.
      key: the key of the pairs.

    Returns:
      float32 [N // 2] in [0, 1].

    Raises:
      ValueError: fewer than two images, or images that `ms_ssim` refuses.

    References:
      Odena et al., 2017, https://arxiv.org/abs/1610.09585
    """
    if len(images) < 2:
        raise ValueError(f"at least two images are needed, not {len(images)}")
    pairs = len(images) // 2
    order = np.asarray(jax.random.permutation(key, len(images)))
    images = np.asarray(images)
    return ms_ssim(images[order[:pairs]], images[order[pairs : 2 * pairs]])
