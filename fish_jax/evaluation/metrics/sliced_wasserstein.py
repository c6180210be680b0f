"""The sliced Wasserstein distance of two sets of images at each scale, without trained weights.

    real = descriptors(real_images, key)      once; real images do not change
    fake = descriptors(fake_images, fake_key)
    distance(real, fake, directions_key)[0]

Each level of a Laplacian pyramid holds one band of detail. Small patches of a level, drawn at
random from every image, are points of two sets, whose projections on random lines are compared.

References:
  Karras et al., Progressive Growing of GANs, 2018, section 5, https://arxiv.org/abs/1710.10196
  Rabin et al., Wasserstein Barycenter and Its Application to Texture Mixing, 2011,
  https://doi.org/10.1007/978-3-642-24785-9_37
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.evaluation.metrics.images import Images, check_images
from fish_jax.evaluation.metrics.laplacian_pyramid import Size, laplacian_pyramid, level_sizes
from fish_jax.utils.progress import Advance, ignore_advance

PATCH = 7  # Pixels, height and width.
PATCHES = 128  # Per image and level.
REPEATS = 4
DIRECTIONS = 128  # Per repeat.

SUBSET_DIRECTIONS = 16  # Not 4 x 128: the distance of a subset is about the same on these.

_MOST_IMAGES = 64  # That go through the device at a time.
_MOST_THREADS = 4  # Each sorts 150 MB at 2,000 images.
_LEAST_DEVIATION = 1e-3  # Of 255: what rounding makes of a constant.


class Descriptors(NamedTuple):
    """The patches of a set of images, in the host's memory.

    Attributes:
      sizes: height and width of each level, in pixels, the finest first.
      levels: float32 [128 * N, 147] for each level, image by image; each channel has mean 0 and
        standard deviation 1 over the set.
    """

    sizes: tuple[Size, ...]
    levels: tuple[np.ndarray, ...]


@jax.jit
def _draw_corners(
    key: jax.Array, numbers: jax.Array, index: int, height: int, width: int
) -> jax.Array:
    """Draws the corners of patches, [n, 128, 2], in the level of this index, of images [n]."""
    ends = jnp.array([[height - PATCH + 1, width - PATCH + 1]])

    def draw(number: jax.Array) -> jax.Array:
        image_key = jax.random.fold_in(jax.random.fold_in(key, number), index)
        return jax.random.randint(image_key, (PATCHES, 2), 0, ends)

    return jax.vmap(draw)(numbers)


@jax.jit
def _cut_patches(level: jax.Array, corners: jax.Array) -> jax.Array:
    """Cuts patches at corners, [n, 128, 2], row and column: [n, H, W, 3] to [n, 128, 147]."""

    def cut(image: jax.Array, corner: jax.Array) -> jax.Array:
        start = (corner[0], corner[1], jnp.zeros_like(corner[0]))
        return jax.lax.dynamic_slice(image, start, (PATCH, PATCH, 3)).reshape(-1)

    return jax.vmap(jax.vmap(cut, (None, 0)))(level, corners)


def _channel_means(descriptors: np.ndarray) -> np.ndarray:
    """The mean of each value's channel, over the set: [M, 147] to [147]."""
    means = descriptors.mean(0, dtype=np.float64).reshape(-1, 3).mean(0)
    return np.tile(means, PATCH * PATCH).astype(descriptors.dtype)


def _standardize(descriptors: np.ndarray) -> None:
    """Standardises each channel to mean 0 and deviation 1, in place: [M, 147]."""
    descriptors -= _channel_means(descriptors)
    deviations = np.sqrt(_channel_means(np.square(descriptors)))
    descriptors /= np.where(deviations > _LEAST_DEVIATION, deviations, 1)


def descriptors(
    images: Images, key: jax.Array, on_progress: Advance = ignore_advance
) -> Descriptors:
    """Draws 128 patches of 7 x 7 pixels from each level of each image's Laplacian pyramid.

    Each channel is standardised over all patches of the set. Image i draws from `fold_in(key, i)`,
    whatever the batches. A channel that does not vary at all, as of images of one colour, is 0; the
    paper's code divides by zero.

    2,000 images take 150 MB for each level.

    Args:
      images: uint8, or floats of 0 to 255, [N, H, W, 3], N >= 1.
      key: the key of the patches' places.
      on_progress: called with the number of images in each batch that is done.

    Returns:
      The descriptors of this set, for `distance`.

    Raises:
      ValueError: images of another shape or type, or with a side shorter than 16 pixels.
    """
    check_images(images)
    images = np.asarray(images)
    sizes, count = level_sizes(*images.shape[1:3]), len(images)
    levels = tuple(np.empty((count, PATCHES, PATCH * PATCH * 3), np.float32) for _ in sizes)
    numbers, size = np.arange(count, dtype=np.uint32), min(_MOST_IMAGES, count)
    for start in range(0, count, size):
        # The last batch begins early, so that all have one shape and share programs.
        batch = slice(min(start, count - size), min(start + size, count))
        for index, level in enumerate(laplacian_pyramid(images[batch])):
            corners = _draw_corners(key, numbers[batch], index, *sizes[index])
            levels[index][batch] = _cut_patches(level, corners)
        on_progress(min(size, count - start))
    levels = tuple(level.reshape(count * PATCHES, -1) for level in levels)
    for level in levels:
        _standardize(level)
    return Descriptors(sizes, levels)


def _projections(descriptors: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Projects descriptors on directions and sorts: [M, 147] and [128, 147] to [128, M]."""
    projections = directions @ descriptors.T
    projections.sort(axis=1)  # On a CPU, many times as fast as XLA's.
    return projections


def _directions(key: jax.Array, count: int, dimension: int) -> np.ndarray:
    """Draws directions uniformly on the sphere, [count, dimension]."""
    directions = np.array(jax.random.normal(key, (count, dimension), jnp.float32))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _mean_difference(real: np.ndarray, fake: np.ndarray) -> float:
    """The mean absolute difference, computed in the place of the first."""
    real -= fake
    return float(np.abs(real, out=real).mean(dtype=np.float64))


def _check_pair(real: Descriptors, fake: Descriptors) -> None:
    """Checks that two sets can be compared."""
    if real.sizes != fake.sizes:
        raise ValueError(f"levels differ in size: {list(real.sizes)} and {list(fake.sizes)}")
    counts = [len(side.levels[0]) // PATCHES for side in (real, fake)]
    if counts[0] != counts[1]:
        raise ValueError(
            f"both sides need the same number of images, not {counts[0]} and {counts[1]}"
        )


def distance(
    real: Descriptors, fake: Descriptors, key: jax.Array, *, repeats: int = REPEATS
) -> np.ndarray:
    """Computes the sliced Wasserstein distance x 1000: the average over levels, then of each level.

        1000 mean_{t, m} |sort(R t)_m - sort(F t)_m|

    for descriptors R and F, [M, 147], and 4 x 128 random unit vectors t.

    It falls as the number of images grows, even for two samples of one distribution: compare
    numbers at equal N only, beside that of real images against other real ones.

    Args:
      real, fake: from `descriptors`, of as many images of one size.
      key: the key of the directions.
      repeats: the repeats of 128 directions; fewer have the same expectation and a larger spread.

    Returns:
      float64 [1 + levels], >= 0: the average, then each level, the finest first; the same with the
      two sets exchanged.

    Raises:
      ValueError: the sets differ in the number or the size of their images.

    References:
      Karras et al., 2018, https://arxiv.org/abs/1710.10196
    """
    _check_pair(real, fake)

    def measure(task: int) -> float:
        level, repeat = divmod(task, repeats)
        a, b = real.levels[level], fake.levels[level]
        own = jax.random.fold_in(jax.random.fold_in(key, level), repeat)
        directions = _directions(own, DIRECTIONS, a.shape[1])
        return _mean_difference(_projections(a, directions), _projections(b, directions))

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        found = list(threads.map(measure, range(len(real.sizes) * repeats)))
    levels = 1000 * np.reshape(found, (-1, repeats)).mean(axis=1)
    return np.array([np.mean(levels), *levels])


class LevelProjections(NamedTuple):
    """One level of a set, projected on a few directions so that any subset can be standardised.

    Attributes:
      projections: the projections of each channel alone, float32 [3, 16, N, 128].
      means, squares: means of each image's channels and of their squares, float64 [N, 3].
      sums: the sums of each direction's components of each channel, [16, 3].
    """

    projections: np.ndarray
    means: np.ndarray
    squares: np.ndarray
    sums: np.ndarray


Levels = list[tuple[LevelProjections, LevelProjections]]  # both sides of each level


def _prepare_level(level: np.ndarray, directions: np.ndarray) -> LevelProjections:
    count = len(level) // PATCHES
    channels = [level[:, channel::3] for channel in range(3)]
    lines = [directions[:, channel::3] for channel in range(3)]
    projections = [line @ values.T for line, values in zip(lines, channels)]
    by_image = level.reshape(count, -1, 3)
    means = by_image.mean(axis=1, dtype=np.float64)
    squares = np.stack([np.einsum("nk,nk->n", side, side) for side in np.moveaxis(by_image, 2, 0)])
    return LevelProjections(
        np.reshape(projections, (3, len(directions), count, PATCHES)),
        means,
        squares.T.astype(np.float64) / by_image.shape[1],
        np.stack([line.sum(axis=1) for line in lines], axis=1),
    )


def prepare_subsets(real: Descriptors, fake: Descriptors, key: jax.Array) -> Levels:
    """Projects two sets on 16 random directions for each level, for `subset_distance`.

    2,000 images take 50 MB for each level and side.

    Args:
      real, fake: from `descriptors`, of as many images of one size.
      key: the key of the directions.

    Returns:
      Both sides of each level.

    Raises:
      ValueError: the sets differ in the number or the size of their images.
    """
    _check_pair(real, fake)
    levels = []
    for index, (left, right) in enumerate(zip(real.levels, fake.levels)):
        own = jax.random.fold_in(jax.random.fold_in(key, index), 0)
        directions = _directions(own, SUBSET_DIRECTIONS, left.shape[1])
        levels.append((_prepare_level(left, directions), _prepare_level(right, directions)))
    return levels


def _sorted_subset(level: LevelProjections, indices: np.ndarray) -> np.ndarray:
    """Standardises a subset and sorts it along each direction: [16, 128 * len(indices)]."""
    means = level.means[indices].mean(axis=0)
    deviations = np.sqrt(np.maximum(level.squares[indices].mean(axis=0) - means**2, 0))
    deviations = np.where(deviations > _LEAST_DEVIATION, deviations, 1)
    weights = (1 / deviations).astype(np.float32)
    red, green, blue = (
        weight * channel[:, indices] for channel, weight in zip(level.projections, weights)
    )
    values = (red + green + blue).reshape(len(red), -1)
    values -= (level.sums @ (means / deviations)).astype(np.float32)[:, None]
    values.sort(axis=1)
    return values


def subset_distance(levels: Levels, real: np.ndarray, fake: np.ndarray) -> np.ndarray:
    """Computes the distances x 1000 of subsets of two sets: their average, and that of each level.

    Each subset is standardised by itself. Standardised with the whole set, subsets would differ in
    colour and contrast, which `distance` does not see.

    Args:
      levels: of `prepare_subsets`.
      real, fake: indices of images in their sets, as many on each side, none twice.

    Returns:
      float64 [1 + levels].
    """

    def measure(sides: tuple[LevelProjections, LevelProjections]) -> float:
        left, right = (_sorted_subset(*pair) for pair in zip(sides, (real, fake)))
        return 1000 * _mean_difference(left, right)

    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as threads:
        found = list(threads.map(measure, levels))
    return np.array([np.mean(found), *found])
