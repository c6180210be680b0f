"""Images of a pyramid: halving undoes doubling, for any size."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fish_jax.networks.ops import pyramid

side = st.integers(1, 7)


@settings(max_examples=20, deadline=None)
@given(height=side, width=side, odd=st.tuples(st.booleans(), st.booleans()))
def test_halving_undoes_doubling(height, width, odd):
    images = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)
    size = (2 * height - odd[0], 2 * width - odd[1])
    large = pyramid.double(jnp.asarray(images), size)
    assert large.shape == (2, *size, 3) and pyramid.halved_size(size) == (height, width)
    np.testing.assert_allclose(pyramid.halve(large), images, atol=1e-6)
    assert pyramid.double_features(jnp.asarray(images), size).shape == large.shape


def test_golden_numbers():
    row = jnp.array([0.0, 8, 24, 16])[None, None, :, None]
    large = pyramid.double(row, (1, 8))
    np.testing.assert_array_equal(large[0, 0, :, 0], [0, 0, 5, 11, 23, 25, 16, 16])
    odd = jnp.array([[1.0, 3, 5], [3, 5, 7], [9, 9, 9]])[None, :, :, None]
    np.testing.assert_array_equal(pyramid.halve(odd)[0, :, :, 0], [[3, 6], [9, 9]])
    assert pyramid.halved_size((140, 320), 4) == (9, 20)
