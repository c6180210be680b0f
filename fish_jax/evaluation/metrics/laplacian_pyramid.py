"""Laplacian pyramids: images split into one band of detail per scale (Burt and Adelson 1983)."""

import functools

import jax
import jax.numpy as jnp

from fish_jax.evaluation.metrics.images import Images, to_floats

SMALLEST_SIDE = 16  # Pixels: the shorter side of the last level is at least this.
_TAPS = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)

Size = tuple[int, int]


def level_sizes(height: int, width: int) -> tuple[Size, ...]:
    """Lists the sizes of the pyramid's levels: halved, rounding up, while both sides are >= 16.

    Args:
      height, width: those of the images, in pixels.

    Returns:
      (height, width) of each level, the size of the images first.

    Raises:
      ValueError: a side is shorter than 16 pixels, so that there is no level.
    """
    sizes = []
    size = (height, width)
    while min(size) >= SMALLEST_SIDE:
        sizes.append(size)
        size = (-(-size[0] // 2), -(-size[1] // 2))
    if not sizes:
        raise ValueError(
            f"images must have sides of at least {SMALLEST_SIDE} pixels, not {height} x {width}"
        )
    return tuple(sizes)


# One program for each axis: XLA would compute the first filter anew for each tap of the second.


@functools.partial(jax.jit, static_argnums=1)
def _halve(images: jax.Array, axis: int) -> jax.Array:
    """Filters along an axis, with mirrored borders, and keeps every second value, the first too."""
    padding = [(2, 2) if at == axis else (0, 0) for at in range(images.ndim)]
    padded = jnp.pad(images, padding, mode="reflect")
    span = images.shape[axis] - (images.shape[axis] + 1) % 2
    # The type checker counts in the sum of no arrays, the integer 0.
    return sum(  # pyright: ignore[reportReturnType]
        tap * jax.lax.slice_in_dim(padded, place, place + span, 2, axis)
        for place, tap in enumerate(_TAPS)
    )


@functools.partial(jax.jit, static_argnums=(1, 2))
def _double(images: jax.Array, axis: int, length: int) -> jax.Array:
    """Puts a zero after each value of an axis, filters with twice the taps, and crops to a length.

    Of every five taps, zeros meet two or three, and the others are 1 6 1 or 4 4, of 8. Mirrored
    borders put the second value before the first and repeat the last.
    """
    size = images.shape[axis]
    cut = lambda array, start, stop: jax.lax.slice_in_dim(array, start, stop, 1, axis)
    ends = (cut(images, 1, 2), cut(images, size - 1, size))
    padded = jnp.concatenate([ends[0], images, ends[1]], axis)
    before, here, after = (cut(padded, start, start + size) for start in range(3))
    pairs = jnp.stack([(before + 6 * here + after) / 8, (here + after) / 2], axis + 1)
    doubled = pairs.reshape(*images.shape[:axis], 2 * size, *images.shape[axis + 1 :])
    return cut(doubled, 0, length)


def enlarge(images: jax.Array, size: Size) -> jax.Array:
    """Doubles the resolution of images as the pyramid does, and crops them to a size.

    Args:
      images: floats [N, H, W, C].
      size: height and width of the level above, 2 H or 2 H - 1 and 2 W or 2 W - 1 pixels.

    Returns:
      Floats [N, *size, C].
    """
    return _double(_double(images, 1, size[0]), 2, size[1])


def laplacian_pyramid(images: Images) -> list[jax.Array]:
    """Splits images into bands of detail that add up again, with `enlarge`, to the images.

    Args:
      images: uint8 or floats, [N, H, W, C], H and W at least 16.

    Returns:
      Floats [N, h, w, C] for each of `level_sizes`: each level less its blur, and for the last
      the low-pass residual, in the images' unit.

    Raises:
      ValueError: a side is shorter than 16 pixels.

    References:
      Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983,
      https://doi.org/10.1109/TCOM.1983.1095851
    """
    sizes = level_sizes(*images.shape[1:3])
    levels = [to_floats(images)]
    for size in sizes[:-1]:
        smaller = _halve(_halve(levels[-1], 1), 2)
        levels[-1] -= enlarge(smaller, size)
        levels.append(smaller)
    return levels
