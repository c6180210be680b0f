"""Resampling without aliasing: against JAX's, as adjoints, of any whole factors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from fish_jax.networks.ops.linear_resampling import downsample_linear, sum_linear, upsample_linear

pytestmark = pytest.mark.usefixtures("strict_dtypes")
SIDES = st.integers(1, 5)


def _draw(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def test_golden_numbers():
    """Weights of 1/4 and 3/4 between two pixels, and the ends as they are."""
    row = jnp.array([0.0, 4.0, 8.0])[None, None, :, None]
    np.testing.assert_array_equal(upsample_linear(row, (1, 2))[0, 0, :, 0], [0, 1, 3, 5, 7, 8])
    wide = jnp.array([8.0, 0.0, 0.0, 0.0, 0.0, 0.0])[None, None, :, None]
    np.testing.assert_array_equal(downsample_linear(wide, (1, 2))[0, 0, :, 0], [4, 0, 0])
    wide = jnp.array([0.0, 8.0, 0.0, 0.0, 0.0, 0.0])[None, None, :, None]
    np.testing.assert_array_equal(downsample_linear(wide, (1, 2))[0, 0, :, 0], [3, 1, 0])


@pytest.mark.slow
@given(SIDES, SIDES, SIDES, SIDES)
@settings(deadline=None, max_examples=20)
def test_upsampling_is_interpolation(height, width, down, right):
    images = _draw(0, 2, height, width, 3).astype(jnp.float32)
    made = upsample_linear(images, (down, right))
    expected = jax.image.resize(images, (2, height * down, width * right, 3), "linear")
    np.testing.assert_allclose(made, expected, atol=1e-5)


@pytest.mark.slow
@given(SIDES, SIDES, SIDES, SIDES)
@settings(deadline=None, max_examples=20)
def test_each_is_the_adjoint_of_the_other(height, width, down, right):
    small = _draw(1, 2, height, width, 3)
    large = _draw(2, 2, height * down, width * right, 3)
    left = jnp.sum(upsample_linear(small, (down, right)) * large)
    right_side = jnp.sum(small * sum_linear(large, (down, right)))
    np.testing.assert_allclose(left, right_side, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@given(SIDES, SIDES, SIDES, SIDES)
@settings(deadline=None, max_examples=20)
def test_one_colour_stays_as_it_is(height, width, down, right):
    large = jnp.full((1, height * down, width * right, 2), 0.7)
    np.testing.assert_allclose(downsample_linear(large, (down, right)), 0.7, rtol=1e-6)
    np.testing.assert_allclose(upsample_linear(large, (down, right)), 0.7, rtol=1e-6)


def test_the_finest_pattern_vanishes():
    """But at the ends; taking every second pixel would make it a flat white: aliasing."""
    stripes = jnp.tile(jnp.array([1.0, -1.0]), 8)[None, None, :, None]
    made = downsample_linear(stripes, (1, 2))[0, 0, :, 0]
    np.testing.assert_allclose(made[1:-1], 0, atol=1e-7)


def test_what_fills_no_window_is_left_out():
    images = _draw(3, 1, 7, 9, 2)
    whole = downsample_linear(images[:, :6, :8], (3, 4))
    np.testing.assert_array_equal(downsample_linear(images, (3, 4)), whole)


@pytest.mark.parametrize("resample", [upsample_linear, sum_linear, downsample_linear])
def test_gradients_and_gradients_of_gradients(resample, float64):
    images = _draw(4, 1, 4, 6, 2)
    check_grads(lambda x: resample(x, (2, 3)) ** 3, (images,), order=2, modes=("rev",))
