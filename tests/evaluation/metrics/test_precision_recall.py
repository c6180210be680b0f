"""Precision, recall, coverage and nearest neighbours against plain loops and others."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fish_jax.evaluation.metrics import precision_recall
from fish_jax.evaluation.metrics.precision_recall import (
    nearest_distances,
    neighbour_scores,
    squared_distances,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def distance(x, y):
    return float(np.linalg.norm(x.astype(np.float64) - y.astype(np.float64)))


def radii_by_loops(vectors, k):
    others = lambda i: (vectors[j] for j in range(len(vectors)) if j != i)
    return [sorted(distance(vectors[i], y) for y in others(i))[k - 1] for i in range(len(vectors))]


def precision_and_recall_by_loops(real, fake):
    radius = 1.2 * np.mean(radii_by_loops(real, 5))
    unlike = lambda f, r: min(distance(f, r) / radius, 1) if distance(f, r) else 0
    return (
        1 - np.mean([math.prod(unlike(f, r) for r in real) for f in fake]),
        1 - np.mean([math.prod(unlike(f, r) for f in fake) for r in real]),
    )


def coverage_by_loops(real, fake, k):
    balls = list(zip(real, radii_by_loops(real, k)))
    return np.mean([any(distance(f, r) < radius for f in fake) for r, radius in balls])


def scores(real, fake):
    return neighbour_scores(squared_distances(real, fake))


def assert_agrees_with_loops(real, fake, rows, monkeypatch):
    monkeypatch.setattr(precision_recall, "_MOST_ROWS", rows)
    expected = [
        *precision_and_recall_by_loops(real, fake),
        coverage_by_loops(real, fake, 5),
    ]
    assert scores(real, fake) == pytest.approx(expected)


SHAPES = {
    "count": st.integers(6, 14),
    "dimension": st.integers(1, 6),
    "seed": st.integers(0, 2**32 - 1),
    "rows": st.integers(1, 20),
}
given_shapes = lambda test: settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)(given(**SHAPES)(test))


@given_shapes
def test_random_features_against_loops(monkeypatch, count, dimension, seed, rows):
    rng = np.random.default_rng(seed)
    real, fake = normal(rng, count, dimension), normal(rng, count, dimension) + np.float32(0.3)
    assert_agrees_with_loops(real, fake, rows, monkeypatch)


@given_shapes
def test_ties_and_duplicates_against_loops(monkeypatch, count, dimension, seed, rows):
    rng = np.random.default_rng(seed)
    real, fake = rng.integers(3, size=(2, count, dimension)).astype(np.float32)
    assert_agrees_with_loops(real, fake, rows, monkeypatch)


# Precision by the authors' formula, of a program of its own with SciPy in doubles; coverage of
# prdc 0.2 with k = 5.
OF_OTHERS = [
    ((100, 4, 1.0, 0.0, 0), 0.7857114011526689, 1.0),
    ((200, 16, 0.7, 0.3, 1), 0.986647114812281, 0.97),
]


@pytest.mark.parametrize(("recipe", "precision", "coverage"), OF_OTHERS)
def test_numbers_of_other_programs(recipe, precision, coverage):
    count, dimension, scale, shift, seed = recipe
    rng = np.random.default_rng(seed)
    real = rng.standard_normal((count, dimension)).astype(np.float32)
    fake = (scale * rng.standard_normal((count, dimension)) + shift).astype(np.float32)
    found = scores(real, fake)
    assert found.precision == pytest.approx(precision, rel=1e-6)
    assert found.coverage == pytest.approx(coverage, rel=1e-12)


def test_a_line_by_hand():
    # Radii of the real numbers: 31, 30, 28, 24, 16, 31, of mean 160 / 6, so that R = 32.
    real, fake = (np.float32([row]).T for row in ([0, 1, 3, 7, 15, 31], [2, 3, 11, 20, 59, 62]))
    precision, recall, coverage = scores(real, fake)
    # 3 is a copy. 59 and 62 are nearer than R to 31 alone.
    two = math.prod([2, 1, 1, 5, 13, 29]) / 32**6
    eleven = math.prod([11, 10, 8, 4, 4, 20]) / 32**6
    twenty = math.prod([20, 19, 17, 13, 5, 11]) / 32**6
    assert precision == pytest.approx(1 - (two + eleven + twenty + (28 + 31) / 32) / 6)
    missed = [
        math.prod([2, 3, 11, 20]) / 32**4,
        math.prod([1, 2, 10, 19]) / 32**4,
        0,
        math.prod([5, 4, 4, 13]) / 32**4,
        math.prod([13, 12, 4, 5]) / 32**4,
        math.prod([29, 28, 20, 11, 28, 31]) / 32**6,
    ]
    assert recall == pytest.approx(1 - sum(missed) / 6)
    assert coverage == 1


def test_copies_of_the_real_images():
    real = normal(np.random.default_rng(0), 64, 20) + np.float32(100)
    fake = np.random.default_rng(1).permutation(real)
    assert scores(real, fake) == (1, 1, 1)


def test_duplicates_have_balls_without_an_inside():
    real = np.zeros((6, 2), np.float32)
    assert scores(real, real) == (1, 1, 0)
    assert scores(real, real + np.float32(1e-6)) == (0, 0, 0)


def test_one_real_outlier_is_not_like_everything():
    """With a ball of its own radius, as in Kynkaanniemi's precision, it holds all of these."""
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 80, 8), normal(rng, 80, 8) + np.float32(20)
    real[0] += np.float32(20)
    assert distance(real[0], fake[0]) < radii_by_loops(real, 3)[0]
    assert scores(real, fake).precision < 0.2


def test_few_kinds_lower_recall_and_not_precision():
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 80, 5), normal(rng, 80, 5) * np.float32(0.3)
    found = scores(real, fake)
    assert found.precision > found.recall + 0.2


def test_order_and_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 101, 9), normal(rng, 101, 9) * np.float32(0.8)
    expected = scores(real, fake)
    shuffled = rng.permutation(real), jnp.asarray(rng.permutation(fake))
    for rows in (1, 13, 100, 101, 5000):
        monkeypatch.setattr(precision_recall, "_MOST_ROWS", rows)
        assert scores(*shuffled) == pytest.approx(list(expected), rel=1e-12)


def test_expected_coverage_of_one_distribution():
    rng, draws = np.random.default_rng(5), 40
    found = [scores(normal(rng, 150, 6), normal(rng, 150, 6)).coverage for _ in range(draws)]
    error = np.std(found, ddof=1) / np.sqrt(draws)
    expected = [1 - math.prod((150 - i) / (300 - i) for i in range(1, k + 1)) for k in (5, 6)]
    assert abs(np.mean(found) - expected[0]) < 4 * error
    assert 4 * error < expected[1] - expected[0]  # the spread is small enough to tell k from k + 1


@pytest.mark.parametrize("rows", [1, 4, 1000])
def test_nearest_against_loops(monkeypatch, rows):
    monkeypatch.setattr(precision_recall, "_MOST_ROWS", rows)
    rng = np.random.default_rng(0)
    queries, keys = normal(rng, 13, 7), normal(rng, 22, 7)
    found = nearest_distances(jnp.asarray(queries), keys)
    expected = np.array([[distance(x, y) for y in keys] for x in queries])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.min(axis=1), rtol=1e-6)


def test_nearest_of_near_copies_far_from_the_origin():
    rng = np.random.default_rng(0)
    keys = normal(rng, 30, 512) + np.float32(10)
    queries = keys + np.float32(1e-4) * normal(rng, 30, 512)
    expected = [distance(x, y) for x, y in zip(queries, keys)]
    np.testing.assert_allclose(nearest_distances(queries, keys), expected, rtol=1e-6)


def test_the_nearest_of_a_vector_is_itself_at_0():
    vectors = normal(np.random.default_rng(0), 40, 33) + np.float32(1000)
    np.testing.assert_array_equal(nearest_distances(vectors, vectors), np.zeros(40, np.float32))


def test_other_features_are_refused():
    rows = lambda count, dimension=3: np.ones((count, dimension), np.float32)
    with pytest.raises(ValueError, match="7 real and 8 fake"):
        squared_distances(rows(7), rows(8))
    with pytest.raises(ValueError, match="differ in dimension"):
        squared_distances(rows(8), rows(8, 4))
    with pytest.raises(ValueError, match="real features must be"):
        squared_distances(rows(8)[0], rows(8))
    with pytest.raises(ValueError, match="fake features are not finite"):
        squared_distances(rows(8), rows(8) * np.float32(np.nan))


def test_other_queries_are_refused():
    with pytest.raises(ValueError, match="differ in dimension"):
        nearest_distances(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="key features must be"):
        nearest_distances(np.ones((2, 3), np.float32), np.ones((0, 3), np.float32))
    with pytest.raises(ValueError, match="query features are not finite"):
        nearest_distances(np.full((2, 3), np.inf, np.float32), np.ones((2, 3), np.float32))


def test_squares_that_overflow_are_refused():
    features = np.float32([[0], [1e19], [3e19], [-3e19]])
    with pytest.raises(ValueError, match="beyond float32"):
        nearest_distances(features, features)
    assert nearest_distances(features[:2], features[1:2]).tolist() == [np.float32(1e19), 0]


def test_neighbours_of_parts_of_two_sets():
    rng = np.random.default_rng(0)
    real, fake = np.float32(rng.normal(size=(2, 40, 3)))
    a, b = rng.permutation(40)[:20], rng.permutation(40)[:20]
    made = neighbour_scores(squared_distances(real, fake).subset(a, b))
    assert made == scores(real[a], fake[b])
