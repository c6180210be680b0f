"""Rows of spectral normalisation: what they compute, what they count, and D's penalties."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_images, tiny_state

from fish_jax.configs.default import conv, conv_transpose, residual
from fish_jax.gan.model import make_gan
from fish_jax.gan.step import train_step
from fish_jax.losses.penalties import PENALTIES
from fish_jax.networks import modules, spec, summary


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        (conv(5, 3, 2), (6, 7, 4)),
        (conv_transpose(3, 3, 2), (6, 7, 4)),
        (residual(5), (6, 7, 4)),
        (dict(op="dense", filters=3), (8,)),
    ],
)
def test_spectral_rows_divide_kernels_by_their_largest_singular_value(row, shape, float64):
    """That of the matrix with a column for each of the last axis."""
    rows = spec.read_rows(
        [{**row, "norm": "spectral", "use_bias": False, "activation": "none"}], {}, "table"
    )
    plain = dataclasses.replace(rows[0], norm="none")
    types = dict(dtype=jnp.float64, param_dtype=jnp.float64)
    network, without = modules.Stack(rows, **types), modules.Stack((plain,), **types)
    x = jax.random.normal(jax.random.key(0), (2, *shape), jnp.float64)
    variables = network.init(jax.random.key(1), x)
    drawn = jax.tree.map(
        lambda leaf: jax.random.normal(jax.random.key(leaf.size), leaf.shape), variables["params"]
    )
    stats = variables["batch_stats"]
    train = jax.jit(functools.partial(network.apply, train=True, mutable=["batch_stats"]))
    for _ in range(300):
        stats = train({"params": drawn, "batch_stats": stats}, x)[1]["batch_stats"]

    def divided(kernel):
        return kernel / np.linalg.norm(np.reshape(kernel, (-1, kernel.shape[-1])), 2)

    expected = without.apply({"params": jax.tree.map(divided, drawn)}, x)[0]
    got = network.apply({"params": drawn, "batch_stats": stats}, x)[0]
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    counts = summary.plan(rows, shape)[0]
    assert counts.statistics == sum(leaf.size for leaf in jax.tree.leaves(stats))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_penalty_goes_with_it(name):
    config = tiny_config("sngan")
    config.loss[name] = 1.0
    gan = make_gan(config)
    step = jax.jit(functools.partial(train_step, gan=gan))
    _, metrics = step(tiny_state(gan), tiny_images(config, 4))
    assert metrics["finite"] and metrics[name] > 0
