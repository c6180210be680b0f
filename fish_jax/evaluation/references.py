"""References: features of the real images and the baselines, computed once for a data set."""

import jax
import numpy as np

from fish_jax.evaluation.metrics import features, inception, precision_recall, sliced_wasserstein
from fish_jax.evaluation.scores import References
from fish_jax.evaluation.scoring import describe_images, fold_seed, inception_values, score_values
from fish_jax.evaluation.space import encoder, space
from fish_jax.utils.progress import Begin, ignore_begin

LEAST_IMAGES = 32  # on each side; neighbours and covariances of fewer images say nothing
FLOOR_DRAWS = 5  # draws of real images on both sides, over which a baseline is the mean
VERSION = 3  # one more whenever the same images would have other references


def prepare(
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    seed: int = 0,
    unseen: bool = True,
    *,
    resizing: str = "",
    begin: Begin = ignore_begin,
    network: inception.Network | None = None,
) -> References:
    """Describes the real images for all judgements against them, and scores the baselines.

    Args:
      train: uint8 [M, H, W, 3].
      held_out: uint8 [K, H, W, 3], none a near-duplicate of a training image.
      count: images on each side, at most M and K.
      seed: of the choice of images, patches and directions.
      unseen: whether generators are trained on `train` alone; only then is memorisation scored.
      resizing: how the images were brought to their size, for the protocol.
      begin: called with the name and the size of each stage; returns its progress callback.
      network: for FID and KID; without it neither is scored.

    Returns:
      The references, for `judge`.

    Raises:
      ValueError: too few images.
    """
    if not LEAST_IMAGES <= count <= min(len(train), len(held_out)):
        raise ValueError(
            f"{count} images on each side cannot be had of {len(train)} and {len(held_out)}; at "
            f"least {LEAST_IMAGES} are needed"
        )
    steps = encoder.steps_for(len(train))
    fitted, plain = space.fit(train, seed, begin("the encoder of real images, steps", steps))
    advance = begin("features of real images", len(train) * (1 + unseen) + len(held_out))
    advance(len(train))
    held = space.extract(fitted, held_out, advance)
    training, away = np.zeros((0, features.DIMENSION), np.float32), np.zeros(0, np.float32)
    if unseen:
        mirrored = space.extract(fitted, train[:, :, ::-1], advance)
        training = np.concatenate([plain, mirrored])[:, space.TEXTURES]
        away = precision_recall.nearest_distances(held[:, space.TEXTURES], training)
    rng = np.random.default_rng(seed)
    choose = lambda images: np.sort(rng.choice(len(images), count, replace=False))
    choices = [(choose(train), choose(held_out)) for _ in range(FLOOR_DRAWS)]
    chosen = choices[0][0]
    patches = sliced_wasserstein.descriptors(train[chosen], fold_seed(seed, 0))
    protocol = _protocol(train, held_out, count, seed, unseen, resizing, fitted.name)
    references = References(
        count, seed, fitted, training, plain[chosen], away, patches, {}, {}, protocol
    )
    draws, advance = [], begin("baseline of real images", FLOOR_DRAWS * count)
    for draw, (chosen, others) in enumerate(choices):
        keys = [jax.random.fold_in(fold_seed(seed, 4), 4 * draw + use) for use in range(4)]
        if draw:
            patches = sliced_wasserstein.descriptors(train[chosen], keys[0])
        nearest = away[others] if unseen else away
        sample = describe_images(held_out[others], held[others], nearest, keys[1], keys[2])
        real = references._replace(real=plain[chosen], patches=patches)
        draws.append(score_values(real, sample, keys[3], repeats=1))
        advance(count)
    if network is not None:
        found = _inception_draws(network, (train, held_out), choices, begin)
        for values, sides in zip(draws, found):
            values |= inception_values(*sides)
        protocol += _inception_protocol(network, count)
        references = references._replace(
            protocol=protocol, network=network.description, inception=found[0][0]
        )
    by_name = {name: [draw[name] for draw in draws] for name in draws[0]}
    return references._replace(
        floors={name: float(np.mean(values)) for name, values in by_name.items()},
        spreads={name: float(np.std(values, ddof=1)) for name, values in by_name.items()},
    )


def _protocol(
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    seed: int,
    unseen: bool,
    resizing: str,
    name: str,
) -> str:
    height, width = train.shape[1:3]
    others = "held-out ones" if unseen else "others, which are trained on, too"
    protocol = (
        f"{count} generated images against {count} of {len(train)} real ones, real: the mean of "
        f"{FLOOR_DRAWS} draws of {count} of {len(held_out)} {others}, and +- their standard "
        f"deviation; {height} x {width}{resizing and ', '}{resizing}, rounded to 8 bits; "
        f"features {name}; patches, directions and choices of seed {seed}"
    )
    if count <= space.DIMENSION:  # their covariance has a rank below count
        protocol += f"; the covariance of {count} images has no full rank in {space.DIMENSION}"
    return protocol


def _inception_protocol(network: inception.Network, count: int) -> str:
    protocol = f"; FID and KID of {network.description}, {count} images on each side"
    if count <= inception.DIMENSION:
        protocol += f", whose covariance is singular: no full rank in {inception.DIMENSION}"
    return protocol


def _inception_draws(
    network: inception.Network,
    sides: tuple[np.ndarray, np.ndarray],
    choices: list[tuple[np.ndarray, np.ndarray]],
    begin: Begin,
) -> list[tuple[np.ndarray, ...]]:
    """Inception's features of both sides' chosen images in each draw; of each image, once."""
    needed = [np.unique(chosen, return_inverse=True) for chosen in zip(*choices)]
    advance = begin("Inception features of real images", sum(len(which) for which, _ in needed))
    found = []
    for images, (which, places) in zip(sides, needed):
        parts = np.split(which, range(64, len(which), 64))  # of images that may lie on disk
        extracted = [inception.extract(network, images[part], advance) for part in parts]
        found.append(np.concatenate(extracted)[places])
    return list(zip(*found))
