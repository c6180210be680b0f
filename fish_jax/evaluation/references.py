"""Features and baselines of the real images, computed once for all judgements of a data set."""

import jax
import numpy as np

from fish_jax.evaluation.metrics import (
    distances,
    features,
    inception,
    precision_recall,
    sliced_wasserstein,
)
from fish_jax.evaluation.scores import References
from fish_jax.evaluation.scoring import describe_images, fold_seed, inception_values, score_values
from fish_jax.utils.progress import Begin, ignore_begin

LEAST_IMAGES = 32  # images on each side; neighbours and covariances of fewer say nothing
FLOOR_DRAWS = 5  # of real images on both sides, for the floor
VERSION = 2  # one more whenever the same images would have other references


def prepare(
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    seed: int = 0,
    apart: bool = True,
    *,
    fitted: str = "",
    begin: Begin = ignore_begin,
    network: inception.Network | None = None,
) -> References:
    """Computes what all judgements against these images share, and the floors.

    Args:
      train: uint8 [M, H, W, 3].
      held_out: uint8 [K, H, W, 3], no near-duplicates of those.
      count: images on each side, at most M and K.
      seed: of the choice of images, patches and directions.
      apart: whether generators are trained on `train` alone; only then is memorisation told.
      fitted: how the images were brought to their size, for the protocol.
      begin: told of each stage; what it returns is told of images that are done.
      network: for FID and KID; without it neither is told.

    Returns:
      The references.

    Raises:
      ValueError: too few images.
    """
    if not LEAST_IMAGES <= count <= min(len(train), len(held_out)):
        raise ValueError(
            f"{count} images on each side cannot be had of {len(train)} and {len(held_out)}; at "
            f"least {LEAST_IMAGES} are needed"
        )
    advance = begin("features of real images", len(train) * (1 + apart) + len(held_out))
    plain, held = features.extract(train, advance), features.extract(held_out, advance)
    training, away = np.zeros((0, plain.shape[1]), np.float32), np.zeros(0, np.float32)
    if apart:
        training = np.concatenate([plain, features.extract(train[:, :, ::-1], advance)])
        away = precision_recall.nearest(held, training).distance
    rng = np.random.default_rng(seed)
    choices = [
        (_choose(rng, train, count), _choose(rng, held_out, count)) for _ in range(FLOOR_DRAWS)
    ]
    chosen = choices[0][0]
    patches = sliced_wasserstein.descriptors(train[chosen], fold_seed(seed, 0))
    protocol = _protocol(train, held_out, count, seed, apart, fitted)
    references = References(count, seed, training, plain[chosen], away, patches, {}, {}, protocol)
    draws, advance = [], begin("floors of real images", FLOOR_DRAWS * count)
    for draw, (chosen, others) in enumerate(choices):
        keys = [jax.random.fold_in(fold_seed(seed, 4), 4 * draw + use) for use in range(4)]
        if draw:
            patches = sliced_wasserstein.descriptors(train[chosen], keys[0])
        images, near = held_out[others], away[others] if apart else away
        sample = describe_images(images, held[others], near, keys[1], keys[2])
        real = references._replace(real=plain[chosen], patches=patches)
        draws.append(score_values(real, sample, keys[3], repeats=1))
        advance(count)
    if network is not None:
        found = _inception_draws(network, train, held_out, choices, begin)
        for values, sides in zip(draws, found):
            values |= inception_values(*sides)
        protocol += _inception_protocol(network, count)
        references = references._replace(
            protocol=protocol, network=network.description, inception=found[0][0]
        )
    over = lambda of: {name: float(of([draw[name] for draw in draws])) for name in draws[0]}
    spread = lambda values: np.std(values, ddof=1)
    return references._replace(floors=over(np.mean), spreads=over(spread))


def _choose(rng: np.random.Generator, images: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.choice(len(images), count, replace=False))


def _protocol(
    train: np.ndarray, held_out: np.ndarray, count: int, seed: int, apart: bool, fitted: str
) -> str:
    height, width = train.shape[1:3]
    others = "held-out ones" if apart else "others, which are trained on, too"
    protocol = (
        f"{count} generated images against {count} of {len(train)} real ones, real: the mean of "
        f"{FLOOR_DRAWS} draws of {count} of {len(held_out)} {others}, and +- their standard "
        f"deviation; {height} x {width}{fitted and ', '}{fitted}, rounded to 8 bits; features "
        f"{features.SPACE}; patches, directions and choices of seed {seed}"
    )
    if distances.is_singular(count, features.DIMENSION):
        protocol += f"; the covariance of {count} images has no full rank in {features.DIMENSION}"
    return protocol


def _inception_protocol(network: inception.Network, count: int) -> str:
    protocol = f"; FID and KID of {network.description}, {count} images on each side"
    if distances.is_singular(count, inception.DIMENSION):
        protocol += f", whose covariance is singular: no full rank in {inception.DIMENSION}"
    return protocol


def _inception_draws(
    network: inception.Network,
    train: np.ndarray,
    held_out: np.ndarray,
    choices: list[tuple[np.ndarray, np.ndarray]],
    begin: Begin,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Features of what each draw chose of both sides; of an image that several chose, once."""
    needed = [np.unique(np.concatenate(places)) for places in zip(*choices)]
    advance = begin("Inception features of real images", sum(map(len, needed)))
    found = []
    for images, places in zip((train, held_out), needed):
        parts = np.split(places, range(64, len(places), 64))  # of images that may lie on disk
        made = [inception.extract(network, images[part], advance) for part in parts]
        found.append(np.concatenate(made))
    return [
        tuple(
            side[np.searchsorted(places, chosen)]
            for side, places, chosen in zip(found, needed, choice)
        )
        for choice in choices
    ]
