"""Sums, biases and batch normalisation against their plain forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.networks.ops import batch_norm

SHAPES = [(5, 7), (2, 3, 4, 5), (1, 1, 1, 1), (3, 6, 2, 16)]


def _draw(seed: int, *shape: int, dtype=np.float32) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(1, 2, shape).astype(dtype))


def _plain_batch_norm(x, scale, bias, epsilon):
    axes = tuple(range(x.ndim - 1))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    spread = lambda values: values.reshape((1,) * (x.ndim - 1) + (-1,))
    y = (x - mean) / jnp.sqrt(variance + epsilon) * spread(scale) + spread(bias)
    return y, mean.reshape(-1), variance.reshape(-1)


def _through(function, seed: int = 5):
    """A scalar that depends on every output in a way that no symmetry hides."""

    def scalar(*arguments):
        outputs = function(*arguments)
        return sum(jnp.sum(jnp.sin(_draw(seed, *o.shape) * o)) for o in outputs)

    return scalar


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_equals_the_plain_form_with_its_gradients(shape):
    x, scale, bias = _draw(0, *shape), _draw(1, shape[-1]), _draw(2, shape[-1])
    ours = lambda *a: batch_norm.batch_norm(*a, 1e-2)
    plain = lambda *a: _plain_batch_norm(*a, 1e-2)
    for left, right in zip(jax.jit(ours)(x, scale, bias), plain(x, scale, bias)):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)
    gradients = [jax.grad(_through(f), (0, 1, 2))(x, scale, bias) for f in (ours, plain)]
    for left, right in zip(*gradients):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-3)


def test_batch_norm_of_bfloat16_is_that_of_float32_rounded(strict_dtypes):
    """Values, statistics and all cotangents, each to the rounding of its own type."""
    x, cotangent = (_draw(seed, 4, 6, 5, 8).astype(jnp.bfloat16) for seed in (0, 1))
    scale, bias = _draw(2, 8), _draw(3, 8)

    def value_and_cotangents(dtype):
        function = lambda *a: batch_norm.batch_norm(*a, 1e-2)
        outputs, pull = jax.vjp(function, x.astype(dtype), scale, bias)
        return outputs, pull((cotangent.astype(dtype), scale, bias))

    narrow, wide = value_and_cotangents(jnp.bfloat16), value_and_cotangents(jnp.float32)
    for left, right in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        # One rounding to 8 bits for what is like x, none for what belongs to a channel.
        assert left.dtype == (jnp.bfloat16 if left.ndim > 1 else jnp.float32)
        tolerance = 2**-8 if left.ndim > 1 else 1e-6
        np.testing.assert_allclose(left.astype(jnp.float32), right, rtol=tolerance, atol=1e-6)


def test_batch_norm_in_double_has_exact_gradients_of_gradients():
    with jax.enable_x64(True):
        shapes = enumerate([(2, 3, 2, 3), (3,), (3,)])
        x, scale, bias = (_draw(seed, *shape, dtype=np.float64) for seed, shape in shapes)

        def slope(function):
            gradient = jax.grad(_through(lambda *a: function(*a, 1e-2)))
            return jax.grad(lambda x: jnp.sum(jnp.cos(gradient(x, scale, bias))))(x)

        ours, plain = slope(batch_norm.batch_norm), slope(_plain_batch_norm)
        np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_and_biases(shape):
    x, bias = _draw(0, *shape), _draw(1, shape[-1])
    axes = tuple(range(len(shape) - 1))
    np.testing.assert_allclose(batch_norm.channel_sum(x), x.sum(axes), rtol=1e-5, atol=1e-5)
    stacked = jax.vmap(batch_norm.channel_sum)(jnp.stack([x, 2 * x]))
    np.testing.assert_allclose(stacked[1], 2 * x.sum(axes), rtol=1e-5, atol=1e-5)
    plain = lambda x, bias: x + bias.reshape((1,) * (x.ndim - 1) + (-1,))
    for left, right in zip(
        jax.grad(_through(lambda *a: [batch_norm.add_bias(*a)]), (0, 1))(x, bias),
        jax.grad(_through(lambda *a: [plain(*a)]), (0, 1))(x, bias),
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def test_sums_of_a_million_numbers_are_exact_to_rounding():
    x = np.abs(np.asarray(_draw(0, 32, 140, 320, 2)))
    exact = x.astype(np.float64).sum((0, 1, 2))
    np.testing.assert_allclose(jax.jit(batch_norm.channel_sum)(x), exact, rtol=2e-6)
