"""Precision, recall, density, coverage and nearest neighbours against plain loops and prdc."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.evaluation.metrics.precision_recall import (
    density_coverage,
    expected_coverage,
    memorisation_ratio,
    nearest,
    neighbour_scores,
    precision_recall,
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


def precision_by_loops(real, fake, k):
    balls = list(zip(real, radii_by_loops(real, k)))
    return np.mean([any(distance(f, r) <= radius for r, radius in balls) for f in fake])


def density_by_loops(real, fake, k):
    balls = list(zip(real, radii_by_loops(real, k)))
    held = sum(distance(f, r) < radius for f in fake for r, radius in balls)
    return held / (k * len(fake))


def coverage_by_loops(real, fake, k):
    balls = list(zip(real, radii_by_loops(real, k)))
    return np.mean([any(distance(f, r) < radius for f in fake) for r, radius in balls])


def assert_agrees_with_loops(real, fake, k, block_size):
    precision, recall = precision_recall(real, fake, k=k, block_size=block_size)
    assert precision == pytest.approx(precision_by_loops(real, fake, k))
    assert recall == pytest.approx(precision_by_loops(fake, real, k))
    density, coverage = density_coverage(real, fake, k=k, block_size=block_size)
    assert density == pytest.approx(density_by_loops(real, fake, k))
    assert coverage == pytest.approx(coverage_by_loops(real, fake, k))


SHAPES = {
    "count": st.integers(2, 14),
    "dimension": st.integers(1, 6),
    "seed": st.integers(0, 2**32 - 1),
    "block_size": st.integers(1, 20),
    "data": st.data(),
}


@settings(max_examples=50, deadline=None)
@given(**SHAPES)
def test_random_features_against_loops(count, dimension, seed, block_size, data):
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, count - 1))
    real, fake = normal(rng, count, dimension), normal(rng, count, dimension) + np.float32(0.3)
    assert_agrees_with_loops(real, fake, k, block_size)


@settings(max_examples=50, deadline=None)
@given(**SHAPES)
def test_ties_and_duplicates_against_loops(count, dimension, seed, block_size, data):
    rng = np.random.default_rng(seed)
    k = data.draw(st.integers(1, count - 1))
    real, fake = rng.integers(3, size=(2, count, dimension)).astype(np.float32)
    assert_agrees_with_loops(real, fake, k, block_size)


# prdc 0.2 on these arrays; its precision and recall are strict, which matters for ties only.
PRDC = [
    ((100, 4, 1.0, 0.0, 0, 3), (0.9, 0.95, 1.0233333333333332, 0.97)),
    ((100, 4, 1.0, 0.0, 0, 5), (0.93, 0.97, 0.986, 1.0)),
    ((200, 16, 0.7, 0.3, 1, 3), (0.975, 0.14, 2.8716666666666666, 0.895)),
    ((200, 16, 0.7, 0.3, 1, 5), (0.995, 0.24, 2.794, 0.97)),
]


@pytest.mark.parametrize(("recipe", "expected"), PRDC)
def test_numbers_of_the_prdc_package(recipe, expected):
    count, dimension, scale, shift, seed, k = recipe
    rng = np.random.default_rng(seed)
    real = rng.standard_normal((count, dimension)).astype(np.float32)
    fake = (scale * rng.standard_normal((count, dimension)) + shift).astype(np.float32)
    scores = (*precision_recall(real, fake, k=k), *density_coverage(real, fake, k=k))
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


def test_a_line_by_hand():
    # Radii with k = 1 of 0, 1, 3, 7: 1, 1, 2, 4. Of 2, 3, 11, 20: 1, 1, 8, 9.
    real, fake = (np.float32([row]).T for row in ([0, 1, 3, 7], [2, 3, 11, 20]))
    # 2 is 1 from 1 and 3 is 0 from 3; 11 is 4 from 7: on the edge, so inside; 20 is outside.
    # 1 is 1 from 2, 3 and 7 are inside too; 0 is 2 from 2 and 11 from 11.
    assert precision_recall(real, fake, k=1) == (3 / 4, 3 / 4)
    # Strictly: 2 in the ball of 3; 3 in that of 3; 3 is 4 from 7 and 11 is too.
    assert density_coverage(real, fake, k=1) == (2 / 4, 1 / 4)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_copies_of_the_real_images(k):
    # The k-th neighbour is on the edge: it counts for precision only, so density is k / k.
    real = normal(np.random.default_rng(0), 64, 20) + np.float32(100)
    fake = np.random.default_rng(1).permutation(real)
    assert precision_recall(real, fake, k=k, block_size=10) == (1, 1)
    assert density_coverage(real, fake, k=k, block_size=10) == (1, 1)


def test_duplicates_have_balls_without_an_inside():
    real = np.zeros((6, 2), np.float32)
    assert precision_recall(real, real) == (1, 1)
    assert precision_recall(real, real + np.float32(1e-6)) == (0, 0)
    assert density_coverage(real, real) == (0, 0)


def test_precision_and_recall_change_places():
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 80, 5), normal(rng, 80, 5) * np.float32(0.5)
    scores = precision_recall(real, fake)
    assert scores.precision > scores.recall
    assert precision_recall(fake, real) == scores[::-1]


def test_order_and_blocks_change_nothing():
    rng = np.random.default_rng(0)
    real, fake = normal(rng, 101, 9), normal(rng, 101, 9) * np.float32(0.8)
    expected = precision_recall(real, fake), density_coverage(real, fake)
    shuffled = rng.permutation(real), jnp.asarray(rng.permutation(fake))
    for block_size in (1, 13, 100, 101, 5000):
        assert precision_recall(*shuffled, block_size=block_size) == expected[0]
        assert density_coverage(*shuffled, block_size=block_size) == expected[1]


@pytest.mark.parametrize("k", [1, 2, 5])
def test_expectations_for_one_distribution(k):
    rng, draws = np.random.default_rng(k), 40
    scores = np.array(
        [density_coverage(normal(rng, 150, 6), normal(rng, 150, 6), k=k) for _ in range(draws)]
    )
    error = np.std(scores, axis=0, ddof=1) / np.sqrt(draws)
    assert np.all(np.abs(np.mean(scores, axis=0) - (1, expected_coverage(150, k))) < 4 * error)
    # The spread is small enough to tell k from k + 1.
    assert 8 * error[0] < 1 / k
    assert 4 * error[1] < expected_coverage(150, k + 1) - expected_coverage(150, k)


def test_expected_coverage():
    assert expected_coverage(10_000, 5) == pytest.approx(0.96877, abs=5e-6)
    # Of real 1, 2 and generated 1, 2 the nearest of the other three is generated in 2 of 3 cases.
    assert expected_coverage(2, 1) == pytest.approx(2 / 3)
    assert expected_coverage(3, 2) == pytest.approx(1 - (2 / 5) * (1 / 4))


@pytest.mark.parametrize("block_size", [1, 4, 1000])
def test_nearest_against_loops(block_size):
    rng = np.random.default_rng(0)
    queries, keys = normal(rng, 13, 7), normal(rng, 22, 7)
    found = nearest(jnp.asarray(queries), keys, block_size=block_size)
    expected = np.array([[distance(x, y) for y in keys] for x in queries])
    assert found.distance.dtype == np.float32
    np.testing.assert_array_equal(found.index, expected.argmin(axis=1))
    np.testing.assert_allclose(found.distance, expected.min(axis=1), rtol=1e-6)


def test_nearest_of_near_copies_far_from_the_origin():
    rng = np.random.default_rng(0)
    keys = normal(rng, 30, 512) + np.float32(10)
    queries = keys + np.float32(1e-4) * normal(rng, 30, 512)
    found = nearest(queries, keys)
    np.testing.assert_array_equal(found.index, np.arange(30))
    expected = [distance(x, y) for x, y in zip(queries, keys)]
    np.testing.assert_allclose(found.distance, expected, rtol=1e-6)


def test_nearest_is_itself_at_0_and_the_first_of_several():
    vectors = normal(np.random.default_rng(0), 40, 33) + np.float32(1000)
    found = nearest(vectors, np.concatenate([vectors, vectors]), block_size=16)
    np.testing.assert_array_equal(found.index, np.arange(40))
    np.testing.assert_array_equal(found.distance, np.zeros(40, np.float32))


def test_memorisation_ratio():
    training = np.float32([[0, 0], [10, 0]])
    held_out = np.float32([[0, 2], [10, 4], [0, 100]])  # 2, 4, 100 away
    fake = np.float32([[1, 0], [10, 1], [0, 0], [10, 3]])  # 1, 1, 0, 3 away
    assert memorisation_ratio(fake, held_out, training) == 1 / 4
    assert memorisation_ratio(fake, held_out, training, block_size=1) == 1 / 4
    assert memorisation_ratio(held_out, held_out, training) == 1


def test_memorisation_ratio_of_copies_is_low():
    rng = np.random.default_rng(0)
    training, held_out, new = (normal(rng, 200, 32) for _ in range(3))
    copies = training + np.float32(0.01) * normal(rng, 200, 32)
    assert memorisation_ratio(training, held_out, training) == 0
    assert memorisation_ratio(copies, held_out, training) < 0.02
    assert memorisation_ratio(new, held_out, training) == pytest.approx(1, abs=0.05)


def test_held_out_images_that_were_trained_on_are_refused():
    training = normal(np.random.default_rng(0), 10, 3)
    with pytest.raises(ValueError, match="half of the held-out features are training"):
        memorisation_ratio(training + 1, training, training)


@pytest.mark.parametrize("score", [precision_recall, density_coverage])
def test_other_numbers_are_refused(score):
    rows = lambda count, dimension=3: np.ones((count, dimension), np.float32)
    with pytest.raises(ValueError, match="7 real and 8 fake"):
        score(rows(7), rows(8))
    with pytest.raises(ValueError, match="differ in dimension"):
        score(rows(8), rows(8, 4))
    for k in (0, -1, 8):
        with pytest.raises(ValueError, match="must be 1 to N - 1"):
            score(rows(8), rows(8), k=k)
    with pytest.raises(ValueError, match="real features must be"):
        score(rows(8)[0], rows(8))
    with pytest.raises(ValueError, match="fake features are not finite"):
        score(rows(8), rows(8) * np.float32(np.nan))
    with pytest.raises(ValueError, match="at least 1 row"):
        score(rows(8), rows(8), block_size=0)


def test_other_queries_are_refused():
    with pytest.raises(ValueError, match="differ in dimension"):
        nearest(np.ones((2, 3), np.float32), np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="key features must be"):
        nearest(np.ones((2, 3), np.float32), np.ones((0, 3), np.float32))
    with pytest.raises(ValueError, match="query features are not finite"):
        nearest(np.full((2, 3), np.inf, np.float32), np.ones((2, 3), np.float32))


def test_squares_that_overflow_are_refused():
    features = np.float32([[0], [1e19], [3e19], [-3e19]])
    with pytest.raises(ValueError, match="beyond float32"):
        nearest(features, features)
    assert nearest(features[:2], features[1:2]).distance.tolist() == [np.float32(1e19), 0]


@pytest.mark.parametrize("k", [0, 10])
def test_other_k_are_refused(k):
    with pytest.raises(ValueError, match="must be 1 to N - 1"):
        expected_coverage(10, k)


def test_neighbours_of_parts_of_two_sets():
    rng = np.random.default_rng(0)
    real, fake = np.float32(rng.normal(size=(2, 40, 3)))
    a, b = rng.permutation(40)[:20], rng.permutation(40)[:20]
    made = neighbour_scores(squared_distances(real, fake).subset(a, b))
    sides = real[a], fake[b]
    assert made == (*precision_recall(*sides), *density_coverage(*sides))
