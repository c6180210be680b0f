"""Frechet and kernel distances against closed forms and double loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.evaluation.metrics import distances
from fish_jax.evaluation.metrics.distances import (
    Gaussian,
    fit_gaussian,
    frechet_distance,
    kernel_distance,
)

pytestmark = pytest.mark.usefixtures("strict_dtypes")


def crosses(scales, mean):
    """2 D rows, mean +- scale along each axis: their covariance is diagonal and exact."""
    steps = np.diag(np.asarray(scales, np.float32))
    return np.concatenate([steps, -steps]) + np.asarray(mean, np.float32)


def rotation(dimension, seed=0):
    matrix = np.random.default_rng(seed).standard_normal((dimension, dimension))
    return np.linalg.qr(matrix)[0]


def gaussian(covariance):
    return Gaussian(np.zeros(len(covariance)), np.asarray(covariance, np.float64))


def frechet(real, fake):
    return frechet_distance(fit_gaussian(real), fit_gaussian(fake))


def test_covariance_is_unbiased():
    features = np.random.default_rng(0).standard_normal((7, 3)).astype(np.float32)
    mean, covariance = fit_gaussian(jnp.asarray(features))
    assert mean.dtype == covariance.dtype == np.float64
    np.testing.assert_allclose(mean, features.astype(np.float64).mean(axis=0), rtol=1e-14)
    expected = np.cov(features.astype(np.float64), rowvar=False, ddof=1)
    np.testing.assert_allclose(covariance, expected, rtol=1e-12, atol=1e-15)


def test_frechet_of_diagonal_gaussians():
    # Variances 2 s^2 / (N - 1) with N = 6: deviations sqrt(2 / 5) s; the means are 3, 4 apart.
    real = crosses([1, 2, 3], [0, 0, 0])
    fake = crosses([2, 2, 7], [3, 0, 4])
    expected = 25 + 2 / 5 * (1 + 0 + 16)
    np.testing.assert_allclose(frechet(real, fake), expected, rtol=1e-12)
    np.testing.assert_allclose(frechet(fake, real), expected, rtol=1e-12)


def test_frechet_of_covariances_that_do_not_commute():
    # In two dimensions tr (S T)^(1/2) = sqrt(tr S T + 2 sqrt(det S det T)).
    s, t = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    root_trace = np.sqrt(8 + 2 * np.sqrt(3 * 1))
    expected = 4 + 6 - 2 * root_trace
    np.testing.assert_allclose(frechet_distance(gaussian(s), gaussian(t)), expected, rtol=1e-12)


def test_frechet_of_singular_covariances_has_all_its_digits():
    # tr (u u^T v v^T)^(1/2) = |u . v|. Roots of eigenvalues that are rounding would give 1e-7.
    u, v = np.random.default_rng(0).standard_normal((2, 300))
    distance = frechet_distance(gaussian(np.outer(u, u)), gaussian(np.outer(v, v)))
    np.testing.assert_allclose(distance, u @ u + v @ v - 2 * abs(u @ v), rtol=1e-12)


def test_frechet_of_fewer_images_than_dimensions():
    turn = rotation(40)
    rows = lambda axes, scales: np.concatenate([np.diag(scales), -np.diag(scales)]) @ turn[axes]
    real = rows([0, 1, 2], [1.0, 2.0, 3.0])  # 6 images in 40 dimensions
    shared = rows([0, 1, 2], [2.0, 2.0, 2.0])
    apart = rows([3, 4, 5], [2.0, 2.0, 2.0])
    np.testing.assert_allclose(frechet(real, shared), 2 / 5 * (1 + 0 + 1), rtol=1e-12)
    np.testing.assert_allclose(frechet(real, apart), 2 / 5 * (1 + 4 + 9 + 3 * 4), rtol=1e-12)


@pytest.mark.parametrize("count", [5, 30, 31, 200])
def test_frechet_of_a_set_and_itself_is_0_and_not_below(count):
    features = np.random.default_rng(count).standard_normal((count, 30)).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(features)
    assert 0 <= frechet(features, shuffled) < 1e-11


def test_frechet_does_not_see_where_the_origin_is():
    rng = np.random.default_rng(0)
    real, fake = rng.standard_normal((2, 50, 8))
    np.testing.assert_allclose(frechet(real + 1000, fake + 1000), frechet(real, fake), rtol=1e-9)


def test_frechet_of_constant_features():
    assert frechet(np.ones((4, 3), np.float32), np.full((5, 3), 3, np.float32)) == 12


def kernel_distance_by_loops(real, fake):
    kernel = lambda x, y: (float(np.dot(x, y)) / len(x) + 1) ** 3
    real, fake = real.astype(np.float64), fake.astype(np.float64)
    n, m = len(real), len(fake)
    of_real = [kernel(real[i], real[j]) for i in range(n) for j in range(n) if i != j]
    of_fake = [kernel(fake[i], fake[j]) for i in range(m) for j in range(m) if i != j]
    of_both = [kernel(real[i], fake[j]) for i in range(n) for j in range(m)]
    return np.mean(of_real) + np.mean(of_fake) - 2 * np.mean(of_both)


@pytest.mark.parametrize(("n", "m", "dimension"), [(2, 2, 1), (9, 14, 3), (21, 5, 8), (16, 16, 64)])
def test_kernel_distance_against_loops(monkeypatch, n, m, dimension):
    rng = np.random.default_rng(n)
    real = rng.standard_normal((n, dimension)).astype(np.float32)
    fake = rng.standard_normal((m, dimension)).astype(np.float32) + np.float32(0.5)
    expected = kernel_distance_by_loops(real, fake)
    np.testing.assert_allclose(kernel_distance(jnp.asarray(real), fake), expected, rtol=1e-10)
    for rows in (1, 4, 7):
        monkeypatch.setattr(distances, "_MOST_ROWS", rows)
        np.testing.assert_allclose(kernel_distance(real, fake), expected, rtol=1e-10)
    np.testing.assert_allclose(kernel_distance(fake, real[::-1]), expected, rtol=1e-10)


def test_kernel_distance_of_two_points():
    # (1 + 1)^3 + (4 + 1)^3 - 2 (2 + 1)^3
    assert kernel_distance(np.ones((3, 1)), np.full((2, 1), 2.0)) == 8 + 125 - 2 * 27


def kernel_distances_of_normals(shift, draws):
    rng = np.random.default_rng(0)
    pairs = [(rng.standard_normal((50, 1)), rng.standard_normal((70, 1))) for _ in range(draws)]
    return np.array([kernel_distance(real, fake + shift) for real, fake in pairs])


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_kernel_distance_is_unbiased(shift):
    # For x ~ N(0, 1), y ~ N(s, 1) the three terms of (x y + 1)^3 that have a mean give
    # (E x^3 - E y^3)^2 + 3 (E x^2 - E y^2)^2 + 3 (E x - E y)^2.
    expected = (shift**3 + 3 * shift) ** 2 + 3 * shift**4 + 3 * shift**2
    values = kernel_distances_of_normals(shift, draws=400)
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    assert abs(np.mean(values) - expected) < 4 * error
    # The pairs i = j would add E (x^2 + 1)^3 - E (x x' + 1)^3 = 28 - 4 over N, or more.
    assert 4 * error < 24 / 50 + 24 / 70


def test_kernel_distance_of_one_distribution_is_often_negative():
    negative = np.mean(kernel_distances_of_normals(0, draws=400) < 0)
    assert 0.4 < negative < 0.8  # its distribution is skewed


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones(3, np.float32), "must be"),
        (np.ones((3, 2), np.int32), "must be"),
        (np.ones((3, 0), np.float32), "must be"),
        (np.ones((1, 2), np.float32), "at least 2 are needed"),
        (np.array([[1, np.nan], [1, 1]], np.float32), "not finite"),
        (np.array([[1, np.inf], [1, 1]], np.float32), "not finite"),
    ],
)
def test_other_features_are_refused(features, message):
    good = np.ones((3, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        fit_gaussian(features)
    for pair in ((good, features), (features, good)):
        with pytest.raises(ValueError, match=message):
            kernel_distance(*pair)


def test_other_dimensions_are_refused():
    two, three = np.ones((4, 2), np.float32), np.ones((4, 3), np.float32)
    with pytest.raises(ValueError, match="differ in dimension: 2 and 3"):
        kernel_distance(two, three)
    with pytest.raises(ValueError, match="differ in dimension: 2 and 3"):
        frechet(two, three)


def test_other_covariances_are_refused():
    good = gaussian(np.eye(2))
    with pytest.raises(ValueError, match="not symmetric"):
        frechet_distance(good, gaussian([[1.0, 0.5], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="a covariance of 2 means"):
        frechet_distance(Gaussian(np.zeros(2), np.eye(3)), good)


def test_parts_of_a_kernel_matrix():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(2, 30, 7)) + np.array([[[0]], [[0.3]]])
    a, b = rng.permutation(30)[:15], rng.permutation(30)[:11]
    made = distances.subset_kernel_distance(distances.kernel_matrices(real, fake), a, b)
    np.testing.assert_allclose(made, distances.kernel_distance(real[a], fake[b]), rtol=1e-9)


@pytest.mark.parametrize("count", [20, 400])
def test_a_rough_frechet_distance_has_the_spread_of_the_exact_one(count):
    """Also where covariances are singular, and where deviations differ a thousandfold."""
    rng, pairs = np.random.default_rng(0), []
    scales = np.geomspace(1, 1e-3, 40)
    for _ in range(8):
        sides = rng.normal(size=(2, count, 40)) * scales + [[[0]], [[0.1]]]
        gaussians = [distances.fit_gaussian(side) for side in sides]
        pairs.append([distances.frechet_distance(*gaussians)])
        pairs[-1].append(distances.rough_frechet_distance(*gaussians))
    exact, rough = np.transpose(pairs)
    np.testing.assert_allclose(rough, exact, rtol=0.03)
    np.testing.assert_allclose(rough - rough.mean(), exact - exact.mean(), atol=0.03 * exact.std())


@pytest.mark.parametrize("counts", [(30, 30), (12, 17), (90, 20), (41, 40)])
def test_the_frechet_distance_of_sets_is_that_of_their_gaussians(counts):
    """Of fewer vectors than the 40 dimensions, of one more, and of a few on one side alone."""
    random = np.random.default_rng(0)
    scales = random.uniform(0.2, 3, 40)
    real, fake = (random.normal(size=(count, 40)) * scales for count in counts)
    fake = np.float32(fake + 0.3)
    expected = frechet_distance(fit_gaussian(real), fit_gaussian(fake))
    assert distances.frechet_distance_of_sets(real, fake) == pytest.approx(expected, rel=1e-12)
    rough = distances.frechet_distance_of_sets(real, fake, rough=True)
    assert rough == pytest.approx(expected, rel=0.02) and rough != expected
    assert distances.frechet_distance_of_sets(real, real[::-1]) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_sets_refuses_other_dimensions():
    with pytest.raises(ValueError, match="differ in dimension"):
        distances.frechet_distance_of_sets(np.zeros((5, 4)), np.zeros((5, 3)))
