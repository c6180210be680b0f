"""Scores generated images: every score with a baseline of real images, under one protocol.

    real = divide(images, seed=0)
    references = prepare(real, fit(real.train, real.seen, seed=0), count=500)    once for a data set
    judgement = judge(references, generated_images)
    print(judgement.table())

No score needs trained weights but FID and KID, which are reported where both functions are given
`network=inception.load_network("inception.npz")`, a user's file of Inception's weights.

Each score compares `count` generated images with as many real ones. It has a floor, the
baseline: the mean over several draws of as many held-out images against real ones.
Scores of different counts, sizes or feature spaces cannot be compared; the protocol states them.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from fish_jax.evaluation import scoring
from fish_jax.evaluation.features import space
from fish_jax.evaluation.metrics import distances, inception, precision_recall
from fish_jax.evaluation.metrics.intervals import (
    bootstrap_interval,
    distance_interval,
    half_sample_interval,
)
from fish_jax.evaluation.metrics.sliced_wasserstein import prepare_subsets, subset_distance
from fish_jax.evaluation.scores import INCEPTION_SCORES, Judgement, References, Score, kind_of
from fish_jax.utils.pictures import over_white
from fish_jax.utils.progress import Begin, ignore_begin

HALF_SAMPLES = 60  # half-samples of an interval

Ends = dict[str, tuple[ArrayLike, ArrayLike]]  # the two ends of each score's interval, by name


def judge(
    references: References,
    generated: np.ndarray,
    intervals: bool = False,
    *,
    begin: Begin = ignore_begin,
    network: inception.Network | None = None,
) -> Judgement:
    """Scores generated images.

    Args:
      references: from `prepare`.
      generated: uint8 [count, H, W, C], scored as `over_white` shows them.
      intervals: whether to estimate, at 95 %, where the score would be of other images: other
        generated and other real ones, drawn as these were. Those of the similarity are of the
        generated images alone, those of memorisation and copies of generated and held-out ones,
        the training images as they are.
      begin: as in `prepare`.
      network: the one that `prepare` was given, if it was.

    Returns:
      The scores.

    Raises:
      ValueError: another number of images, or another network.
    """
    count, seed, generated = references.count, references.seed, over_white(generated)
    if len(generated) != count:
        raise ValueError(f"there are {len(generated)} generated images, not {count}")
    if references.network != (network.description if network else ""):
        raise ValueError(
            f"references of {references.network or 'no network'} cannot judge features of "
            f"{network.description if network else 'no network'}"
        )
    found = space.extract(references.space, generated, begin("features", count))
    nearest = np.zeros(0, np.float32)
    if len(references.training):
        textures = found[:, space.TEXTURES]
        nearest = precision_recall.nearest_distances(textures, references.training)
    keys = scoring.fold_seed(seed, 1), scoring.fold_seed(seed, 3)
    sample = scoring.describe_images(generated, found, nearest, *keys, begin)
    values = scoring.score_values(references, sample, scoring.fold_seed(seed, 2))
    ends = _intervals(references, sample, values, begin) if intervals else {}
    if network is not None and references.inception is not None:
        real = references.inception
        fake = inception.extract(network, generated, begin("Inception features", count))
        values |= scoring.inception_values(real, fake)
        ends |= _inception_intervals(real, fake, values, seed, begin) if intervals else {}
    scores = [_score(references, name, value, ends) for name, value in values.items()]
    return Judgement(tuple(scores), references.protocol)


def _score(references: References, name: str, value: float, ends: Ends) -> Score:
    kind = kind_of(name)
    interval = ends.get(name, (math.nan, math.nan))
    low, high = (float(np.clip(end, kind.least, kind.most)) for end in interval)
    return Score(name, value, references.floors[name], low, high, references.spreads[name])


def _inception_intervals(
    real: np.ndarray, fake: np.ndarray, values: dict[str, float], seed: int, begin: Begin
) -> Ends:
    """The intervals of FID and KID, of Inception's features of both sides."""
    kernels, count = distances.kernel_matrices(real, fake), len(real)
    advance = begin("intervals of FID and KID", (HALF_SAMPLES + 1) * count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(count)
        fid = distances.frechet_distance_of_sets(real[a], fake[b], rough=True)
        return np.array([fid, 1000 * distances.subset_kernel_distance(kernels, a, b)])

    indices = np.arange(count)
    found = half_sample_interval(compare, indices, indices, replicates=HALF_SAMPLES, seed=seed)
    reaches = zip(INCEPTION_SCORES, found.high - found.estimate)
    return {name: distance_interval(values[name], reach) for name, reach in reaches}


def _intervals(
    references: References, sample: scoring.Sample, values: dict[str, float], begin: Begin
) -> Ends:
    """The intervals of other scores, of halves; distances of all pairs are computed once."""
    real, fake, seed, count = references.real, sample.features, references.seed, references.count
    patches = prepare_subsets(references.patches, sample.patches, scoring.fold_seed(seed, 2))
    kernels = distances.kernel_matrices(real, fake)
    pairs = precision_recall.squared_distances(real, fake)
    advance = begin("intervals", (HALF_SAMPLES + 1) * count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(count)
        frechet = distances.frechet_distance_of_sets(real[a], fake[b], rough=True)
        kernel = 1000 * distances.subset_kernel_distance(kernels, a, b)
        neighbours = precision_recall.neighbour_scores(pairs.subset(a, b))
        sliced = subset_distance(patches, a, b)
        return np.array([*sliced, frechet, kernel, *neighbours])

    indices = np.arange(count)
    found = half_sample_interval(compare, indices, indices, replicates=HALF_SAMPLES, seed=seed)
    sliced = scoring.sliced_names(sample.patches)
    names = (*sliced, "frechet", "kernel", *precision_recall.NeighbourScores._fields)
    ends: Ends = {}
    for name, estimate, low, high in zip(names, *found):
        # Only the spread of halves counts: their Frechet distance is rough, and on fewer lines
        # sliced Wasserstein distances are all larger or all smaller.
        value = values[name]
        if name in ("frechet", "kernel"):
            ends[name] = distance_interval(value, high - estimate)
            continue
        scale = value / estimate if name in sliced and estimate > 0 else 1
        ends[name] = value + scale * (low - estimate), value + scale * (high - estimate)
    ends["similarity"] = bootstrap_interval(np.mean, sample.similarities, seed=seed)[1:]
    if len(references.training):
        for name, score in (("memorisation", scoring.memorisation), ("copies", scoring.copies)):
            nearest = sample.nearest, references.away
            ends[name] = bootstrap_interval(score, *nearest, seed=seed)[1:]
    return ends
