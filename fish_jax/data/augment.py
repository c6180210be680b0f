"""Differentiable augmentation of the discriminator's images (DiffAugment), and random flips.

Each image has its own key, so that its augmentation does not depend on how a batch is split.

References:
  Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, 2020,
  https://arxiv.org/abs/2006.10738
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of each side


def _uniform(keys: jax.Array, dtype: jax.typing.DTypeLike) -> jax.Array:
    """Draws a number in [0, 1) for each key, [N, 1, 1, 1]."""
    draw = jax.vmap(lambda key: jax.random.uniform(key, (), dtype))
    return draw(keys)[:, None, None, None]


def _keys(keys: jax.Array, count: int) -> list[jax.Array]:
    """Splits each key into several: `count` arrays of N keys."""
    return list(jax.vmap(lambda key: jax.random.split(key, count))(keys).swapaxes(0, 1))


def color(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Changes brightness, then saturation, then contrast, as the paper does.

    U(-0.5, 0.5) is added to each image; the distance of its channels from their mean is multiplied
    by U(0, 2), and that of its pixels from the image's mean by U(0.5, 1.5). Alpha, the fourth
    channel, stays as it is.

    Args:
      images: [N, H, W, C] in [-1, 1].
      keys: N keys.

    Returns:
      [N, H, W, C], not clipped to [-1, 1].
    """
    if images.shape[3] == 4:
        return jnp.concatenate([color(images[..., :3], keys), images[..., 3:]], axis=3)
    brightness, saturation, contrast = (_uniform(each, images.dtype) for each in _keys(keys, 3))
    images = images + (brightness - 0.5)
    grey = jnp.mean(images, axis=3, keepdims=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = jnp.mean(images, axis=(1, 2, 3), keepdims=True)
    return (images - mean) * (contrast + 0.5) + mean


@jax.custom_vjp
def shift(images: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Translates each image by whole pixels and fills with zeros.

    Args:
      images: [N, H, W, C].
      rows, columns: how far down and to the right, int32 [N]; less than the sides.

    Returns:
      [N, H, W, C].
    """
    height, width = images.shape[1:3]

    def move(image: jax.Array, down: jax.Array, right: jax.Array) -> jax.Array:
        # Pixels that leave at one side reappear at the other, and are set to 0 there.
        shifts: Any = (down, right)  # JAX declares integers alone.
        image = jnp.roll(image, shifts, (0, 1))
        row, column = jnp.arange(height)[:, None, None], jnp.arange(width)[None, :, None]
        stays = (row >= down) & (row < height + down) & (column >= right) & (column < width + right)
        return jnp.where(stays, image, 0)

    return jax.vmap(move)(images, rows, columns)


# The adjoint is the opposite translation; JAX would derive a slow scatter from the gather.
shift.defvjp(
    lambda images, rows, columns: (shift(images, rows, columns), (rows, columns)),
    lambda shifts, cotangent: (shift(cotangent, -shifts[0], -shifts[1]), None, None),
)


def _whole(keys: jax.Array, least: int, most: int) -> jax.Array:
    """Draws a whole number from `least` to `most` for each key, int32 [N]."""
    return jax.vmap(lambda key: jax.random.randint(key, (), least, most + 1))(keys)


def translation(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Translates each image by up to an eighth of its sides, in whole pixels; fills with grey, 0.

    Args:
      images: [N, H, W, C] in [-1, 1].
      keys: N keys.

    Returns:
      [N, H, W, C].
    """
    most = [int(side * SHIFT + 0.5) for side in images.shape[1:3]]
    rows, columns = (_whole(each, -m, m) for each, m in zip(_keys(keys, 2), most))
    return shift(images, rows, columns)


def cutout(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Fills a box of half of each side with grey, 0; its centre is a random pixel of the image.

    Args:
      images: [N, H, W, C] in [-1, 1].
      keys: N keys.

    Returns:
      [N, H, W, C].
    """
    inside = True
    for each, axis in zip(_keys(keys, 2), (1, 2)):
        side = images.shape[axis]
        box = int(side * CUT + 0.5)
        first = _whole(each, 0, side - box % 2) - box // 2
        shape = [1, 1, 1, 1]
        shape[axis] = side
        place = jnp.arange(side).reshape(shape) - first[:, None, None, None]
        inside = inside & (place >= 0) & (place < box)
    return jnp.where(inside, 0, images)


# In the order in which they are applied.
AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}


def read_policy(text: str) -> tuple[str, ...]:
    """Reads a policy such as "color,translation,cutout".

    Returns:
      The names, in the order of `AUGMENTATIONS`.

    Raises:
      ValueError: an unknown name, or one given twice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(set(names)) < len(names) or not set(names) <= set(AUGMENTATIONS):
        raise ValueError(text)
    return tuple(name for name in AUGMENTATIONS if name in names)


def augment(images: jax.Array, keys: jax.Array, policy: Sequence[str]) -> jax.Array:
    """Augments each image with its own key.

    Args:
      images: [N, H, W, C] in [-1, 1].
      keys: N keys.
      policy: names of `AUGMENTATIONS`.

    Returns:
      [N, H, W, C], a differentiable function of the images.
    """
    for name, each in zip(AUGMENTATIONS, _keys(keys, len(AUGMENTATIONS))):
        if name in policy:
            images = AUGMENTATIONS[name](images, each)
    return images


def flip(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability 1/2.

    Args:
      images: [N, H, W, C] of any type.
      keys: N keys.

    Returns:
      [N, H, W, C].
    """
    mirrored = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
