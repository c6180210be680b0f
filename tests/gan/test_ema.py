"""The generator's average: its half-life, its ramp, and what is drawn with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiny import tiny_config, tiny_images, tiny_state

import fish_jax
from fish_jax.gan import ema, inference
from fish_jax.gan.inference import generate, to_pixels
from fish_jax.gan.model import make_gan
from fish_jax.gan.randomness import seed_latents
from fish_jax.gan.state import last_weights
from fish_jax.gan.step import train_step


@pytest.mark.usefixtures("strict_dtypes")
def test_golden_numbers():
    """32 images of a half-life of 64 keep 0.5^(1/2); after 640, 5 % are 32, which keep a half."""
    kept = lambda images: ema.decay(jnp.float32(images), 32, 64.0, 0.05)
    np.testing.assert_allclose(kept(100_000), 0.5**0.5, rtol=1e-6)
    np.testing.assert_allclose(kept(640), 0.5, rtol=1e-6)
    np.testing.assert_allclose(kept(32), 0.5**20, rtol=1e-6)


@pytest.mark.parametrize("batch", [1, 16, 50])
def test_a_half_life_is_one_whatever_the_batch(batch):
    """Of what was there at first, half is left after so many images."""
    value = jnp.float32(1.0)
    for _ in range(400 // batch):
        kept = ema.decay(jnp.float32(1e9), batch, 400.0, 0.05)
        value = ema.average(value, jnp.float32(0.0), kept)
    np.testing.assert_allclose(value, 0.5, rtol=1e-4)


def make(half_life, **average):
    config = tiny_config("ralsgan")
    config.optimizer.name = "sgd"  # Adam is not of one dtype
    config.average.update(half_life=half_life, **average)
    return make_gan(config), tiny_images(config, 4)


@pytest.mark.usefixtures("strict_dtypes")
def test_the_average_follows_parameters_and_statistics():
    gan, images = make(40.0, ramp_up=10.0)
    state = tiny_state(gan)
    step = jax.jit(lambda state: train_step(state, images, gan))
    expected = state.generator_average
    for _ in range(3):
        state, _ = step(state)
        now = {"params": state.generator_params, "batch_stats": state.generator_stats}
        expected = jax.tree.map(lambda a, b: 0.5**0.1 * a + (1 - 0.5**0.1) * b, expected, now)
    for made, right in zip(*map(jax.tree.leaves, (state.generator_average, expected)), strict=True):
        np.testing.assert_allclose(made, right, rtol=1e-5, atol=1e-7)
    moved = jax.tree.map(lambda a, b: (a != b).any(), state.generator_average, now)
    assert all(jax.tree.leaves(moved["batch_stats"]))


@pytest.mark.slow
def test_it_changes_nothing_of_training():
    (with_one, images), (without, _) = make(1000.0), make(0.0)
    step = jax.jit(train_step, static_argnums=2)
    states = [step(tiny_state(gan), images, gan)[0] for gan in (with_one, without)]
    assert states[1].generator_average == {}
    for field in ("generator_params", "discriminator_params", "generator_stats"):
        pair = [jax.tree.leaves(getattr(state, field)) for state in states]
        for a, b in zip(*pair, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_samples_are_drawn_with_it_unless_the_last_weights_are_asked_for():
    gan, _ = make(1000.0)
    state = tiny_state(gan)
    zeros = jax.tree.map(jnp.zeros_like, state.generator_average)
    state = state.replace(generator_average=zeros)
    latents = seed_latents(gan, range(2))
    grey = to_pixels(jnp.zeros((1,), jnp.float32))[0]
    assert (generate(state, latents, gan) == grey).all()
    last = generate(last_weights(state), latents, gan)
    assert (last != grey).any()
    kept = {"params": state.generator_params, "batch_stats": state.generator_stats}
    again = generate(state.replace(generator_average=kept), latents, gan)
    np.testing.assert_array_equal(last, again)


@pytest.mark.slow
def test_a_run_is_drawn_and_judged_with_it(tmp_path):
    config = tiny_config("lsgan_dense")
    config.average.half_life = 1000.0
    config.data.update(count=110, cache=str(tmp_path / "cache"))
    config.optimizer.generator_lr = 0.05
    fish_jax.train(config, tmp_path / "run")
    gan, state = fish_jax.load(tmp_path / "run")
    pictures = fish_jax.sample(tmp_path / "run", range(3))
    np.testing.assert_array_equal(pictures, inference.render(gan, state, range(3)))
    last = fish_jax.sample(tmp_path / "run", range(3), averaged=False)
    assert (last != pictures).any()
    np.testing.assert_array_equal(last, inference.render(gan, last_weights(state), range(3)))
    judged = [fish_jax.evaluate(tmp_path / "run", 32, False, averaged=a) for a in (True, False)]
    words = ("drawn with the average of G's weights", "drawn with G's last weights")
    assert all(judgement.protocol.endswith(text) for judgement, text in zip(judged, words))
    assert judged[0].scores != judged[1].scores
