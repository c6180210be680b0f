"""Every score of one set of images against the real ones."""

from typing import NamedTuple

import jax
import numpy as np

from fish_jax.evaluation.metrics import (
    distances,
    precision_recall,
    sliced_wasserstein,
    ssim,
)
from fish_jax.evaluation.scores import References
from fish_jax.utils.progress import Begin, ignore_begin

COPY_QUANTILE = (
    0.01  # the share of held-out images that are nearer to a training image than a copy is
)
NEIGHBOUR_SCORES = ("precision", "recall", "density", "coverage")  # of `manifolds.neighbour_scores`


class Sample(NamedTuple):
    """What scores look at in one set of images."""

    features: np.ndarray  # [N, D]
    patches: sliced_wasserstein.Descriptors
    alike: np.ndarray  # MS-SSIM of disjoint pairs, [N // 2]
    near: np.ndarray  # to the nearest training image, [N]; none where that is not told


def fold_seed(seed: int, use: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), use)


def describe_images(
    images: np.ndarray,
    found: np.ndarray,
    near: np.ndarray,
    patches: jax.Array,
    pairs: jax.Array,
    begin: Begin = ignore_begin,
) -> Sample:
    """Of images and their features; the keys are those of patches and pairs."""
    advance = begin("patches", len(images))
    cut = sliced_wasserstein.descriptors(images, patches, on_progress=advance)
    return Sample(found, cut, ssim.pair_similarity(images, pairs).values, near)


def memorisation(near: np.ndarray, away: np.ndarray) -> float:
    return float(np.median(near) / np.median(away))


def copies(near: np.ndarray, away: np.ndarray) -> float:
    return float(np.mean(near < np.quantile(away, COPY_QUANTILE)))


def sliced_names(patches: sliced_wasserstein.Descriptors) -> list[str]:
    """The names of what a sliced Wasserstein distance gives."""
    return ["sliced_wasserstein", *(f"at_{height}_x_{width}" for height, width in patches.sizes)]


def score_values(
    references: References,
    sample: Sample,
    directions: jax.Array,
    repeats: int = sliced_wasserstein.REPEATS,
) -> dict[str, float]:
    """The scores by name."""
    real, made = references.real, sample.features
    apart = sliced_wasserstein.distance(
        references.patches, sample.patches, directions, repeats=repeats
    )
    values = dict(zip(sliced_names(sample.patches), (apart.average, *apart.levels)))
    gaussians = [distances.fit_gaussian(side) for side in (real, made)]
    values["frechet"] = distances.frechet_distance(*gaussians)
    values["kernel"] = 1000 * distances.kernel_distance(real, made)
    pairs = precision_recall.squared_distances(real, made)
    values |= dict(zip(NEIGHBOUR_SCORES, precision_recall.neighbour_scores(pairs)))
    values["similarity"] = float(np.mean(sample.alike, dtype=np.float64))
    if len(references.training):
        values["memorisation"] = memorisation(sample.near, references.away)
        values["copies"] = copies(sample.near, references.away)
    return values


def inception_values(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    fid = distances.frechet_distance_of_sets(real, made)
    return {"fid": fid, "kid": 1000 * distances.kernel_distance(real, made)}
