"""Grey and RGBA: what networks make, score and train."""

import functools

import jax
import numpy as np
import pytest
from helpers.growing import growing_config
from helpers.tiny import CONFIGS, tiny_config, tiny_state

from fish_jax.errors import UserError
from fish_jax.gan.inference import generate, reconstruct
from fish_jax.gan.model import make_gan, plan_discriminator, plan_generator
from fish_jax.gan.randomness import seed_latents
from fish_jax.gan.state import create_state
from fish_jax.gan.step import train_step


def of_channels(config, channels):
    config.data.channels = channels
    return config


def noise(config, count=4):
    shape = (count, config.height, config.width, config.data.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_network_makes_and_takes_the_channels(name, channels):
    gan = make_gan(of_channels(tiny_config(name), channels))
    assert gan.image_shape == (20, 40, channels) == plan_generator(gan)[-1].shape
    encoder, decoder = plan_discriminator(gan)
    assert (decoder or encoder)[-1].shape in ((20, 40, channels), (1,))


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["began", "best"])
def test_the_plan_counts_what_is_made(name, channels):
    gan = make_gan(of_channels(tiny_config(name), channels))
    state = jax.eval_shape(functools.partial(create_state, gan), 0)
    size = lambda tree: sum(leaf.size for leaf in jax.tree.leaves(tree))
    assert sum(row.parameters for row in plan_generator(gan)) == size(state.generator_params)
    rows = sum(plan_discriminator(gan), ())
    assert sum(row.parameters for row in rows) == size(state.discriminator_params)


def test_three_channels_are_what_they_were():
    """The same networks, so that an older run resumes."""
    config = tiny_config("ralsgan")
    assert make_gan(of_channels(tiny_config("ralsgan"), 3)) == make_gan(config)
    assert make_gan(config) != make_gan(of_channels(tiny_config("ralsgan"), 4))


@pytest.mark.parametrize("channels", [1, 4])
def test_a_last_row_of_other_channels_is_refused(channels):
    config = of_channels(tiny_config("ralsgan"), channels)
    config.generator.layers = (
        *config.generator.layers[:-1],
        config.generator.layers[-1] | {"filters": 5},
    )
    with pytest.raises(UserError, match=rf"\(20, 40, 5\), but images need \(20, 40, {channels}\)"):
        make_gan(config)


@pytest.mark.parametrize("channels", [1, 4])
def test_a_step_trains_every_channel(channels):
    config = of_channels(tiny_config("lsgan_dense"), channels)
    config.loss.augment, config.data.flips = "color,translation,cutout", True
    gan = make_gan(config)
    state = tiny_state(gan)
    after, metrics = jax.jit(functools.partial(train_step, gan=gan))(state, noise(config))
    assert all(np.isfinite(value).all() for value in metrics.values())
    moved = lambda tree, other, name: np.asarray(tree[name]["kernel"] != other[name]["kernel"])
    (last,) = (name for name in state.generator_params if name.endswith("_project"))
    made = moved(after.generator_params, state.generator_params, last)
    assert made.reshape(-1, 20 * 40, channels).any((0, 1)).all()
    scored = moved(
        after.discriminator_params["encode"], state.discriminator_params["encode"], "01_dense"
    )
    assert scored.reshape(20 * 40, channels, -1).any((0, 2)).all()
    images = generate(after, seed_latents(gan, range(2)), gan)
    assert images.shape == (2, 20, 40, channels) and images.dtype == np.uint8


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("config", [growing_config(), tiny_config("began"), tiny_config("r3gan")])
def test_a_step_of_other_networks(config, channels):
    config = of_channels(config, channels)
    gan = make_gan(config)
    step = jax.jit(functools.partial(train_step, gan=gan))
    state, metrics = step(tiny_state(gan), noise(config))
    assert all(np.isfinite(value).all() for value in metrics.values())
    if gan.discriminator.decoder:
        assert reconstruct(state, noise(config), gan).shape == (4, 20, 40, channels)
