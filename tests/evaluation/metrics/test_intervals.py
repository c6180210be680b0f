"""Intervals of scores: what they hold, and why images are not always drawn with replacement."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.evaluation.metrics.distances import fit_gaussian, frechet_distance, kernel_distance
from fish_jax.evaluation.metrics.intervals import (
    bootstrap_interval,
    distance_interval,
    half_sample_interval,
)
from fish_jax.evaluation.metrics.precision_recall import neighbour_scores, squared_distances

pytestmark = pytest.mark.usefixtures("strict_dtypes")

SCHEMES = [bootstrap_interval, half_sample_interval]


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def fraction_held(interval_of_trial, truth, trials):
    """How often intervals hold the truth, for each number of the statistic."""
    intervals = [interval_of_trial(np.random.default_rng(trial)) for trial in range(trials)]
    return np.mean([(i.low <= truth) & (truth <= i.high) for i in intervals], axis=0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_intervals_of_means_and_medians_hold_the_truth_as_often_as_they_say(scheme):
    # 300 trials at 80 % have a deviation of 2.3 %; four of these, and 3 % for small samples.
    statistic = lambda x, y: [np.mean(x) - np.mean(y), np.median(x)]
    trial = lambda rng: scheme(
        statistic, normal(rng, 80) + 3, normal(rng, 50), level=0.8, replicates=60
    )
    held = fraction_held(trial, [3, 3], 300)
    assert np.all((held > 0.68) & (held < 0.92)), held


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_width_of_a_mean_is_that_of_its_normal_distribution(scheme, level):
    x = normal(np.random.default_rng(0), 401)
    interval = scheme(np.mean, x, level=level, replicates=4000)
    width = 2 * {0.5: 0.6745, 0.9: 1.6449}[level] * np.std(x, ddof=1) / np.sqrt(len(x))
    assert interval.high - interval.low == pytest.approx(width, rel=0.06)
    assert interval.high + interval.low == pytest.approx(2 * np.mean(x), abs=0.06 * width)


def test_bootstrap_is_the_percentiles_of_samples_with_replacement():
    # Of 0, 1 the mean is 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4.
    interval = bootstrap_interval(np.mean, np.arange(2.0), level=0.4, replicates=500)
    assert interval == (0.5, 0.5, 0.5)
    interval = bootstrap_interval(np.mean, np.arange(2.0), level=0.6, replicates=500)
    assert interval == (0.5, 0.0, 1.0)


def seen_by(scheme, *samples):
    seen = []
    scheme(lambda *drawn: seen.append([x.tolist() for x in drawn]) or 0, *samples)
    whole = [x.tolist() for x in samples]
    assert seen.count(whole) == 1  # the estimate
    return [drawn for drawn in seen if drawn != whole]


def test_half_samples_are_halves_without_copies():
    x, y = np.arange(9), np.arange(100, 120)
    for drawn_x, drawn_y in seen_by(half_sample_interval, x, y):
        assert len(drawn_x) == len(set(drawn_x)) == 4 and set(drawn_x) <= set(x.tolist())
        assert len(drawn_y) == len(set(drawn_y)) == 10 and set(drawn_y) <= set(y.tolist())


def test_bootstrap_samples_are_whole_and_have_copies():
    drawn = [row[0] for row in seen_by(bootstrap_interval, np.arange(50))]
    assert {len(row) for row in drawn} == {50}
    # A sample holds 1 - 1 / e of the images.
    assert np.mean([len(set(row)) for row in drawn]) == pytest.approx(50 * (1 - 1 / np.e), rel=0.03)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_samples_are_drawn_independently_of_one_another(scheme):
    x = np.arange(30)
    pairs = seen_by(scheme, x, x)
    assert not any(first == second for first, second in pairs)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_seed_gives_one_interval(scheme):
    x = normal(np.random.default_rng(0), 40, 2)
    statistic = lambda x: np.mean(x, axis=0)
    first, again = (scheme(statistic, jnp.asarray(x), seed=5) for _ in range(2))
    other = scheme(statistic, x, seed=6)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first.estimate, other.estimate)
    assert np.all(np.asarray(first.low) != other.low)
    assert first.low.shape == first.high.shape == first.estimate.shape == (2,)


def test_half_sample_interval_is_moved_to_the_estimate():
    # A score of 8 + 1 / N: halves have 8 + 2 / N, and no spread.
    interval = half_sample_interval(lambda x: 8 + 1 / len(x), np.arange(16))
    assert interval == (8 + 1 / 16, 8 + 1 / 16, 8 + 1 / 16)


@pytest.mark.slow
def test_half_samples_of_the_coverage_hold_its_expectation():
    statistic = lambda *sides: neighbour_scores(squared_distances(*sides)).coverage
    expected = 1 - math.prod((60 - i) / (120 - i) for i in range(1, 6))
    trial = lambda rng: half_sample_interval(
        statistic, normal(rng, 60, 2), normal(rng, 60, 2), level=0.8, replicates=30
    )
    held = fraction_held(trial, expected, 100)
    assert held > 0.68  # three deviations of 4 % below 0.8


def test_half_samples_reach_as_far_as_students_quantile():
    scores = iter([1.0, 3.0, 5.0] * 14 + [7.0])  # of 42 halves, then of all images
    found = half_sample_interval(lambda x: next(scores), np.arange(10), replicates=42)
    deviation = np.sqrt(14 * 8 / 41)
    assert found.estimate == 7
    assert found.high - 7 == pytest.approx(2.0195410 * deviation)
    assert 7 - found.low == pytest.approx(2.0195410 * deviation)


@pytest.mark.parametrize(("shift", "expected"), [(0, 0), (1, 16 + 3 + 3)])
def test_half_samples_of_the_kernel_distance_hold_its_expectation(shift, expected):
    # (E x^3 - E y^3)^2 + 3 (E x^2 - E y^2)^2 + 3 (E x - E y)^2 for x ~ N(0, 1), y ~ N(1, 1).
    trial = lambda rng: half_sample_interval(
        kernel_distance, normal(rng, 150, 1), normal(rng, 150, 1) + shift, level=0.8, replicates=40
    )
    held = fraction_held(trial, expected, 100)
    assert held > 0.68  # three deviations of 4 % below 0.8


@pytest.mark.parametrize(
    ("value", "reach", "ends"),
    [
        (10.0, 5.0, (5.0, 10 * math.exp(0.5))),  # as of a logarithm
        (1.0, 2.0, (-1.0, 1 + 2 * (math.e - 1))),  # with a reach of at most the value
        (-0.5, 1.0, (-1.5, -0.5 + math.e - 1)),
        (3.0, 0.0, (3.0, 3.0)),
    ],
)
def test_the_interval_of_a_distance_reaches_further_up(value, reach, ends):
    assert distance_interval(value, reach) == pytest.approx(ends)


def test_replacement_moves_the_scores_that_compare_images():
    """The pitfall: these intervals of one and the same set of images do not even hold its score."""
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 200, 4), normal(rng, 200, 4)
    scores = {
        "precision": lambda *sides: neighbour_scores(squared_distances(*sides)).precision,
        "coverage": lambda *sides: neighbour_scores(squared_distances(*sides)).coverage,
        "frechet": lambda real, fake: frechet_distance(fit_gaussian(real), fit_gaussian(fake)),
        "kernel": kernel_distance,
    }
    outside = {}
    for name, statistic in scores.items():
        interval = bootstrap_interval(statistic, real, fake, replicates=50)
        outside[name] = int(interval.estimate > interval.high) - int(
            interval.estimate < interval.low
        )
        halves = half_sample_interval(statistic, real, fake, replicates=50)
        assert halves.low < halves.estimate < halves.high
    assert outside == {"precision": 1, "coverage": 1, "frechet": -1, "kernel": -1}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_other_arguments_are_refused(scheme):
    x = np.arange(10.0)
    for samples in ((), (x, x[:1]), (np.float32(1),)):
        with pytest.raises(ValueError, match="at least 2 images"):
            scheme(np.mean, *samples)
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match="between 0 and 1"):
            scheme(np.mean, x, level=level)
    for level, least in ((0.95, 41), (0.9, 21)):
        scheme(np.mean, x, level=level, replicates=least)
        with pytest.raises(ValueError, match="too few for the level"):
            scheme(np.mean, x, level=level, replicates=least - 1)
