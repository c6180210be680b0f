"""What changes in the course of training: learning rates, Adam's b2, penalties."""

import functools
from dataclasses import asdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import scalar_updates, tiny_config, tiny_images, tiny_state

from fish_jax.errors import UserError
from fish_jax.gan.gradients import compute_gradients
from fish_jax.gan.model import make_gan
from fish_jax.gan.optimizers import OptimizerSettings, build_optimizer
from fish_jax.gan.randomness import draw
from fish_jax.gan.schedules import Ramp, cosine
from fish_jax.gan.settings import read_ramp

ADAM = OptimizerSettings("adam", 0.0, 0.9, 1e-8, 0.0, 0.1, 0.1)


def test_golden_numbers():
    """From 1 to 0.2 in 100 images of 10 a step: half-way 0.6, and 0.2 from then on."""
    ramp = cosine(Ramp(images=100), 0.2, 10)
    values = [float(ramp(jnp.int32(step))) for step in (0, 5, 10, 1000)]
    np.testing.assert_allclose(values, [1.0, 0.6, 0.2, 0.2], rtol=1e-6)
    np.testing.assert_allclose(ramp(2), 0.2 + 0.4 * (1 + np.cos(0.2 * np.pi)), rtol=1e-6)


def updates(settings, ramp, images, gradients):
    return scalar_updates(build_optimizer(settings, 0.1, ramp, images), gradients)


@pytest.mark.parametrize("name", ["sgd", "adam", "keras_adam", "rmsprop"])
def test_learning_rates_follow_the_ramp(name):
    settings, gradients = ADAM._replace(name=name), [0.5, -0.25, 1.0, 1.0]
    plain = updates(settings, Ramp(), 8, gradients)
    changing = updates(settings, Ramp(images=16, learning_rate=0.1), 8, gradients)
    np.testing.assert_allclose(np.divide(changing, plain), [1, 0.55, 0.1, 0.1], rtol=1e-5)


@pytest.mark.parametrize("name", ["adam", "keras_adam"])
def test_the_second_moment_forgets_less_and_less(name):
    """1 - b2 of 0.1, 0.055, 0.01, against Adam by hand."""
    made = updates(ADAM._replace(name=name), Ramp(images=16, forgetting=0.1), 8, [0.5, -0.25, 1.0])
    v, expected = 0.0, []
    for step, (gradient, forgotten) in enumerate(zip([0.5, -0.25, 1.0], [0.1, 0.055, 0.01]), 1):
        v = (1 - forgotten) * v + forgotten * gradient**2
        corrected = v / (1 - (1 - forgotten) ** step)
        expected.append(-0.1 * gradient / np.sqrt(corrected))
    np.testing.assert_allclose(made, expected, rtol=1e-5)


def test_only_adam_has_a_second_moment():
    with pytest.raises(
        UserError, match="schedule.forgetting is 0.1 and changes Adam's b2, but optimizer"
    ):
        read_ramp(asdict(Ramp(images=10, forgetting=0.1)), ADAM._replace(name="sgd"))


def test_a_second_moment_that_forgets_nothing_is_refused():
    for forgetting in (0.0, 200.0):
        with pytest.raises(UserError, match="b2 at the end of schedule.forgetting must be"):
            read_ramp(asdict(Ramp(images=10, forgetting=forgetting)), ADAM)


def test_g_follows_it_by_the_images_that_d_saw():
    """Where G moves in each third step alone, its own count is a third."""
    config = tiny_config("ralsgan")
    config.optimizer.name = "sgd"
    config.loss.discriminator_steps = 3
    config.schedule.update(images=10 * 3 * config.batch_size, learning_rate=0.0)
    gan = make_gan(config)
    for optimizer, last in ((gan.generator_optimizer, 10), (gan.discriminator_optimizer, 30)):
        seen = scalar_updates(optimizer, [1.0] * (last + 1))
        assert all(value != 0 for value in seen[:-1]) and seen[-1] == 0


@functools.cache
def program(**fields):
    """Gradients at a state, and that state."""
    config = tiny_config("lsgan_dense")
    config.discriminator.norm = "none"
    config.loss.update(name="rpgan", real_label=(1.0, 1.0))
    config.loss.update(r1=2.0, r2=1.0, gradient_penalty=1.0)
    config.loss.update({k: v for k, v in fields.items() if k in config.loss})
    config.schedule.update({k: v for k, v in fields.items() if k in config.schedule})
    gan, images = make_gan(config, jnp.float64), tiny_images(config, 4)
    state = tiny_state(gan)
    draws = draw(gan, state.key, 0, len(images))
    return jax.jit(lambda state: compute_gradients(state, images, draws, gan)), state


def penalised(*steps, **fields):
    """Gradients in some steps of one program, at the same state and draws."""
    compute, state = program(**fields)
    return [compute(state.replace(step=jnp.int32(step))) for step in steps]


@pytest.mark.slow
def test_penalties_follow_the_ramp(float64):
    whole, half, none = penalised(0, 5, 10, images=40, penalty=0.0)
    (plain,) = penalised(5)
    for name in ("r1", "r2", "gradient_penalty"):
        np.testing.assert_allclose(whole.metrics[name], plain.metrics[name], rtol=1e-6)
        np.testing.assert_allclose(half.metrics[name], whole.metrics[name] / 2, rtol=1e-6)
        np.testing.assert_allclose(none.metrics[name], 0, atol=1e-12)
    kernel = lambda made: jax.tree.leaves(made.discriminator)[-1]
    middle = (kernel(whole) + kernel(none)) / 2
    np.testing.assert_allclose(kernel(half), middle, rtol=1e-6, atol=3e-8)


def test_rare_penalties_weigh_as_much_more(float64):
    """In steps 0, 3, 6, ...; a mean over three steps is that of a penalty in each."""
    (whole,), (due, skipped) = penalised(0), penalised(3, 4, penalty_every=3)
    kernel = lambda made: jax.tree.leaves(made.discriminator)[-1]
    for name in ("r1", "r2", "gradient_penalty"):
        np.testing.assert_allclose(due.metrics[name], 3 * whole.metrics[name], rtol=1e-9)
        assert skipped.metrics[name] == 0
    of_penalties = kernel(whole) - kernel(skipped)
    assert np.abs(of_penalties).max() > 0
    np.testing.assert_allclose(kernel(due) - kernel(skipped), 3 * of_penalties, rtol=1e-6)


@pytest.mark.parametrize("name", ["learning_rate", "forgetting", "penalty"])
def test_a_ramp_of_no_length_is_refused(name):
    config = tiny_config("ralsgan")
    config.schedule[name] = 0.5
    with pytest.raises(UserError, match=f"schedule.{name} is 0.5, but schedule.images is 0"):
        make_gan(config)


def test_a_ramp_that_goes_nowhere_is_refused():
    config = tiny_config("ralsgan")
    config.schedule.images = 100
    with pytest.raises(UserError, match="schedule.images is 100, but schedule.learning_rate"):
        make_gan(config)
