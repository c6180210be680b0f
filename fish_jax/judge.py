"""How good generated images are: every score beside that of real images, under one protocol.

    references = prepare(train_images, held_out_images, count=500)    once for a data set
    judgement = judge(references, generated_images)
    print(judgement.table())

No score needs trained weights. Each compares `count` generated images with as many real ones, and
is shown beside its floor: the same number of held-out real images against the same real ones.
Scores of different counts, sizes or feature spaces cannot be compared; the protocol tells them.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np

from fish_jax import distances, features, manifolds, resampling, sliced_wasserstein, ssim

LEAST = 32  # images on each side; neighbours and covariances of fewer say nothing
HALVES = 60  # half-samples of an interval


class Kind(NamedTuple):
    """An entry of `SCORES`.

    Attributes:
      title: for people.
      better: "low", "high", or "real": as near to the floor as can be.
      summary: what it sees, and its paper.
    """

    title: str
    better: str
    summary: str


SCORES: dict[str, Kind] = {
    "sliced_wasserstein": Kind(
        "sliced Wasserstein", "low", "patches at each scale, x 1000 (Karras et al. 2018)"
    ),
    "frechet": Kind("Frechet distance", "low", "means and covariances of features"),
    "kernel": Kind("kernel distance", "low", "features, unbiased, x 1000 (as KID's kernel)"),
    "precision": Kind("precision", "high", "fakes among reals (Kynkaanniemi et al. 2019)"),
    "recall": Kind("recall", "high", "reals among fakes (Kynkaanniemi et al. 2019)"),
    "density": Kind("density", "high", "how densely reals surround fakes (Naeem et al. 2020)"),
    "coverage": Kind("coverage", "high", "reals that have a fake near by (Naeem et al. 2020)"),
    "similarity": Kind(
        "MS-SSIM of pairs", "real", "an alarm for collapse alone (Odena et al. 2017)"
    ),
    "memorisation": Kind(
        "memorisation", "real", "distance to the nearest training image over held-out ones'"
    ),
}


class Score(NamedTuple):
    """A number with what it must be seen beside.

    Attributes:
      name: of `SCORES`, or of one level of the sliced Wasserstein distance.
      value: of generated images.
      floor: of held-out real images.
      low, high: a 95 % interval of the value over images; nan where none was asked for.
    """

    name: str
    value: float
    floor: float
    low: float = np.nan
    high: float = np.nan


class References(NamedTuple):
    """What all judgements of a data set share.

    Attributes:
      count: images on each side.
      seed: of all choices.
      training: features of all images to train on, [M, D]; none if nothing was held out.
      real: features of `count` of them, [count, D].
      away: from `count` held-out images to the nearest in `training`, [count]; none as there.
      gaussian: of `real`.
      patches: of `real`.
      floors: by score, of the held-out images.
      protocol: in words.
    """

    count: int
    seed: int
    training: np.ndarray
    real: np.ndarray
    away: np.ndarray
    gaussian: distances.Gaussian
    patches: sliced_wasserstein.Descriptors
    floors: dict[str, float]
    protocol: str


class Judgement(NamedTuple):
    """The scores of a set of generated images, and how they were made."""

    scores: tuple[Score, ...]
    protocol: str

    def table(self) -> str:
        """A line for each score, with its interval and its floor."""
        lines = [f"{'':30}{'generated':>12}{'95 % of it':>22}{'real':>12}   better"]
        for score in self.scores:
            kind = SCORES.get(score.name, Kind(score.name.replace("_", " "), "low", ""))
            title = f"  {kind.title}" if score.name not in SCORES else kind.title
            known = np.isfinite(score.low)
            between = f"{score.low:.4g} to {score.high:.4g}" if known else ""
            wish = {"low": "lower", "high": "higher", "real": "near real"}[kind.better]
            lines.append(
                f"{title:30}{score.value:>12.4g}{between:>22}{score.floor:>12.4g}   {wish}"
            )
        return "\n".join([*lines, self.protocol])


def prepare(
    train: np.ndarray, held_out: np.ndarray, count: int, seed: int = 0, apart: bool = True
) -> References:
    """Computes what all judgements against these images share, and the floors.

    Args:
      train: uint8 [M, H, W, 3].
      held_out: uint8 [K, H, W, 3], no near-duplicates of those.
      count: images on each side, at most M and K.
      seed: of the choice of images, patches and directions.
      apart: whether generators are trained on `train` alone; only then is memorisation told.

    Returns:
      The references.

    Raises:
      ValueError: too few images.
    """
    if not LEAST <= count <= min(len(train), len(held_out)):
        raise ValueError(
            f"{count} images on each side cannot be had of {len(train)} and {len(held_out)}; at "
            f"least {LEAST} are needed"
        )
    rng = np.random.default_rng(seed)
    choose = lambda images: np.sort(rng.choice(len(images), count, replace=False))
    training = features.extract(train) if apart else np.zeros((0, 0), np.float32)
    chosen = choose(train)
    real_images, held_images = np.asarray(train[chosen]), np.asarray(held_out[choose(held_out)])
    real = training[chosen] if apart else features.extract(real_images)
    patches = sliced_wasserstein.descriptors(real_images, _key(seed, 0))
    gaussian = distances.fit_gaussian(real)
    height, width = train.shape[1:3]
    others = "held-out ones" if apart else "others, which are trained on, too"
    protocol = (
        f"{count} generated images against {count} of {len(train)} real ones, real: {count} of "
        f"{len(held_out)} {others}; {height} x {width}, rounded to 8 bits; features "
        f"{features.SPACE}; patches, directions and choices of seed {seed}"
    )
    if distances.is_singular(count, real.shape[1]):
        protocol += f"; the covariance of {count} images has no full rank in {real.shape[1]}"
    held = features.extract(held_images)
    away = manifolds.nearest(held, training).distance if apart else np.zeros(0)
    references = References(count, seed, training, real, away, gaussian, patches, {}, protocol)
    scores = _scores(references, held_images, held)
    floors = {name: value for name, (value, _) in scores.items()}
    return references._replace(floors=floors)


def judge(references: References, generated: np.ndarray, intervals: bool = False) -> Judgement:
    """Scores generated images.

    Args:
      references: from `prepare`.
      generated: uint8 [count, H, W, 3].
      intervals: whether to estimate what other images of the same generator would give, which
        takes many times as long.

    Returns:
      The scores.

    Raises:
      ValueError: another number of images.
    """
    if len(generated) != references.count:
        raise ValueError(f"{len(generated)} generated images, not {references.count}")
    made = features.extract(generated)
    scores = []
    for name, (value, estimate) in _scores(references, generated, made).items():
        ends = estimate() if intervals else (np.nan, np.nan)
        scores.append(Score(name, value, references.floors[name], *map(float, ends)))
    return Judgement(tuple(scores), references.protocol)


def _key(seed: int, use: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), use)


def _scores(references: References, images: np.ndarray, made: np.ndarray) -> dict:
    """By name, the value and a function to the ends of its interval."""
    seed = references.seed
    halves = functools.partial(resampling.half_sample_interval, replicates=HALVES, seed=seed)
    real, scores = references.real, {}
    patches = sliced_wasserstein.descriptors(images, _key(seed, 1))
    apart = sliced_wasserstein.distance(references.patches, patches, _key(seed, 2))
    unknown = lambda: (np.nan, np.nan)
    scores["sliced_wasserstein"] = apart.average, unknown
    for (height, width), level in zip(apart.sizes, apart.levels):
        scores[f"at_{height}_x_{width}"] = level, unknown

    fit = distances.fit_gaussian
    frechet = distances.frechet_distance(references.gaussian, fit(made))
    of_halves = lambda a, b: distances.frechet_distance(fit(a), fit(b))
    scores["frechet"] = frechet, lambda: halves(of_halves, real, made)[1:]
    kernel = lambda a, b: 1000 * distances.kernel_distance(a, b)
    scores["kernel"] = kernel(real, made), lambda: halves(kernel, real, made)[1:]
    neighbours = lambda a, b: (*manifolds.precision_recall(a, b), *manifolds.density_coverage(a, b))
    ends = functools.cache(lambda: np.array(halves(neighbours, real, made)[1:]))
    names = ("precision", "recall", "density", "coverage")
    for place, (name, value) in enumerate(zip(names, neighbours(real, made))):
        scores[name] = value, lambda place=place: ends()[:, place]

    pairs = ssim.pair_similarity(images, _key(seed, 3), max(1, len(images) // 2))
    between = functools.partial(resampling.bootstrap_interval, seed=seed)
    scores["similarity"] = pairs.average, lambda: between(np.mean, pairs.values)[1:]
    if len(references.training):
        fakes = manifolds.nearest(made, references.training).distance
        ratio, away = lambda a, b: np.median(a) / np.median(b), references.away
        scores["memorisation"] = float(ratio(fakes, away)), lambda: between(ratio, fakes, away)[1:]
    return scores
