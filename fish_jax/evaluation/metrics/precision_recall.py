"""Precision, recall, density, coverage and the nearest of other images, by distances of features.

Features are [N, D] of any space, one row per image, taken as float32. A set's manifold is the union
of balls, one around each vector, that reach to its k-th nearest neighbour in the set.

    neighbour_scores(squared_distances(real, fake))    fidelity and diversity
    nearest_distances(fake, training)                  how far the nearest training images are

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

from fish_jax.evaluation.metrics.distances import Features, check_pair

_MOST_ROWS = 1000  # of a matrix of distances that the device computes at a time
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


def _blocks(vectors: np.ndarray) -> list[np.ndarray]:
    """Cuts rows into blocks of one size, for one program; zeros fill the last block."""
    count = math.ceil(len(vectors) / _MOST_ROWS)
    rows = math.ceil(len(vectors) / count)
    padded = np.pad(vectors, ((0, count * rows - len(vectors)), (0, 0)))
    return np.split(padded.astype(np.float32), count)


def _rows_of_squared_distances(queries: np.ndarray, keys: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the squared distances of a block of queries to all keys, [<= 1000, M], in order."""
    key_blocks, left = [jnp.asarray(block) for block in _blocks(keys)], len(queries)
    for block in _blocks(queries):
        tiles = [_squared_distances(block, key_block) for key_block in key_blocks]
        rows = np.concatenate(tiles, axis=1)[:left, : len(keys)]
        if not np.isfinite(rows).all():
            raise ValueError("features are too large: their squared distances are beyond float32")
        yield rows
        left -= len(rows)


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


def squared_distances(real: Features, fake: Features) -> SquaredDistances:
    """Computes the distances of all pairs, for the scores of two sets or of many subsets of them.

    Args:
      real, fake: features, [N, D] floats.

    Raises:
      ValueError: other shapes or types, values that are not finite, or different N or D.
    """
    real, fake = check_pair(real, fake)
    if len(real) != len(fake):
        raise ValueError(
            f"{len(real)} real and {len(fake)} fake features: only equal numbers can be compared"
        )
    whole = lambda queries, keys: np.concatenate(list(_rows_of_squared_distances(queries, keys)))
    return SquaredDistances(whole(real, real), whole(fake, fake), whole(fake, real))


class NeighbourScores(NamedTuple):
    """Scores by nearest neighbours.

    Attributes:
      precision: of generated images, the share inside the real manifold.
      recall: of real images, the share inside the generated manifold.
      density: how many real balls hold a generated image, over k; 1 in expectation for two samples
        of one distribution, and above 1 where generated images crowd into dense places.
      coverage: the share of real balls that hold a generated image; in expectation
        1 - prod_{i = 1..k} (N - i) / (2 N - i) for two samples of one continuous distribution.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def neighbour_scores(pairs: SquaredDistances) -> NeighbourScores:
    """Computes precision and recall with k = 3, density and coverage with k = 5.

        precision = mean_j [|f_j - r_i| <= radius_k(r_i) for some i]
        recall    = mean_i [|r_i - f_j| <= radius_k(f_j) for some j]
        density   = 1 / (k N) sum_j #{i : |f_j - r_i| < radius_k(r_i)}
        coverage  = mean_i [|f_j - r_i| < radius_k(r_i) for some j]

    radius_k is the distance to the k-th nearest of the other vectors of the set: the (k + 1)-th
    where the vector itself is counted, as the papers' code does. That also has <= in precision and
    recall, < in density and coverage: copies of the real images score 1 in all. Precision and
    recall depend on N and, for one distribution, are far from 1 in many dimensions: compare with
    real images at the same N.

    Args:
      pairs: of `squared_distances`, of more than 5 vectors on each side.

    References:
      Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
      2019, https://arxiv.org/abs/1904.06991
      Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020,
      https://arxiv.org/abs/2002.09797
    """
    k, wider = 3, 5  # [0] is the vector itself
    real = np.partition(pairs.real, (k, wider), axis=1)
    fake = np.partition(pairs.fake, k, axis=1)[:, k]
    within = pairs.between < real[:, wider]
    return NeighbourScores(
        precision=float(np.any(pairs.between <= real[:, k], axis=1).mean()),
        recall=float(np.any(pairs.between <= fake[:, None], axis=0).mean()),
        density=float(np.count_nonzero(within) / (wider * len(within))),
        coverage=float(np.any(within, axis=0).mean()),
    )


def nearest_distances(queries: Features, keys: Features) -> np.ndarray:
    """Finds the Euclidean distance of each query to the nearest key.

    Args:
      queries: features, [N, D] floats.
      keys: features, [M, D] floats.

    Returns:
      float32 [N].

    Raises:
      ValueError: other shapes or types, values that are not finite, or other dimensions.
    """
    queries, keys = check_pair(queries, keys, ("query", "key"))
    blocks = _rows_of_squared_distances(queries, keys)
    return np.sqrt(np.concatenate([rows.min(axis=1) for rows in blocks]))
