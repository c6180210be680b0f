"""Every score of one set of images against the real images of a data set."""

from typing import NamedTuple

import jax
import numpy as np

from fish_jax.evaluation.metrics import distances, precision_recall, sliced_wasserstein, ssim
from fish_jax.evaluation.scores import References
from fish_jax.utils.progress import Begin, ignore_begin
from fish_jax.utils.seeds import seed_key

COPY_QUANTILE = 0.01  # share of held-out images that are as near to training images as copies


class Sample(NamedTuple):
    """A set of N images, described by everything that scores depend on.

    Attributes:
      features: [N, D].
      patches: descriptors of the sliced Wasserstein distance.
      similarities: MS-SSIM of disjoint pairs, [N // 2].
      nearest: distance of each image to the nearest training image, [N]; empty where memorisation
        is not scored.
    """

    features: np.ndarray
    patches: sliced_wasserstein.Descriptors
    similarities: np.ndarray
    nearest: np.ndarray


def fold_seed(seed: int, use: int) -> jax.Array:
    """Makes the key of one random choice from a seed and the number of its use."""
    return jax.random.fold_in(seed_key(seed), use)


def describe_images(
    images: np.ndarray,
    features: np.ndarray,
    nearest: np.ndarray,
    patch_key: jax.Array,
    pair_key: jax.Array,
    begin: Begin = ignore_begin,
) -> Sample:
    """Describes images whose features are known.

    Args:
      images: uint8 [N, H, W, 3].
      features, nearest: as in `Sample`.
      patch_key: the patch key of the places of patches.
      pair_key: the pair key of the choice of pairs.
      begin: called with the name and the size of each stage; returns its progress callback.
    """
    advance = begin("patches", len(images))
    patches = sliced_wasserstein.descriptors(images, patch_key, advance)
    return Sample(features, patches, ssim.pair_similarity(images, pair_key), nearest)


def memorisation(nearest: np.ndarray, held_out: np.ndarray) -> float:
    """The median distance to the nearest training image, over that of held-out images.

    Args:
      nearest: distances of generated images, [N].
      held_out: distances of held-out images, [K].
    """
    return float(np.median(nearest) / np.median(held_out))


def copies(nearest: np.ndarray, held_out: np.ndarray) -> float:
    """The share of images that are nearer to a training image than 99 % of held-out images.

    Args:
      nearest, held_out: as in `memorisation`.
    """
    return float(np.mean(nearest < np.quantile(held_out, COPY_QUANTILE)))


def sliced_names(patches: sliced_wasserstein.Descriptors) -> list[str]:
    """The names of the sliced Wasserstein distances: the average, then that of each level."""
    return ["sliced_wasserstein", *(f"at_{height}_x_{width}" for height, width in patches.sizes)]


def score_values(
    references: References,
    sample: Sample,
    directions_key: jax.Array,
    repeats: int = sliced_wasserstein.REPEATS,
) -> dict[str, float]:
    """Computes every score that needs no trained network.

    Args:
      references: the real images.
      sample: as many images to compare with them.
      directions_key: the directions key of the sliced Wasserstein distance.
      repeats: as in `sliced_wasserstein.distance`.

    Returns:
      The values by name.
    """
    real, fake = references.real, sample.features
    sliced = sliced_wasserstein.distance(
        references.patches, sample.patches, directions_key, repeats=repeats
    )
    values = dict(zip(sliced_names(sample.patches), sliced.tolist()))
    values["frechet"] = distances.frechet_distance_of_sets(real, fake)
    values["kernel"] = 1000 * distances.kernel_distance(real, fake)
    pairs = precision_recall.squared_distances(real, fake)
    values |= precision_recall.neighbour_scores(pairs)._asdict()
    values["similarity"] = float(np.mean(sample.similarities, dtype=np.float64))
    if len(references.training):
        values["memorisation"] = memorisation(sample.nearest, references.away)
        values["copies"] = copies(sample.nearest, references.away)
    return values


def inception_values(real: np.ndarray, fake: np.ndarray) -> dict[str, float]:
    """Computes FID and KID x 1000 of Inception's features, [N, 2048] each; by name."""
    fid = distances.frechet_distance_of_sets(real, fake)
    return {"fid": fid, "kid": 1000 * distances.kernel_distance(real, fake)}
