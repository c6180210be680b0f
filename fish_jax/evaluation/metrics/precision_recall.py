"""Precision, recall, coverage and the nearest of other images, by distances of features.

Features are [N, D] of any space, one row per image, taken as float32.

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
      real: within the real set, [N, N].
      between: from each of the fake to each of the real vectors, [N, N].
    """

    real: np.ndarray
    between: np.ndarray

    def subset(self, real: np.ndarray, fake: np.ndarray) -> "SquaredDistances":
        """The distances of subsets, by the indices of their vectors."""
        return SquaredDistances(self.real[np.ix_(real, real)], self.between[np.ix_(fake, real)])


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
    return SquaredDistances(whole(real, real), whole(fake, real))


class NeighbourScores(NamedTuple):
    """Scores by nearest neighbours.

    Attributes:
      precision: the mean probability that a generated image is like a real one.
      recall: the mean probability that a real image is like a generated one.
      coverage: the share of real balls that hold a generated image; in expectation
        1 - prod_{i = 1..k} (N - i) / (2 N - i) for two samples of one continuous distribution.
    """

    precision: float
    recall: float
    coverage: float


def neighbour_scores(pairs: SquaredDistances) -> NeighbourScores:
    """Computes precision and recall by probabilities, and coverage by balls.

        R         = 1.2 mean_i radius(r_i)
        precision = 1 - mean_j prod_i min(|f_j - r_i| / R, 1)
        recall    = 1 - mean_i prod_j min(|f_j - r_i| / R, 1)
        coverage  = mean_i [|f_j - r_i| < radius(r_i) for some j]

    The radius is the distance to the fifth nearest of the other real vectors. Precision is Park and
    Kim's: a pair is alike with a probability that falls from 1 to 0 between the distances 0 and R.
    One R for all, the mean, keeps a single real outlier from being like everything, as it is in
    Kynkaanniemi's precision, where each real vector has a ball of its own radius. Recall has the
    same R; theirs takes the radii of the generated images instead, which are 0 for duplicates and
    large for rubble. Copies of the real images score 1 in precision and recall; two samples of one
    distribution stay below 1, the farther the more dimensions: compare with real images at the
    same N.

    What they miss: precision falls less than recall where few kinds are drawn, and can stay high;
    none sees that a kind is drawn too often. Naeem's density, the companion of coverage, is left
    out: it rewards crowding into dense places, and agreed least with people (docs/judging.md).

    Args:
      pairs: of `squared_distances`, of more than 5 vectors on each side.

    References:
      Park and Kim, Probabilistic Precision and Recall Towards Reliable Evaluation of Generative
      Models, 2023, https://arxiv.org/abs/2309.01590
      Kynkaanniemi et al., Improved Precision and Recall Metric for Assessing Generative Models,
      2019, https://arxiv.org/abs/1904.06991
      Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, 2020,
      https://arxiv.org/abs/2002.09797
    """
    radii = np.partition(pairs.real, 5, axis=1)[:, 5]  # [0] is the vector itself
    radius = 1.2 * np.sqrt(radii, dtype=np.float64).mean()
    distances = np.sqrt(pairs.between, dtype=np.float64)
    unlike = np.ones_like(distances)
    np.divide(distances, radius, out=unlike, where=distances < radius)
    unlike[distances == 0] = 0  # also where R is 0
    return NeighbourScores(
        precision=float(1 - unlike.prod(axis=1).mean()),
        recall=float(1 - unlike.prod(axis=0).mean()),
        coverage=float(np.any(pairs.between < radii, axis=0).mean()),
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
