"""Programs of steps: a caller's networks step by step on a CPU, which gives what a loop gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import own
from helpers.tiny import tiny_config, tiny_images, tiny_state

from fish_jax.gan import compilation
from fish_jax.gan.model import make_gan
from fish_jax.gan.step import train_steps

NETWORKS = {"generator": own.Generator(), "discriminator": own.Critic()}


@pytest.fixture(scope="module")
def config():
    config = tiny_config("lsgan_dense")
    config.loss.update(name="hinge", real_label=(1.0, 1.0))
    return config


@pytest.mark.parametrize("part", NETWORKS)
def test_networks_of_a_caller_step_one_by_one_as_in_a_loop(part, config, float64):
    gan = make_gan(config, dtype=jnp.float64, **{part: NETWORKS[part]})
    images = tiny_images(config)
    batches = np.arange(12, dtype=np.int32).reshape(3, 4) % len(images)
    ends, histories = [], []
    for compiled in (True, False):
        state = tiny_state(gan)
        if compiled:
            advance = compilation.compile_steps(gan, state, 3, 4, len(images))
            after, history = advance(state, images, batches, np.int32(2))
            weights = state.generator_params, state.discriminator_params
            assert all(leaf.is_deleted() for leaf in jax.tree.leaves(weights))
        else:
            steps = jax.jit(train_steps, static_argnums=4)
            after, history = steps(state, images, batches, np.int32(2), gan)
        ends.append(after.replace(key=None))
        histories.append(history)
    assert int(ends[0].step) == 2
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-9, 1e-12), *ends)
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(values, histories[1][name], 1e-9, 1e-12, err_msg=name)
        assert values.dtype == histories[1][name].dtype and not values[2]


def test_our_networks_run_in_one_loop(config):
    gan = make_gan(config)
    program = compilation.compile_steps(gan, tiny_state(gan), 3, 4, 10)
    assert isinstance(program, jax.stages.Compiled)
