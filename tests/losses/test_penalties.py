"""Feature matching, pulling-away and gradient penalties: values, gradients, and what gave NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fish_jax.losses import penalties
from fish_jax.losses.penalties import FEATURE_MATCHING

pytestmark = pytest.mark.usefixtures("strict_dtypes")

REAL = np.array([[1.0, 2.0], [3.0, 6.0]], np.float32)  # means 2, 4
FAKE = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]], np.float32)  # means 2, 1


@pytest.mark.parametrize(("name", "value"), [("scalar", 1.5), ("mean", 4.5), ("sum", 9.0)])
def test_golden_numbers(name, value):
    np.testing.assert_allclose(FEATURE_MATCHING[name](REAL, FAKE), value, rtol=1e-6)


@pytest.mark.parametrize("name", FEATURE_MATCHING)
def test_gradient_at_zero_is_zero(name):
    gradient = jax.grad(FEATURE_MATCHING[name])(jnp.asarray(REAL), jnp.asarray(REAL))
    np.testing.assert_array_equal(gradient, np.zeros_like(REAL))


@pytest.mark.parametrize("name", FEATURE_MATCHING)
def test_gradients_agree_with_finite_differences(name, float64):
    real, fake = jnp.asarray(REAL, float), jnp.asarray(FAKE, float)
    check_grads(FEATURE_MATCHING[name], (real, fake), order=1, modes=("rev",))


def test_images_are_not_paired():
    for match in FEATURE_MATCHING.values():
        assert match(REAL, REAL[::-1]) == 0


def test_other_features_are_refused():
    with pytest.raises(ValueError, match="of the same kind"):
        FEATURE_MATCHING["sum"](REAL, np.ones((2, 3), np.float32))


CODES = np.array([[3.0, 4.0], [4.0, 3.0], [0.0, 2.0]])


def test_pulling_away_golden_number(float64):
    """Cosines 0.96, 0.8, 0.6, each pair twice of six: squares, not normalised across the batch."""
    expected = (0.96**2 + 0.8**2 + 0.6**2) / 3
    np.testing.assert_allclose(penalties.pulling_away(jnp.asarray(CODES)), expected, rtol=1e-12)
    lengths = np.array([[2.0], [0.1], [7.0]])
    np.testing.assert_allclose(penalties.pulling_away(CODES * lengths), expected, rtol=1e-12)
    check_grads(penalties.pulling_away, (jnp.asarray(CODES),), order=1, modes=("rev",))


def test_pulling_away_of_a_code_of_zeros():
    codes = jnp.asarray(CODES, jnp.float32).at[2].set(0)
    value, gradient = jax.value_and_grad(penalties.pulling_away)(codes)
    np.testing.assert_allclose(value, 0.96**2 / 3, rtol=1e-6)
    assert np.isfinite(gradient).all()
    with pytest.raises(ValueError, match="two or more images"):
        penalties.pulling_away(codes[:1])


IMAGES = np.random.default_rng(0).normal(size=(3, 4, 5, 3))
LENGTHS = np.sqrt(np.sum(IMAGES**2, axis=(1, 2, 3)))


def half_square(images):
    """A critic whose gradient at an image is the image."""
    return jnp.sum(jnp.square(images), axis=(1, 2, 3)) / 2


def test_gradients_are_of_each_image(float64):
    images = jnp.asarray(IMAGES)
    made = penalties.squared_gradient(half_square, images)
    np.testing.assert_allclose(made, LENGTHS**2, rtol=1e-12)
    made = penalties.unit_gradient(half_square, images)
    np.testing.assert_allclose(made, (LENGTHS - 1) ** 2, rtol=1e-9)


@pytest.mark.parametrize("penalty", [penalties.squared_gradient, penalties.unit_gradient])
def test_penalties_have_gradients_by_parameters(penalty, float64):
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(60, 7)))

    def value(weights):
        critic = lambda x: jnp.sum(jnp.tanh(x.reshape(len(x), -1) @ weights), axis=1)
        return jnp.mean(penalty(critic, jnp.asarray(IMAGES) / 9))

    check_grads(value, (weights,), order=1, modes=("rev",))


def test_a_critic_without_slope_has_finite_gradients():
    flat = lambda scale: jnp.sum(
        penalties.unit_gradient(lambda x: scale * half_square(x), jnp.zeros((2, 4, 5, 3)))
    )
    value, gradient = jax.value_and_grad(flat)(jnp.float32(1))
    np.testing.assert_allclose(value, 2, rtol=1e-5)
    assert np.isfinite(gradient)


def test_points_lie_between_images():
    real, fake = jnp.zeros((3, 2, 2, 3)), jnp.ones((3, 2, 2, 3))
    points = penalties.interpolate(real, fake, jnp.array([0.0, 0.25, 1.0]))
    for image, share in zip(points, (0, 0.25, 1)):
        np.testing.assert_array_equal(image, np.full((2, 2, 3), share, np.float32))


def test_weights_are_clipped():
    clipped = penalties.clip({"a": jnp.array([-3.0, 0.005]), "b": jnp.float32(0.02)}, 0.01)
    np.testing.assert_allclose(clipped["a"], [-0.01, 0.005])
    np.testing.assert_allclose(clipped["b"], 0.01)
