"""How good generated images are: every score beside that of real images, under one protocol.

    references = prepare(train_images, held_out_images, count=500)    once for a data set
    judgement = judge(references, generated_images)
    print(judgement.table())

No score needs trained weights but FID and KID, which are told where a user has those of Inception
and both functions are given `network=inception.load("inception.npz")`.

Each score compares `count` generated images with as many real ones, and is shown beside its floor:
the mean over several draws of as many held-out images against as many real ones.
Scores of different counts, sizes or feature spaces cannot be compared; the protocol tells them.
"""

import math
from typing import NamedTuple

import jax
import numpy as np

from fish_jax.evaluation.metrics import (
    distances,
    features,
    inception,
    intervals,
    precision_recall,
    sliced_wasserstein,
    ssim,
)
from fish_jax.evaluation.metrics.images import Begin, unseen

LEAST = 32  # images on each side; neighbours and covariances of fewer say nothing
HALVES = 60  # half-samples of an interval
DRAWS = 5  # of real images on both sides, for the floor
COPY = 0.01  # the share of held-out images that are nearer to a training image than a copy is
VERSION = 2  # one more whenever the same images would have other references


class Kind(NamedTuple):
    """An entry of `SCORES`.

    Attributes:
      title: for people.
      better: "low", "high", or "real": as near to the floor as can be.
      summary: what it sees, and its paper.
      least, most: between which it always is.
    """

    title: str
    better: str
    summary: str
    least: float = 0.0
    most: float = math.inf


SCORES: dict[str, Kind] = {
    "sliced_wasserstein": Kind(
        "sliced Wasserstein", "low", "patches at each scale, x 1000 (Karras et al. 2018)"
    ),
    "frechet": Kind("Frechet distance", "low", "means and covariances of features"),
    "kernel": Kind(
        "kernel distance", "low", "features, unbiased, x 1000 (as KID's kernel)", least=-math.inf
    ),
    "precision": Kind("precision", "high", "fakes among reals (Kynkaanniemi et al. 2019)", most=1),
    "recall": Kind("recall", "high", "reals among fakes (Kynkaanniemi et al. 2019)", most=1),
    "density": Kind("density", "high", "how densely reals surround fakes (Naeem et al. 2020)"),
    "coverage": Kind(
        "coverage", "high", "reals that have a fake near by (Naeem et al. 2020)", most=1
    ),
    "similarity": Kind(
        "MS-SSIM of pairs", "real", "an alarm for collapse alone (Odena et al. 2017)", most=1
    ),
    "memorisation": Kind(
        "memorisation", "real", "distance to the nearest training image over held-out ones'"
    ),
    "copies": Kind(
        "copies", "real", "share nearer to a training image than 99 % of held-out ones", most=1
    ),
}
INCEPTION_SCORES: dict[str, Kind] = {
    "fid": Kind("FID", "low", "Frechet distance of Inception's features (Heusel et al. 2017)"),
    "kid": Kind(
        "KID",
        "low",
        "the same features', unbiased, x 1000 (Binkowski et al. 2018)",
        least=-math.inf,
    ),
}
AROUND = ("precision", "recall", "density", "coverage")  # of `manifolds.neighbour_scores`


class Score(NamedTuple):
    """A number with what it must be seen beside.

    Attributes:
      name: of `SCORES`, `INCEPTION_SCORES`, or of one level of the sliced Wasserstein distance.
      value: of generated images.
      floor: of held-out real images.
      low, high: a 95 % interval of the value over images, cut where the score cannot be; nan where
        none was asked for.
      spread: the standard deviation of the floor's draws.
    """

    name: str
    value: float
    floor: float
    low: float = np.nan
    high: float = np.nan
    spread: float = np.nan


class References(NamedTuple):
    """What all judgements of a data set share.

    Attributes:
      count: images on each side.
      seed: of all choices.
      training: features of all M images to train on, then of their mirror images, [2 M, D]; none
        if nothing was held out.
      real: features of `count` of them, [count, D].
      away: from each held-out image to the nearest in `training`, [K]; none as there.
      patches: of those of `real`.
      floors, spreads: by score, mean and standard deviation of held-out images' over the draws.
      protocol: in words.
      network: what FID and KID are of, in words; "" without Inception's weights.
      inception: features of the images of `real` in it, [count, 2048]; None as there.
    """

    count: int
    seed: int
    training: np.ndarray
    real: np.ndarray
    away: np.ndarray
    patches: sliced_wasserstein.Descriptors
    floors: dict[str, float]
    spreads: dict[str, float]
    protocol: str
    network: str = ""
    inception: np.ndarray | None = None


class Judgement(NamedTuple):
    """The scores of a set of generated images, and how they were made.

    Attributes:
      scores: each with its floor.
      protocol: in words.
      images, steps: that D had seen, and of the run, where that is known; else 0.
    """

    scores: tuple[Score, ...]
    protocol: str
    images: int = 0
    steps: int = 0

    def table(self) -> str:
        """A line for each score, with its interval and its floor."""
        lines = [f"{'':30}{'generated':>12}{'95 % of it':>26}{'real':>12}{'+-':>10}   better"]
        kinds = SCORES | INCEPTION_SCORES
        for score in self.scores:
            kind = kinds.get(score.name, Kind(score.name.replace("_", " "), "low", ""))
            title = f"  {kind.title}" if score.name not in kinds else kind.title
            known = np.isfinite(score.low)
            between = f"{score.low:.4g} to {score.high:.4g}" if known else ""
            spread = score.spread if score.spread > 1e-9 * abs(score.floor) else 0.0
            wish = {"low": "lower", "high": "higher", "real": "near real"}[kind.better]
            lines.append(
                f"{title:30}{score.value:>12.4g}{between:>26}{score.floor:>12.4g}"
                f"{spread:>10.2g}   {wish}"
            )
        return "\n".join([*lines, self.protocol])


class _Sample(NamedTuple):
    """What scores look at in one set of images."""

    features: np.ndarray  # [N, D]
    patches: sliced_wasserstein.Descriptors
    alike: np.ndarray  # MS-SSIM of disjoint pairs, [N // 2]
    near: np.ndarray  # to the nearest training image, [N]; none where that is not told


def prepare(
    train: np.ndarray,
    held_out: np.ndarray,
    count: int,
    seed: int = 0,
    apart: bool = True,
    *,
    fitted: str = "",
    begin: Begin = unseen,
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
    if not LEAST <= count <= min(len(train), len(held_out)):
        raise ValueError(
            f"{count} images on each side cannot be had of {len(train)} and {len(held_out)}; at "
            f"least {LEAST} are needed"
        )
    advance = begin("features of real images", len(train) * (1 + apart) + len(held_out))
    plain, held = features.extract(train, advance), features.extract(held_out, advance)
    training, away = np.zeros((0, plain.shape[1]), np.float32), np.zeros(0, np.float32)
    if apart:
        training = np.concatenate([plain, features.extract(train[:, :, ::-1], advance)])
        away = precision_recall.nearest(held, training).distance
    rng = np.random.default_rng(seed)
    choices = [(_choose(rng, train, count), _choose(rng, held_out, count)) for _ in range(DRAWS)]
    chosen = choices[0][0]
    patches = sliced_wasserstein.descriptors(train[chosen], _key(seed, 0))
    protocol = _protocol(train, held_out, count, seed, apart, fitted)
    references = References(count, seed, training, plain[chosen], away, patches, {}, {}, protocol)
    draws, advance = [], begin("floors of real images", DRAWS * count)
    for draw, (chosen, others) in enumerate(choices):
        keys = [jax.random.fold_in(_key(seed, 4), 4 * draw + use) for use in range(4)]
        if draw:
            patches = sliced_wasserstein.descriptors(train[chosen], keys[0])
        images, near = held_out[others], away[others] if apart else away
        sample = _look(images, held[others], near, keys[1], keys[2])
        real = references._replace(real=plain[chosen], patches=patches)
        draws.append(_values(real, sample, keys[3], repeats=1))
        advance(count)
    if network is not None:
        found = _inception_draws(network, train, held_out, choices, begin)
        for values, sides in zip(draws, found):
            values |= _inception_values(*sides)
        protocol += _inception_protocol(network, count)
        references = references._replace(
            protocol=protocol, network=network.description, inception=found[0][0]
        )
    over = lambda of: {name: float(of([draw[name] for draw in draws])) for name in draws[0]}
    spread = lambda values: np.std(values, ddof=1)
    return references._replace(floors=over(np.mean), spreads=over(spread))


def judge(
    references: References,
    generated: np.ndarray,
    intervals: bool = False,
    *,
    begin: Begin = unseen,
    network: inception.Network | None = None,
) -> Judgement:
    """Scores generated images.

    Args:
      references: from `prepare`.
      generated: uint8 [count, H, W, 3].
      intervals: whether to estimate, at 95 %, where the score would be of other images: other
        generated and other real ones, drawn as these were. Those of the similarity are of the
        generated images alone, those of memorisation and copies of generated and held-out ones,
        the training images as they are.
      begin: as of `prepare`.
      network: the one that `prepare` was given, if it was.

    Returns:
      The scores.

    Raises:
      ValueError: another number of images, or another network.
    """
    count, seed = references.count, references.seed
    if len(generated) != count:
        raise ValueError(f"{len(generated)} generated images, not {count}")
    if references.network != (network.description if network else ""):
        raise ValueError(
            f"references of {references.network or 'no network'} cannot judge features of "
            f"{network.description if network else 'no network'}"
        )
    made = features.extract(generated, begin("features", count))
    near = np.zeros(0, np.float32)
    if len(references.training):
        near = precision_recall.nearest(made, references.training).distance
    sample = _look(generated, made, near, _key(seed, 1), _key(seed, 3), begin)
    values = _values(references, sample, _key(seed, 2))
    ends = _intervals(references, sample, values, begin) if intervals else {}
    if network is not None:
        found = inception.extract(network, generated, begin("Inception features", count))
        values |= _inception_values(references.inception, found)
        ends |= _inception_intervals(references, found, values, begin) if intervals else {}
    scores, kinds = [], SCORES | INCEPTION_SCORES
    for name, value in values.items():
        kind = kinds.get(name, SCORES["sliced_wasserstein"])  # one of its levels
        low, high = np.clip(ends.get(name, (math.nan, math.nan)), kind.least, kind.most)
        floor, spread = references.floors[name], references.spreads[name]
        scores.append(Score(name, value, floor, float(low), float(high), spread))
    return Judgement(tuple(scores), references.protocol)


def _key(seed: int, use: int) -> jax.Array:
    return jax.random.fold_in(jax.random.key(seed), use)


def _choose(rng: np.random.Generator, images: np.ndarray, count: int) -> np.ndarray:
    return np.sort(rng.choice(len(images), count, replace=False))


def _protocol(
    train: np.ndarray, held_out: np.ndarray, count: int, seed: int, apart: bool, fitted: str
) -> str:
    height, width = train.shape[1:3]
    others = "held-out ones" if apart else "others, which are trained on, too"
    protocol = (
        f"{count} generated images against {count} of {len(train)} real ones, real: the mean of "
        f"{DRAWS} draws of {count} of {len(held_out)} {others}, and +- their standard deviation; "
        f"{height} x {width}{fitted and ', '}{fitted}, rounded to 8 bits; features "
        f"{features.SPACE}; patches, directions and choices of seed {seed}"
    )
    if distances.is_singular(count, features.DIMENSION):
        protocol += f"; the covariance of {count} images has no full rank in {features.DIMENSION}"
    return protocol


def _look(
    images: np.ndarray,
    found: np.ndarray,
    near: np.ndarray,
    patches: jax.Array,
    pairs: jax.Array,
    begin: Begin = unseen,
) -> _Sample:
    """Of images and their features; the keys are those of patches and pairs."""
    advance = begin("patches", len(images))
    cut = sliced_wasserstein.descriptors(images, patches, on_progress=advance)
    return _Sample(found, cut, ssim.pair_similarity(images, pairs).values, near)


def _memorisation(near: np.ndarray, away: np.ndarray) -> float:
    return float(np.median(near) / np.median(away))


def _copies(near: np.ndarray, away: np.ndarray) -> float:
    return float(np.mean(near < np.quantile(away, COPY)))


def _sliced(patches: sliced_wasserstein.Descriptors) -> list[str]:
    """The names of what a sliced Wasserstein distance gives."""
    return ["sliced_wasserstein", *(f"at_{height}_x_{width}" for height, width in patches.sizes)]


def _values(
    references: References,
    sample: _Sample,
    directions: jax.Array,
    repeats: int = sliced_wasserstein.REPEATS,
) -> dict[str, float]:
    """The scores by name."""
    real, made = references.real, sample.features
    apart = sliced_wasserstein.distance(
        references.patches, sample.patches, directions, repeats=repeats
    )
    values = dict(zip(_sliced(sample.patches), (apart.average, *apart.levels)))
    gaussians = [distances.fit_gaussian(side) for side in (real, made)]
    values["frechet"] = distances.frechet_distance(*gaussians)
    values["kernel"] = 1000 * distances.kernel_distance(real, made)
    pairs = precision_recall.squared_distances(real, made)
    values |= dict(zip(AROUND, precision_recall.neighbour_scores(pairs)))
    values["similarity"] = float(np.mean(sample.alike, dtype=np.float64))
    if len(references.training):
        values["memorisation"] = _memorisation(sample.near, references.away)
        values["copies"] = _copies(sample.near, references.away)
    return values


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


def _inception_values(real: np.ndarray, made: np.ndarray) -> dict[str, float]:
    fid = distances.frechet_distance_of_sets(real, made)
    return {"fid": fid, "kid": 1000 * distances.kernel_distance(real, made)}


def _inception_intervals(
    references: References, made: np.ndarray, values: dict[str, float], begin: Begin
) -> dict[str, tuple[float, float]]:
    """As `_intervals`, of FID and KID."""
    real, kernels = references.inception, distances.kernels(references.inception, made)
    advance = begin("intervals of FID and KID", (HALVES + 1) * references.count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(references.count)
        fid = distances.frechet_distance_of_sets(real[a], made[b], rough=True)
        return np.array([fid, 1000 * distances.part_kernel_distance(kernels, a, b)])

    places = np.arange(references.count)
    found = intervals.half_sample_interval(
        compare, places, places, replicates=HALVES, seed=references.seed
    )
    return {
        name: (values[name] + low - estimate, values[name] + high - estimate)
        for name, estimate, low, high in zip(INCEPTION_SCORES, *found)
    }


def _intervals(
    references: References, sample: _Sample, values: dict[str, float], begin: Begin
) -> dict[str, tuple[float, float]]:
    """The ends by name. Halves are compared by distances of all pairs, computed once."""
    real, made, seed = references.real, sample.features, references.seed
    patches = sliced_wasserstein.prepare_parts(references.patches, sample.patches, _key(seed, 2))
    kernels, squares = distances.kernels(real, made), precision_recall.squared_distances(real, made)
    fit, advance = distances.fit_gaussian, begin("intervals", (HALVES + 1) * references.count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(references.count)
        frechet = distances.rough_frechet_distance(fit(real[a]), fit(made[b]))
        kernel = 1000 * distances.part_kernel_distance(kernels, a, b)
        around = precision_recall.neighbour_scores(squares.part(a, b))
        apart = sliced_wasserstein.part_distance(patches, a, b)
        return np.array([*apart, frechet, kernel, *around])

    places, names = np.arange(references.count), (*_sliced(sample.patches), "frechet", "kernel")
    found = intervals.half_sample_interval(compare, places, places, replicates=HALVES, seed=seed)
    ends = {}
    for name, estimate, low, high in zip((*names, *AROUND), *found):
        # Only the spread of halves counts: their Frechet distance is rough, and on fewer lines
        # sliced Wasserstein distances are all larger or all smaller.
        sliced = name in names[:-2] and estimate > 0
        scale, value = values[name] / estimate if sliced else 1, values[name]
        ends[name] = value + scale * (low - estimate), value + scale * (high - estimate)
    ends["similarity"] = intervals.bootstrap_interval(np.mean, sample.alike, seed=seed)[1:]
    if len(references.training):
        for name, score in (("memorisation", _memorisation), ("copies", _copies)):
            two = sample.near, references.away
            ends[name] = intervals.bootstrap_interval(score, *two, seed=seed)[1:]
    return ends
