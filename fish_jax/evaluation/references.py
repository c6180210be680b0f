"""References: features of the real images and the baselines, computed once for a data set."""

import functools
from collections.abc import Callable

import jax
import numpy as np

from fish_jax.evaluation.features import batches, space, wavelets
from fish_jax.evaluation.metrics import inception, precision_recall, sliced_wasserstein
from fish_jax.evaluation.real_images import RealImages
from fish_jax.evaluation.scores import References
from fish_jax.evaluation.scoring import describe_images, fold_seed, inception_values, score_values
from fish_jax.utils.progress import Advance, Begin, ignore_begin

LEAST_IMAGES = 32  # on each side; neighbours and covariances of fewer images say nothing
FLOOR_DRAWS = 5  # draws of real images on both sides, over which a baseline is the mean
VERSION = 6  # one more whenever the same images would have other references


def prepare(
    real: RealImages,
    fitted: space.Space,
    count: int,
    seed: int = 0,
    *,
    resizing: str = "",
    begin: Begin = ignore_begin,
    network: inception.Network | None = None,
) -> References:
    """Computes features of the real images for all evaluations, and scores the baselines.

    Args:
      real: M training images, of which U were not seen by the encoder, and K held-out ones.
      fitted: the space that was fitted to the training images that are seen.
      count: images on each side, at most U and K.
      seed: the seed of the choice of images, patches and directions.
      resizing: how the images were brought to their size, for the protocol.
      begin: called with the name and the size of each stage; returns its progress callback.
      network: for FID and KID; without it neither is scored.

    Returns:
      The references, for `judge`.

    Raises:
      ValueError: too few images.
    """
    others = np.flatnonzero(~real.seen)
    if not LEAST_IMAGES <= count <= min(len(others), len(real.held_out)):
        raise ValueError(
            f"{count} images on each side are not available: there are {len(others)} to compare "
            f"with and {len(real.held_out)} for the baseline; at least {LEAST_IMAGES} are needed"
        )
    rng = np.random.default_rng(seed)
    choose = lambda indices: np.sort(rng.choice(indices, count, replace=False))
    choices = [(choose(others), choose(len(real.held_out))) for _ in range(FLOOR_DRAWS)]
    sides, protocol = (real.train, real.held_out), _protocol(real, count, seed, resizing, fitted)
    training, away = _training_textures(real, fitted, begin)
    extract = functools.partial(space.extract, fitted)
    found = _of_draws(extract, sides, choices, begin, "features of real images")
    draws, references = [], None
    advance = begin("baseline of real images", FLOOR_DRAWS * count)
    for draw, ((chosen, held), (known, fake)) in enumerate(zip(choices, found)):
        keys = [jax.random.fold_in(fold_seed(seed, 4), 4 * draw + use) for use in range(4)]
        patches_key = keys[0] if draw else fold_seed(seed, 0)
        patches = sliced_wasserstein.descriptors(real.train[chosen], patches_key)
        against = References(count, seed, fitted, training, known, away, patches, {}, {}, protocol)
        references = references or against  # of the others, whose patches are large, none is kept
        nearest = away[held] if real.unseen else away
        sample = describe_images(real.held_out[held], fake, nearest, keys[1], keys[2])
        draws.append(score_values(against, sample, keys[3], repeats=1))
        advance(count)
    assert references is not None
    if network is not None:
        extract = functools.partial(inception.extract, network)
        found = _of_draws(extract, sides, choices, begin, "Inception features of real images")
        for values, pair in zip(draws, found):
            values |= inception_values(*pair)
        references = references._replace(
            protocol=protocol + _inception_protocol(network, count),
            network=network.description,
            inception=found[0][0],
        )
    by_name = {name: [draw[name] for draw in draws] for name in draws[0]}
    return references._replace(
        floors={name: float(np.mean(values)) for name, values in by_name.items()},
        spreads={name: float(np.std(values, ddof=1)) for name, values in by_name.items()},
    )


def _training_textures(
    real: RealImages, fitted: space.Space, begin: Begin
) -> tuple[np.ndarray, np.ndarray]:
    """`training` and `away` of the references; empty where no image is held out."""
    if not real.unseen:
        return np.zeros((0, wavelets.DIMENSION), np.float32), np.zeros(0, np.float32)
    count = 2 * len(real.train) + len(real.held_out)
    advance = begin("textures of real images", count)
    textures = functools.partial(space.textures, fitted, on_progress=advance)
    training = np.concatenate([textures(real.train), textures(real.train[:, :, ::-1])])
    return training, precision_recall.nearest_distances(textures(real.held_out), training)


def _protocol(real: RealImages, count: int, seed: int, resizing: str, fitted: space.Space) -> str:
    height, width = real.train.shape[1:3]
    others = "held-out ones" if real.unseen else "others, as none are held out"
    protocol = (
        f"{count} generated images against {count} of {np.sum(~real.seen)} real ones; real: mean "
        f"and standard deviation (+-) of {FLOOR_DRAWS} draws of {count} of {len(real.held_out)} "
        f"{others}; {height} x {width}{resizing and ', '}{resizing}, rounded to 8 bits; features "
        f"{fitted.name}; patches, directions and choices of seed {seed}"
    )
    if count <= space.DIMENSION:  # their covariance has a rank below count
        protocol += (
            f"; with {count} images, the covariance of {space.DIMENSION} features is singular"
        )
    return protocol


def _inception_protocol(network: inception.Network, count: int) -> str:
    protocol = f"; FID and KID of {network.description}, {count} images on each side"
    if count <= inception.DIMENSION:
        protocol += f", whose covariance of {inception.DIMENSION} features is singular"
    return protocol


def _of_draws(
    extract: Callable[[np.ndarray, Advance], np.ndarray],
    sides: tuple[np.ndarray, np.ndarray],
    choices: list[tuple[np.ndarray, np.ndarray]],
    begin: Begin,
    what: str,
) -> list[tuple[np.ndarray, ...]]:
    """Features of both sides' chosen images in each draw; extracted of each image once."""
    needed = [np.unique(chosen, return_inverse=True) for chosen in zip(*choices)]
    advance = begin(what, sum(len(which) for which, _ in needed))
    found = [
        batches.extract_chosen(lambda part: extract(part, advance), images, which)[places]
        for images, (which, places) in zip(sides, needed)
    ]
    return list(zip(*found))
