"""Precision, recall, density, coverage and memorisation, by nearest neighbours of features.

Features are [N, D] of any space, one row per image, taken as float32. A set's manifold is the union
of balls, one around each vector, that reach to its k-th nearest neighbour in the set.

    precision_recall(real, fake)     fidelity and diversity, k = 3, `<=`
    density_coverage(real, fake)     the same with the real balls only, k = 5, `<`
    nearest(fake, training)          the nearest training image of each image

Squared distances are sums of squared differences, pair by pair. The usual |x|^2 + |y|^2 - 2 x.y is
faster, but near copies cancel in it: of two vectors 1e-4 apart it leaves no digit even where the
features are centred. The sum of differences has a relative error near 2e-7, is exactly 0 for
equal vectors, and is the same number wherever a pair stands, so that ties are kept.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.evaluation.metrics.distances import check_dimensions, check_features


class PrecisionRecall(NamedTuple):
    """Two fractions in [0, 1].

    Attributes:
      precision: of generated images, those inside the real manifold.
      recall: of real images, those inside the generated manifold.
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """Two numbers >= 0.

    Attributes:
      density: how many real balls hold a generated image, over k; 1 in expectation for two samples
        of one distribution, and above 1 where generated images crowd into dense places.
      coverage: the fraction of real balls that hold a generated image, <= 1; in expectation
        `expected_coverage` for two samples of one distribution.
    """

    density: float
    coverage: float


class Nearest(NamedTuple):
    """The closest key of each query.

    Attributes:
      distance: Euclidean, [N] float32.
      index: of the key, [N] integers; the first where several are as close.
    """

    distance: np.ndarray
    index: np.ndarray


_AT_ONCE = 8  # dimensions


@jax.jit
def _squared_distances(queries: jax.Array, keys: jax.Array) -> jax.Array:
    """Squared distances of all pairs, a few dimensions at a time.

    One sum over all dimensions takes XLA minutes to compile for a GPU.
    """
    missing = -queries.shape[1] % _AT_ONCE
    queries, keys = (jnp.pad(side, ((0, 0), (0, missing))).T for side in (queries, keys))

    def add(index: int, sums: jax.Array) -> jax.Array:
        few = lambda side: jax.lax.dynamic_slice_in_dim(side, index * _AT_ONCE, _AT_ONCE)
        for query, key in zip(few(queries), few(keys)):
            sums += jnp.square(query[:, None] - key[None])
        return sums

    empty = jnp.zeros((queries.shape[1], keys.shape[1]), queries.dtype)
    return jax.lax.fori_loop(0, len(queries) // _AT_ONCE, add, empty)


def _blocks(vectors: np.ndarray, block_size: int) -> list[np.ndarray]:
    """Cuts rows into blocks of one size, for one program; zeros fill the last block."""
    count = math.ceil(len(vectors) / block_size)
    rows = math.ceil(len(vectors) / count)
    padded = np.pad(vectors, ((0, count * rows - len(vectors)), (0, 0)))
    return np.split(padded.astype(np.float32), count)


def _rows_of_squared_distances(
    queries: np.ndarray, keys: np.ndarray, block_size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields which queries, and their squared distances to all keys, [<= `block_size`, M]."""
    if block_size < 1:
        raise ValueError(f"blocks must have at least 1 row, not {block_size}")
    key_blocks = [jnp.asarray(block) for block in _blocks(keys, block_size)]
    first = 0
    for block in _blocks(queries, block_size):
        count = min(len(block), len(queries) - first)
        tiles = [_squared_distances(block, key_block) for key_block in key_blocks]
        rows = np.concatenate([np.asarray(tile) for tile in tiles], axis=1)[:count, : len(keys)]
        if not np.isfinite(rows).all():
            raise ValueError("features are too large: their squared distances are beyond float32")
        yield slice(first, first + count), rows
        first += count


def _squared_radii(vectors: np.ndarray, k: int, block_size: int) -> np.ndarray:
    """The squared distance of each vector to its k-th neighbour, [N]."""
    radii = np.empty(len(vectors), np.float32)
    for which, rows in _rows_of_squared_distances(vectors, vectors, block_size):
        radii[which] = np.partition(rows, k, axis=1)[:, k]  # [0] is the vector itself
    return radii


def _check_pair(
    real: jax.Array | np.ndarray, fake: jax.Array | np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    real, fake = check_features("real", real), check_features("fake", fake)
    check_dimensions(real, fake)
    if len(real) != len(fake):
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake features: only equal numbers can be compared"
        )
    if not 1 <= k < len(real):
        raise ValueError(f"k = {k} neighbours of {len(real)} features: it must be 1 to N - 1")
    return real, fake


def precision_recall(
    real: jax.Array | np.ndarray,
    fake: jax.Array | np.ndarray,
    *,
    k: int = 3,
    block_size: int = 1000,
) -> PrecisionRecall:
    """Computes the shares of generated images in the real manifold, and of real in the generated.

        precision = mean_j [|f_j - r_i| <= radius_k(r_i) for some i]
        recall    = mean_i [|r_i - f_j| <= radius_k(f_j) for some j]

    radius_k is the distance to the k-th nearest of the other vectors of the set: the (k + 1)-th
    where the vector itself is counted, as the paper's code does. Both depend on N and, for one
    distribution, are far from 1 in many dimensions: compare with real images at the same N.

    Args:
      real: features of real images, [N, D] floats.
      fake: features of as many generated images, [N, D] floats.
      k: neighbours, 1 to N - 1.
      block_size: rows of a distance matrix held at a time, `block_size` x N floats.

    Raises:
      ValueError: other shapes or types, values that are not finite, different N, or another k.

    References:
      Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
      2019, https://arxiv.org/abs/1904.06991
    """
    real, fake = _check_pair(real, fake, k)
    real_radii = _squared_radii(real, k, block_size)
    fake_radii = _squared_radii(fake, k, block_size)
    precise = np.zeros(len(fake), bool)
    recalled = np.zeros(len(real), bool)
    for which, rows in _rows_of_squared_distances(fake, real, block_size):
        precise[which] = np.any(rows <= real_radii, axis=1)
        recalled |= np.any(rows <= fake_radii[which, None], axis=0)
    return PrecisionRecall(float(np.mean(precise)), float(np.mean(recalled)))


def density_coverage(
    real: jax.Array | np.ndarray,
    fake: jax.Array | np.ndarray,
    *,
    k: int = 5,
    block_size: int = 1000,
) -> DensityCoverage:
    """Computes how densely generated images fill the real balls, and the share of balls reached.

        density  = 1 / (k N) sum_j #{i : |f_j - r_i| < radius_k(r_i)}
        coverage = mean_i [|f_j - r_i| < radius_k(r_i) for some j]

    with radius_k as in `precision_recall`, of real images only. The inequality is strict, as in the
    paper's code: generated images that are the real ones have density and coverage 1.

    Args:
      real: features of real images, [N, D] floats.
      fake: features of as many generated images, [N, D] floats.
      k: neighbours, 1 to N - 1.
      block_size: rows of a distance matrix held at a time, `block_size` x N floats.

    Raises:
      ValueError: other shapes or types, values that are not finite, different N, or another k.

    References:
      Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020,
      https://arxiv.org/abs/2002.09797
    """
    real, fake = _check_pair(real, fake, k)
    radii = _squared_radii(real, k, block_size)
    inside, covered = 0, np.zeros(len(real), bool)
    for _, rows in _rows_of_squared_distances(fake, real, block_size):
        within = rows < radii
        inside += np.count_nonzero(within)
        covered |= np.any(within, axis=0)
    return DensityCoverage(float(inside / (k * len(fake))), float(np.mean(covered)))


class SquaredDistances(NamedTuple):
    """Squared distances of all pairs of vectors of two sets, float32.

    Attributes:
      real, fake: within the sets, [N, N].
      between: from each of the fake to each of the real vectors, [N, N].
    """

    real: np.ndarray
    fake: np.ndarray
    between: np.ndarray

    def subset(self, real: np.ndarray, fake: np.ndarray) -> "SquaredDistances":
        """The distances of subsets, by the indices of their vectors."""
        within = self.real[np.ix_(real, real)], self.fake[np.ix_(fake, fake)]
        return SquaredDistances(*within, self.between[np.ix_(fake, real)])


def squared_distances(
    real: jax.Array | np.ndarray, fake: jax.Array | np.ndarray, *, block_size: int = 1000
) -> SquaredDistances:
    """Computes the distances of all pairs, for the scores of many subsets of two sets.

    Args:
      real, fake: features, [N, D] floats.
      block_size: as of `nearest`.

    Returns:
      The squared distances within and between the sets.

    Raises:
      ValueError: other shapes or types, values that are not finite, or different N.
    """
    real, fake = _check_pair(real, fake, 1)
    whole = lambda queries, keys: np.concatenate(
        [rows for _, rows in _rows_of_squared_distances(queries, keys, block_size)]
    )
    return SquaredDistances(whole(real, real), whole(fake, fake), whole(fake, real))


def neighbour_scores(pairs: SquaredDistances) -> tuple[float, float, float, float]:
    """Computes precision and recall, k = 3, and density and coverage, k = 5, from distances.

    Args:
      pairs: of `squared_distances`, of more than 5 vectors on each side.

    Returns:
      Precision, recall, density and coverage, as `precision_recall` and `density_coverage` have
      them.
    """
    k, wider = 3, 5
    real = np.partition(pairs.real, (k, wider), axis=1)
    fake = np.partition(pairs.fake, k, axis=1)[:, k]
    precise = np.any(pairs.between <= real[:, k], axis=1)
    recalled = np.any(pairs.between <= fake[:, None], axis=0)
    within = pairs.between < real[:, wider]
    density = np.count_nonzero(within) / (wider * len(within))
    coverage = np.mean(np.any(within, axis=0))
    return float(np.mean(precise)), float(np.mean(recalled)), float(density), float(coverage)


def expected_coverage(n: int, k: int = 5) -> float:
    """Computes the mean coverage of two samples of one continuous distribution, in any dimension.

        1 - prod_{i = 1..k} (N - i) / (2 N - i)

    A ball is missed where the k nearest of the N - 1 other real and N generated vectors are real.
    The mean density of such samples is 1.

    Args:
      n: vectors in each sample.
      k: neighbours, 1 to N - 1.

    Raises:
      ValueError: k is not in 1 to N - 1.

    References:
      Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020,
      https://arxiv.org/abs/2002.09797
    """
    if not 1 <= k < n:
        raise ValueError(f"k = {k} neighbours of {n} features: it must be 1 to N - 1")
    return 1 - math.prod((n - i) / (2 * n - i) for i in range(1, k + 1))


def nearest(
    queries: jax.Array | np.ndarray, keys: jax.Array | np.ndarray, *, block_size: int = 1000
) -> Nearest:
    """Finds the nearest key of each query, by the Euclidean distance.

    Args:
      queries: features, [N, D] floats.
      keys: features, [M, D] floats.
      block_size: rows of the distance matrix held at a time, `block_size` x M floats.

    Raises:
      ValueError: other shapes or types, values that are not finite, or other dimensions.
    """
    queries, keys = check_features("query", queries), check_features("key", keys)
    check_dimensions(queries, keys)
    squares, index = np.empty(len(queries), np.float32), np.empty(len(queries), np.int64)
    for which, rows in _rows_of_squared_distances(queries, keys, block_size):
        index[which] = np.argmin(rows, axis=1)
        squares[which] = np.min(rows, axis=1)
    return Nearest(np.sqrt(squares), index)


def memorisation_ratio(
    fake: jax.Array | np.ndarray,
    held_out: jax.Array | np.ndarray,
    training: jax.Array | np.ndarray,
    *,
    block_size: int = 1000,
) -> float:
    """Computes how close generated images are to training images, relative to held-out images.

        median_j min_t |f_j - x_t| / median_i min_t |h_i - x_t|

    It is near 1 for images as new as held-out ones, and far below 1 for copies of training images.
    Above 1 it says nothing about copies: the images are unlike the training images.

    Args:
      fake: features of generated images, [N, D] floats.
      held_out: features of real images that were not trained on, [L, D] floats.
      training: features of the images trained on, [M, D] floats.
      block_size: as of `nearest`.

    Returns:
      A number >= 0.

    Raises:
      ValueError: other shapes or types, values that are not finite, other dimensions, or half of
        the held-out images are training images.
    """
    usual = np.median(nearest(held_out, training, block_size=block_size).distance)
    if usual == 0:
        raise ValueError("at least half of the held-out features are training features")
    return float(np.median(nearest(fake, training, block_size=block_size).distance) / usual)
