"""Keras' Adam, number by number, and the table of optimisers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.growing import growing_config
from helpers.tiny import scalar_updates, tiny_config

from fish_jax.errors import UserError
from fish_jax.gan import optimizers
from fish_jax.gan.model import make_gan
from fish_jax.gan.optimizers import OPTIMIZERS, OptimizerSettings, scale_by_keras_adam
from fish_jax.gan.schedules import Ramp
from fish_jax.gan.state import create_state
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


def sixth_updates(config):
    """Six updates along gradients of 1: the last, by path, and how many moments are kept."""
    gan = make_gan(config)
    shapes = jax.eval_shape(lambda: create_state(gan, 0)).discriminator_params
    params = jax.tree.map(lambda leaf: jnp.ones(leaf.shape, leaf.dtype), shapes)
    state = gan.discriminator_optimizer.init(params)
    for _ in range(6):
        updates, state = gan.discriminator_optimizer.update(params, state, params)
    found = jax.tree_util.tree_leaves_with_path(updates)
    moments = sum(leaf.size for leaf in jax.tree.leaves(state) if leaf.ndim)
    return {tuple(key.key for key in path): leaf for path, leaf in found}, moments


@pytest.mark.parametrize("name", ["lsgan_dense", "began", "growing"])
def test_held_rows_do_not_move_and_others_move_as_they_would(name):
    """Rows 0 and 1 of the discriminator, or of its encoder; of its decoder none."""
    config = growing_config() if name == "growing" else tiny_config(name)
    config.optimizer.name = "keras_adam"
    free, all_moments = sixth_updates(config)
    config.freeze = 2
    found, moments = sixth_updates(config)
    held = {path for path in found if path[0] == "encode" and int(path[1][:2]) < 2}
    assert held and len(held) < len(found)
    for path, update in found.items():
        assert np.any(free[path])
        np.testing.assert_array_equal(update, 0 if path in held else free[path], str(path))
    assert all_moments - moments == 2 * sum(found[path].size for path in held)


@pytest.mark.parametrize(("name", "most"), [("lsgan_dense", 3), ("began", None)])
def test_rows_that_cannot_be_held(name, most):
    config = tiny_config(name)
    rows = len(config.discriminator.layers)
    config.freeze = rows if most is None else most  # an autoencoder's decoder is left to train
    make_gan(config)
    config.freeze += 1
    with pytest.raises(
        UserError, match=f"none of the discriminator's {rows} rows to train; freeze at mo"
    ):
        make_gan(config)
    config.freeze = -1
    with pytest.raises(UserError, match="freeze must be a whole number from 0"):
        make_gan(config)
