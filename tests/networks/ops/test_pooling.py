"""Windows against their plain forms: values, gradients, gradients of gradients."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.networks.ops import pooling

SIZES = [(2, 2), (1, 2), (3, 1), (2, 4)]


def _draw(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def _plain_upsample(images, size):
    return images.repeat(size[0], 1).repeat(size[1], 2)


def _plain_sum(images, size):
    window = (1, *size, 1)
    return jax.lax.reduce_window(images, 0.0, jax.lax.add, window, window, "VALID")


def _plain_max(images, size):
    return nn.max_pool(images, size, size, "VALID")


PAIRS = {
    "upsample": (pooling.upsample_nearest, _plain_upsample),
    "sum": (pooling.sum_pool, _plain_sum),
    "max": (pooling.max_pool, _plain_max),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_plain_form(name, size, float64):
    ours, plain = PAIRS[name]
    extra = (1, 3) if name == "max" else (0, 0)  # what no whole window covers
    images = _draw(0, 2, 2 * size[0] + extra[0] % size[0], 3 * size[1] + extra[1] % size[1], 5)
    weights = _draw(1, *plain(images, size).shape)

    def penalty(function):
        loss = lambda x: jnp.vdot(weights, jnp.sin(function(x, size)))
        return lambda x: loss(x) + jnp.sum(jax.grad(loss)(x) ** 2)

    for derive in (lambda f: lambda x: f(x, size), lambda f: jax.grad(penalty(f))):
        np.testing.assert_allclose(
            jax.jit(derive(ours))(images), jax.jit(derive(plain))(images), rtol=1e-12, atol=1e-12
        )
    by_image = jax.vmap(lambda x: ours(x[None], size)[0])(images)
    np.testing.assert_array_equal(by_image, ours(images, size))


def test_the_first_of_equal_maxima_takes_the_gradient():
    images = jnp.array([[0.0, 7, 7, 1], [7, 3, 7, 7]])[None, ..., None]
    gradient = jax.grad(
        lambda x: jnp.vdot(pooling.max_pool(x, (2, 2)), jnp.array([[1.0, 2]])[None, ..., None])
    )
    np.testing.assert_array_equal(gradient(images)[0, ..., 0], [[0, 1, 2, 0], [0, 0, 0, 0]])


def test_bfloat16_stays(strict_dtypes):
    images = jnp.ones((1, 4, 4, 2), jnp.bfloat16)
    for ours, _ in PAIRS.values():
        output, pull = jax.vjp(lambda x, ours=ours: ours(x, (2, 2)), images)
        assert output.dtype == pull(output)[0].dtype == jnp.bfloat16
