"""Scattering features of images: a fixed feature space without trained weights.

    found = wavelets.extract(images)     uint8 [N, H, W, 3] to float32 [N, 240]

The space is `NAME`; its number increases whenever an image would get other features. The
features describe colours, layout and textures, and no objects. Distances in this space are neither
FID nor KID, and compare only between images of one size.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.evaluation.features import batches
from fish_jax.utils.progress import Advance, ignore_advance

NAME = "scattering-1"
DIMENSION = 240

_LEVELS = 4
_ORIENTATIONS = 4

# Rows are red minus green, yellow minus blue, and brightness: orthonormal, so that noise of the
# pixels is as strong in each.
_OPPONENTS = np.array([[1, -1, 0], [1, 1, -2], [1, 1, 1]]) / np.sqrt([[2], [6], [3]])
BRIGHTNESS = 2
_BINOMIAL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
# The layout's share in distances is then like that of the textures.
_LAYOUT_SCALE = 4
# Of a modulus, whose unit is the range of a pixel: fainter textures than this are nearly alike.
_FAINT = 0.01


def opponents(images: jax.Array) -> jax.Array:
    """Converts uint8 [N, H, W, 3] to opponent colours of [0, 1] pixels, float32 [N, 3, H, W]."""
    matrix = np.float32(_OPPONENTS / 255)
    colours = images.astype(jnp.float32)
    return jnp.einsum("nhwc,oc->nohw", colours, matrix, precision=jax.lax.Precision.HIGHEST)


def shares(side: int, cells: int) -> np.ndarray:
    """The matrix, [side, cells], that takes means over `cells` equal parts of a side.

    A pixel that lies in two parts is shared; a part may be smaller than a pixel.
    """
    edges = np.arange(cells + 1) * side / cells
    pixels = np.arange(side)[:, None]
    overlap = np.minimum(pixels + 1, edges[1:]) - np.maximum(pixels, edges[:-1])
    return (np.maximum(overlap, 0) * cells / side).astype(np.float32)


def pool(maps: jax.Array, cells: int) -> jax.Array:
    """Averages [N, C, H, W] over cells x cells equal parts: [N, C, cells, cells]."""
    rows, columns = (shares(side, cells) for side in maps.shape[2:])
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("nchw,hr,wk->ncrk", maps, rows, columns, precision=exact)


def layout(colours: jax.Array) -> jax.Array:
    """Describes where colours are by means of 4 x 4 parts: [N, 3, H, W] to [N, 3, 4, 4]."""
    return _LAYOUT_SCALE * pool(colours, 4)


def log(maps: jax.Array) -> jax.Array:
    """Takes the logarithm of moduli >= 0, so that a factor counts the same at any contrast."""
    return jnp.log(maps + np.float32(_FAINT))


def _correlate(maps: jax.Array, *kernels: np.ndarray) -> list[jax.Array]:
    """Every second pixel of [N, C, H, W] correlated with each 5 x 5 kernel, mirrored borders."""
    # A sum of shifted images: on a CPU XLA makes one loop of it, which is three times as fast as
    # its convolution of one channel.
    height, width = maps.shape[2:]
    maps = jnp.pad(maps, ((0, 0), (0, 0), (2, 2), (2, 2)), "symmetric")
    shifted = {
        (y, x): maps[:, :, y : y + height : 2, x : x + width : 2]
        for y, x in np.ndindex(kernels[0].shape)
    }
    # The type checker counts in the sum of no arrays, the integer 0.
    return [  # pyright: ignore[reportReturnType]
        sum(shifted[at] * np.float32(kernel[at]) for at in shifted) for kernel in kernels
    ]


def halve(maps: jax.Array) -> jax.Array:
    """Halves the resolution of [N, C, H, W], rounding up, without aliasing."""
    return _correlate(maps, _BINOMIAL)[0]


@functools.cache
def _wavelets() -> tuple[np.ndarray, ...]:
    """Morlet wavelets of 8 / 3 pixels, complex [5, 5], without a mean, of unit norm."""
    y, x = np.mgrid[-2:3, -2:3]
    window = np.exp(-(x**2 + y**2) / (2 * 0.8**2))
    wavelets = []
    for angle in math.pi * np.arange(_ORIENTATIONS) / _ORIENTATIONS:
        wave = np.exp(0.75j * math.pi * (x * math.cos(angle) + y * math.sin(angle)))
        wavelet = window * (wave - np.sum(window * wave) / np.sum(window))
        wavelets.append(wavelet / np.linalg.norm(wavelet))
    return tuple(wavelets)


def moduli(maps: jax.Array) -> jax.Array:
    """The modulus of each orientation at every second pixel: [N, C, H, W] to [N, C, 4, h, w]."""
    parts = [part for wavelet in _wavelets() for part in (np.real(wavelet), np.imag(wavelet))]
    filtered = _correlate(maps, *parts)
    pairs = zip(filtered[::2], filtered[1::2])
    return jnp.stack([jnp.sqrt(real**2 + imaginary**2) for real, imaginary in pairs], axis=2)


@jax.jit
def scattering(images: jax.Array) -> jax.Array:
    """Computes the features of one batch, as `extract` describes them.

    Args:
      images: uint8 [N, H, W, 3], H and W >= 16.

    Returns:
      float32 [N, 240].
    """
    colours = opponents(images)
    features, textures = [layout(colours)], []
    for level in range(_LEVELS):
        if level:
            colours = halve(colours)
            # Textures of textures; over the first, so that the contrast counts once.
            finer = jnp.concatenate(textures, axis=1)
            second = log(jnp.mean(moduli(finer), (3, 4)))
            features.append(second - log(jnp.mean(finer, (2, 3)))[:, :, None])
            textures = [halve(finer)]
        sizes = moduli(colours)
        textures.append(sizes[:, BRIGHTNESS])
        features.append(log(pool(textures[-1], 2)))
        features.append(log(jnp.mean(sizes[:, :BRIGHTNESS], (3, 4))))
    return jnp.concatenate([part.reshape(len(images), -1) for part in features], axis=1)


def extract(images: np.ndarray, on_progress: Advance = ignore_advance) -> np.ndarray:
    """Extracts the features of images in the space `NAME`.

    Four octaves of wavelets, each at half the resolution of the one before. In this order, octave
    by octave after the first:

        48   mean opponent colours of 4 x 4 parts of the image, times 4; pixels are in [0, 1]
        96   of each octave but the first: textures of the brightness's finer textures,
             log(U2 + .01) - log(U1 + .01), whole image, 4 x 4 orientations
        64   log(U1 + .01), U1 the mean modulus of the brightness, 4 orientations, 2 x 2 parts
        32   the same of the two opponent colours, whole image

    Features are not standardised over a set: each image's depend on that image alone. Octaves are
    counted in pixels, so features of images of two sizes cannot be compared.

    Args:
      images: uint8 [N, H, W, 3], H and W >= 16, N >= 1; may be mapped from disk.
      on_progress: as in `batches.map_batches`.

    Returns:
      float32 [N, 240], on the host; the same on all devices but for rounding, about 1e-5.

    Raises:
      UserError: images that are too small.
      ValueError: other shapes or types.

    References:
      Bruna and Mallat, Invariant Scattering Convolution Networks, 2013,
      https://arxiv.org/abs/1203.1513
      Anden and Mallat, Deep Scattering Spectrum, 2014 (second order over first),
      https://arxiv.org/abs/1304.6763
    """
    batches.check_size(images)
    return batches.map_batches(scattering, images, on_progress)
