"""Feature matching: values, gradients, and the zero that gave NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fish_jax.penalties import FEATURE_MATCHING

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
