"""Keras' Adam, number by number, and the table of optimisers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.tiny import scalar_updates

from fish_jax.errors import UserError
from fish_jax.gan import optimizers
from fish_jax.gan.optimizers import OPTIMIZERS, OptimizerSettings, scale_by_keras_adam
from fish_jax.gan.schedules import Ramp
from fish_jax.utils.validation import check_fields

SETTINGS = OptimizerSettings("keras_adam", 0.9, 0.999, 1e-3, 0.0, 1e-3, 1e-3)


def build(name, learning_rate=1e-3):
    return optimizers.build_optimizer(SETTINGS._replace(name=name), learning_rate, Ramp(), 1)


def test_golden_updates(float64):
    """By hand: m = 0.05, v = 2.5e-4; sqrt(1-b2)/(1-b1) m / (sqrt(v) + eps), and so on."""
    updates = scalar_updates(build("keras_adam"), [0.5, -0.25])
    np.testing.assert_allclose(updates, [-9.405165e-4, -2.520720e-4], rtol=1e-6)


def test_epsilon_outside_the_bias_correction_differs_from_optax(float64):
    ours = scalar_updates(build("keras_adam"), [1e-3])
    usual = scalar_updates(build("adam"), [1e-3])
    np.testing.assert_allclose(usual, [-1e-3 * 1e-3 / (1e-3 + 1e-3)])
    assert abs(ours[0]) < 0.1 * abs(usual[0])


def test_equals_optax_with_epsilon_moved_each_step(float64):
    """m_hat / (sqrt(v_hat) + e) with e = eps / sqrt(1 - b2^t) is Keras' form."""
    gradients = [0.3, -0.2, 0.7, 0.01, -1.5]
    ours = scalar_updates(scale_by_keras_adam(0.5, 0.9, 1e-2), gradients)
    m = v = 0.0
    for t, (gradient, update) in enumerate(zip(gradients, ours), 1):
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        eps = 1e-2 / np.sqrt(1 - 0.9**t)
        expected = m / (1 - 0.5**t) / (np.sqrt(v / (1 - 0.9**t)) + eps)
        np.testing.assert_allclose(update, expected, rtol=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends(name):
    optimizer = build(name, 1e-2)
    params = jnp.array([1.0, -2.0])
    state = optimizer.init(params)
    for _ in range(20):
        gradient = jax.grad(lambda p: jnp.sum(p**2))(params)
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    assert jnp.sum(params**2) < 5


def test_mistakes_are_refused():
    with pytest.raises(UserError, match="one of keras_adam, adam, sgd, rmsprop, not 'adamw'"):
        check_fields(SETTINGS._replace(name="adamw")._asdict(), optimizers.SETTINGS)
    with pytest.raises(UserError, match="above 0, not -1"):
        check_fields(SETTINGS._replace(generator_lr=-1.0)._asdict(), optimizers.SETTINGS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_made_without_jit_can_be_donated(name):
    """No two of its arrays share memory."""
    optimizer = build(name)
    state = optimizer.init({"kernel": jnp.ones((3, 2))})
    jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)(state)
