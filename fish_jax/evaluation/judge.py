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

import numpy as np

from fish_jax.evaluation.metrics import (
    distances,
    features,
    inception,
    intervals,
    precision_recall,
    sliced_wasserstein,
)
from fish_jax.evaluation.scores import INCEPTION_SCORES, SCORES, Judgement, References, Score
from fish_jax.evaluation.scoring import (
    NEIGHBOUR_SCORES,
    Sample,
    copies,
    describe_images,
    fold_seed,
    inception_values,
    memorisation,
    score_values,
    sliced_names,
)
from fish_jax.utils.progress import Begin, ignore_begin

HALF_SAMPLES = 60  # half-samples of an interval


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
    sample = describe_images(generated, made, near, fold_seed(seed, 1), fold_seed(seed, 3), begin)
    values = score_values(references, sample, fold_seed(seed, 2))
    ends = _intervals(references, sample, values, begin) if intervals else {}
    if network is not None:
        found = inception.extract(network, generated, begin("Inception features", count))
        values |= inception_values(references.inception, found)
        ends |= _inception_intervals(references, found, values, begin) if intervals else {}
    scores, kinds = [], SCORES | INCEPTION_SCORES
    for name, value in values.items():
        kind = kinds.get(name, SCORES["sliced_wasserstein"])  # one of its levels
        low, high = np.clip(ends.get(name, (math.nan, math.nan)), kind.least, kind.most)
        floor, spread = references.floors[name], references.spreads[name]
        scores.append(Score(name, value, floor, float(low), float(high), spread))
    return Judgement(tuple(scores), references.protocol)


def _inception_intervals(
    references: References, made: np.ndarray, values: dict[str, float], begin: Begin
) -> dict[str, tuple[float, float]]:
    """As `_intervals`, of FID and KID."""
    real, kernels = references.inception, distances.kernels(references.inception, made)
    advance = begin("intervals of FID and KID", (HALF_SAMPLES + 1) * references.count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(references.count)
        fid = distances.frechet_distance_of_sets(real[a], made[b], rough=True)
        return np.array([fid, 1000 * distances.part_kernel_distance(kernels, a, b)])

    places = np.arange(references.count)
    found = intervals.half_sample_interval(
        compare, places, places, replicates=HALF_SAMPLES, seed=references.seed
    )
    return {
        name: (values[name] + low - estimate, values[name] + high - estimate)
        for name, estimate, low, high in zip(INCEPTION_SCORES, *found)
    }


def _intervals(
    references: References, sample: Sample, values: dict[str, float], begin: Begin
) -> dict[str, tuple[float, float]]:
    """The ends by name. Halves are compared by distances of all pairs, computed once."""
    real, made, seed = references.real, sample.features, references.seed
    patches = sliced_wasserstein.prepare_parts(
        references.patches, sample.patches, fold_seed(seed, 2)
    )
    kernels, squares = distances.kernels(real, made), precision_recall.squared_distances(real, made)
    fit, advance = distances.fit_gaussian, begin("intervals", (HALF_SAMPLES + 1) * references.count)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        advance(references.count)
        frechet = distances.rough_frechet_distance(fit(real[a]), fit(made[b]))
        kernel = 1000 * distances.part_kernel_distance(kernels, a, b)
        around = precision_recall.neighbour_scores(squares.part(a, b))
        apart = sliced_wasserstein.part_distance(patches, a, b)
        return np.array([*apart, frechet, kernel, *around])

    places, names = (
        np.arange(references.count),
        (*sliced_names(sample.patches), "frechet", "kernel"),
    )
    found = intervals.half_sample_interval(
        compare, places, places, replicates=HALF_SAMPLES, seed=seed
    )
    ends = {}
    for name, estimate, low, high in zip((*names, *NEIGHBOUR_SCORES), *found):
        # Only the spread of halves counts: their Frechet distance is rough, and on fewer lines
        # sliced Wasserstein distances are all larger or all smaller.
        sliced = name in names[:-2] and estimate > 0
        scale, value = values[name] / estimate if sliced else 1, values[name]
        ends[name] = value + scale * (low - estimate), value + scale * (high - estimate)
    ends["similarity"] = intervals.bootstrap_interval(np.mean, sample.alike, seed=seed)[1:]
    if len(references.training):
        for name, score in (("memorisation", memorisation), ("copies", copies)):
            two = sample.near, references.away
            ends[name] = intervals.bootstrap_interval(score, *two, seed=seed)[1:]
    return ends
