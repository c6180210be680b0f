"""Torn images: real images whose shapes are broken, for the encoder to tell from real ones.

Each function of `TORN` takes a key and images [N, H, W, 3] in [0, 1] and returns as many. Images
lie in random order, and the one before an image is its partner. Drawn with replacement, it is at
times the same image, which then stays whole.

References:
  Gidaris et al., Unsupervised Representation Learning by Predicting Image Rotations, 2018 (labels
  that a transformation gives for nothing), https://arxiv.org/abs/1803.07728
  Sinha et al., Negative Data Augmentation, 2021 (torn images as those that generators must not
  draw), https://arxiv.org/abs/2102.05113
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

Tear = Callable[[jax.Array, jax.Array], jax.Array]

_WAVES = 8  # of each direction of a warp


def shuffle(key: jax.Array, images: jax.Array, across: int) -> jax.Array:
    """Shuffles square blocks, `across` of which fill the shorter side; a border may be left."""
    count, height, width, channels = images.shape
    side = min(height, width) // across
    rows, columns = height // side, width // side
    whole = images[:, : rows * side, : columns * side]
    blocks = whole.reshape(count, rows, side, columns, side, channels).swapaxes(2, 3)
    blocks = blocks.reshape(count, rows * columns, side, side, channels)
    keys = jax.random.split(key, count)
    blocks = jax.vmap(jax.random.permutation)(keys, blocks)
    blocks = blocks.reshape(count, rows, columns, side, side, channels).swapaxes(2, 3)
    return images.at[:, : rows * side, : columns * side].set(blocks.reshape(whole.shape))


def _partners(images: jax.Array) -> jax.Array:
    """The image before each."""
    return jnp.roll(images, 1, axis=0)


def _uniform(key: jax.Array, images: jax.Array, low: float, high: float) -> jax.Array:
    """Draws a number for each image, [N, 1, 1, 1]."""
    return jax.random.uniform(key, (len(images), 1, 1, 1), minval=low, maxval=high)


def _places(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where rows and columns lie in [0, 1): [1, H, 1, 1] and [1, 1, W, 1]."""
    height, width = images.shape[1:3]
    rows, columns = jnp.arange(height) / height, jnp.arange(width) / width
    return rows[None, :, None, None], columns[None, None, :, None]


def stitch(key: jax.Array, images: jax.Array) -> jax.Array:
    """Cuts two images across, mostly from top to bottom, and joins a part of each."""
    keys = jax.random.split(key)
    cut, upright = _uniform(keys[0], images, 0.3, 0.7), _uniform(keys[1], images, 0, 1) < 0.75
    rows, columns = _places(images)
    return jnp.where(jnp.where(upright, columns, rows) < cut, images, _partners(images))


def blend(key: jax.Array, images: jax.Array) -> jax.Array:
    """Lets another image shine through."""
    share = _uniform(key, images, 0.3, 0.5)
    return (1 - share) * images + share * _partners(images)


def patch(key: jax.Array, images: jax.Array) -> jax.Array:
    """Covers a rectangle with another image or with the mean colour."""
    keys = jax.random.split(key, 4)
    side = _uniform(keys[0], images, 0.35, 0.75)
    inside = jnp.ones((), bool)
    for places, place_key in zip(_places(images), keys[1:3]):
        start = _uniform(place_key, images, 0, 1) * (1 - side)
        inside = inside & (places >= start) & (places < start + side)
    mean = jnp.broadcast_to(images.mean((1, 2), keepdims=True), images.shape)
    cover = jnp.where(_uniform(keys[3], images, 0, 1) < 0.5, _partners(images), mean)
    return jnp.where(inside, cover, images)


def warp(key: jax.Array, images: jax.Array) -> jax.Array:
    """Moves pixels along smooth random waves, by 1/14 to 1/5 of the shorter side."""
    keys, shape = jax.random.split(key, 3), images.shape
    least = min(shape[1:3])
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, shape[1:3]), indexing="ij"))
    grid = grid.astype(images.dtype)
    draw = functools.partial(jax.random.uniform, dtype=images.dtype)
    frequencies = draw(keys[0], (shape[0], 2, _WAVES, 2), minval=-2, maxval=2) / least
    phases = draw(keys[1], (shape[0], 2, _WAVES, 1, 1))
    waves = jnp.einsum("ndwa,ahx->ndwhx", frequencies, grid) + phases
    field = jnp.cos(2 * jnp.pi * waves).sum(2) / jnp.sqrt(_WAVES / 2)
    amplitude = _uniform(keys[2], images, least / 14, least / 5)
    return jax.vmap(_read)(images, grid[None] + amplitude * field)


def _read(image: jax.Array, places: jax.Array) -> jax.Array:
    """Reads an image [H, W, 3] at places [2, H, W], linearly; outside, its border pixels repeat."""
    interpolate = lambda channel: jax.scipy.ndimage.map_coordinates(
        channel, list(places), order=1, mode="nearest"
    )
    return jnp.stack([interpolate(image[:, :, channel]) for channel in range(3)], axis=-1)


def scramble(key: jax.Array, images: jax.Array) -> jax.Array:
    """Keeps the spectrum of each colour and no phase: textures without shapes."""
    noise = jax.random.normal(key, images.shape[:3], images.dtype)
    angles = jnp.angle(jnp.fft.fft2(noise)).at[:, 0, 0].set(0)
    turns = jax.lax.complex(jnp.cos(angles), jnp.sin(angles))
    spectrum = jnp.fft.fft2(images, axes=(1, 2)) * turns[..., None]
    return jnp.clip(jnp.fft.ifft2(spectrum, axes=(1, 2)).real, 0, 1)


# Each with the images of a batch that it tears: more of those that are hard to tell.
TORN: tuple[tuple[Tear, int], ...] = (
    (functools.partial(shuffle, across=2), 4),
    (functools.partial(shuffle, across=4), 3),
    (functools.partial(shuffle, across=7), 2),
    (stitch, 6),
    (blend, 8),
    (patch, 4),
    (warp, 4),
    (scramble, 2),
)


def augment(key: jax.Array, images: jax.Array) -> jax.Array:
    """Augments images, real and torn, in ways that leave shapes whole.

    Mirrors, blurs by up to a pixel, multiplies each colour by up to 1.16 or divides by it, and adds
    noise of up to 15 grey levels.
    """
    keys = jax.random.split(key, 5)
    images = jnp.where(_uniform(keys[0], images, 0, 1) < 0.5, images[:, :, ::-1], images)
    # Two passes of [1 2 1] / 4 along both sides have the variance of a pixel.
    passes = jnp.maximum(_uniform(keys[1], images, -2, 2), 0)
    for number in range(2):
        images += jnp.clip(passes - number, 0, 1) * (_smooth(images) - images)
    gains = jax.random.uniform(keys[2], (len(images), 1, 1, 3), minval=-0.15, maxval=0.15)
    strength = jnp.maximum(_uniform(keys[3], images, -0.06, 0.06), 0)
    noise = strength * jax.random.normal(keys[4], images.shape)
    return jnp.clip(images * jnp.exp(gains) + noise, 0, 1)


def _smooth(images: jax.Array) -> jax.Array:
    """Filters both sides with [1 2 1] / 4."""
    for axis in (1, 2):
        edges = [(1, 1) if at == axis else (0, 0) for at in range(4)]
        padded, length = jnp.pad(images, edges, "edge"), images.shape[axis]
        cut = functools.partial(jax.lax.slice_in_dim, padded, axis=axis)
        images = 0.25 * cut(0, length) + 0.5 * images + 0.25 * cut(2, length + 2)
    return images
