"""Counts how often intervals of scores hold the mean score, of sound and of blurred drawn fish.

    python -m benchmarks.judging.intervals

An encoder is trained on 1,500 fish; pairs of sets are drawn from 12,800 others. Set
`OPENBLAS_NUM_THREADS=1`: many small decompositions wait for one another.
"""

import argparse
from typing import NamedTuple

import jax
import numpy as np

from benchmarks import arguments
from benchmarks.judging.damages import blur
from fish_jax.data.synthetic import drawing
from fish_jax.evaluation.features import space
from fish_jax.evaluation.judge import HALF_SAMPLES
from fish_jax.evaluation.metrics import distances, precision_recall, sliced_wasserstein
from fish_jax.evaluation.metrics.intervals import distance_interval, half_sample_interval

HEIGHT, WIDTH = 28, 64
POOL = 12_800
NAMES = ("sliced Wasserstein", "frechet", "kernel", "precision", "recall", "coverage")


class Images(NamedTuple):
    """Images, uint8 [N, H, W, 3], and their features, [N, D]."""

    pixels: np.ndarray
    features: np.ndarray

    def __getitem__(self, indices: np.ndarray) -> "Images":
        return Images(self.pixels[indices], self.features[indices])


def interval(real: Images, fake: Images, seed: int) -> tuple[np.ndarray, ...]:
    """The scores of two sets in the order of `NAMES`, and the ends of their intervals.

    As `fish_jax.evaluation.judge` does, halves have a rough Frechet distance and few directions.
    """
    keys = jax.random.split(jax.random.key(seed), 3)
    patches = [
        sliced_wasserstein.descriptors(each.pixels, key) for each, key in zip((real, fake), keys)
    ]
    levels = sliced_wasserstein.prepare_subsets(*patches, keys[2])
    kernels = distances.kernel_matrices(real.features, fake.features)
    pairs = precision_recall.squared_distances(real.features, fake.features)

    def compare(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        sliced = sliced_wasserstein.subset_distance(levels, a, b)[0]
        frechet = distances.frechet_distance_of_sets(real.features[a], fake.features[b], rough=True)
        kernel = distances.subset_kernel_distance(kernels, a, b)
        neighbours = precision_recall.neighbour_scores(pairs.subset(a, b))
        return np.array([sliced, frechet, kernel, *neighbours])

    every = np.arange(len(real.pixels))
    found = half_sample_interval(compare, every, every, replicates=HALF_SAMPLES, seed=seed)
    values = found.estimate.copy()
    values[0] = sliced_wasserstein.distance(*patches, keys[2])[0]
    values[1] = distances.frechet_distance_of_sets(real.features, fake.features)
    reach = found.high - found.estimate
    low, high = values - reach, values + reach
    for index in (1, 2):
        low[index], high[index] = distance_interval(values[index], reach[index])
    return values, low, high


def held(real: Images, fake: Images, count: int, repetitions: int) -> dict[str, float]:
    """The share of intervals that hold the mean score, by name; sets are drawn from two pools."""
    rng, found = np.random.default_rng(9), []
    for seed in range(repetitions):
        order = rng.permutation(len(real.pixels))
        found.append(interval(real[order[:count]], fake[order[count : 2 * count]], seed))
    values, low, high = map(np.stack, zip(*found))
    mean = values.mean(0)
    return dict(zip(NAMES, np.mean((low <= mean) & (mean <= high), axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=arguments.count, default=128, help="images on each side")
    parser.add_argument("--repetitions", type=arguments.count, default=400)
    options = parser.parse_args()
    school = drawing.draw_school(3000, HEIGHT, WIDTH, 0)
    fitted = space.fit(school, np.arange(3000) < 1500, seed=0)
    fish = drawing.draw_school(POOL, HEIGHT, WIDTH, 5)
    soft = blur(HEIGHT)(fish, np.random.default_rng(0))
    sound, blurred = (Images(each, space.extract(fitted, each)) for each in (fish, soft))
    for name, fake in (("sound", sound), ("blurred by a pixel", blurred)):
        shares = held(sound, fake, options.count, options.repetitions)
        print(name, *(f"{score} {100 * share:.1f} %" for score, share in shares.items()), sep=", ")


if __name__ == "__main__":
    main()
