"""The state that a run begins with when it starts from the weights of another."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.growing import growing_config
from helpers.tiny import tiny_config

from fish_jax.errors import UserError
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import create_state, last_weights, restart, split_seed
from fish_jax.losses import LOSSES

WEIGHTS = [f"{n}_{p}" for n in ("generator", "discriminator") for p in ("params", "stats")]


def averaged(config):
    config.average.half_life = 100.0
    return config


def shapes(gan):
    return jax.eval_shape(lambda: create_state(gan, 0))


def trained(gan):
    """A state of another run, all of whose numbers differ, and from those of a first state."""
    numbers = itertools.count(2)
    fill = lambda leaf: jnp.full(leaf.shape, next(numbers), leaf.dtype)
    return jax.tree.map(fill, shapes(gan).replace(key=None)).replace(key=jax.random.key(9))


@pytest.fixture(scope="module")
def gan():
    """With an average, and a loss that has a state."""
    made = make_gan(averaged(tiny_config("lsgan_dense")))
    return dataclasses.replace(made, objective=LOSSES["began"].make(made.loss))


@pytest.fixture(scope="module")
def other(gan):
    return trained(gan)


def assert_same(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_weights_and_average_are_the_others_and_the_rest_is_new(gan, other):
    state = restart(gan, 3, other, "other")
    for name in (*WEIGHTS, "generator_average"):
        assert_same(getattr(state, name), getattr(other, name))
    optimizers = state.generator_optimizer, state.discriminator_optimizer
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((state.step, optimizers)))
    assert_same(state.loss_state, gan.objective.init())
    assert_same(*map(jax.random.key_data, (state.key, split_seed(3)[2])))
    forms = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
    assert forms(state) == forms(shapes(gan))


def test_an_average_that_is_not_there_begins_and_one_that_is_not_wanted_ends(gan, other):
    begun = restart(gan, 0, last_weights(other), "other")
    assert_same(begun.generator_average, other.generator_variables)
    plain = make_gan(tiny_config("lsgan_dense"))
    assert restart(plain, 0, other, "other").generator_average == {}


def test_steps_may_take_over_its_memory_and_the_other_run_keeps_its_own():
    """No two arrays share memory, in the optimisers of networks that grow on a schedule either."""
    config = averaged(growing_config())
    config.optimizer.name, config.freeze = "adam", 1
    config.schedule.update(images=24, learning_rate=0.1, forgetting=0.5)
    gan = make_gan(config)
    other = trained(gan)
    state = restart(gan, 0, other, "other")
    leaves = jax.tree.leaves([each.replace(key=None) for each in (state, other)])
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


def change(path, value):
    """Sets a field of a row, such as "generator.layers 1 filters"."""
    place, index, field = path.split()
    table, name = place.split(".")

    def apply(config):
        rows = list(config[table][name])
        rows[int(index)] = {**rows[int(index)], field: value}
        config[table][name] = tuple(rows)

    return apply


DIFFERENT = {
    "filters": (
        change("generator.layers 1 filters", 5),
        "01_dense.bias of the generator is float32[5] there, but float32[512] in the config",
    ),
    "norm": (
        change("generator.layers 0 norm", "none"),
        "00_norm.bias of the generator is missing there, but float32[256] in the",
    ),
    "bias": (
        change("discriminator.layers 2 use_bias", False),
        "encode.02_dense.bias of the discriminator is missing there, but float32[256] in the",
    ),
    "size": (
        lambda config: config.update(height=40),
        "03_project.bias of the generator is float32[4800] there, but float32[2400] in the config",
    ),
    "latents": (
        lambda config: config.latents.update(size=9),
        "00_dense.kernel of the generator is float32[9, 256] there, but float32[8, 256] in the",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_first_array_that_differs_is_named(name):
    apply, message = DIFFERENT[name]
    config = tiny_config("lsgan_dense")
    gan = make_gan(config)
    apply(config)
    with pytest.raises(UserError) as caught:
        restart(gan, 0, shapes(make_gan(config)), "runs/other")
    assert str(caught.value).startswith(f"runs/other does not fit this config: {message}")


def test_an_average_of_other_shapes_is_refused(gan, other):
    odd = other.replace(generator_average={"params": other.generator_params})
    with pytest.raises(UserError, match=r"00_norm\.mean of the generator's average is missing"):
        restart(gan, 0, odd, "other")


def test_another_type_is_refused(gan, other):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), other.discriminator_params)
    with pytest.raises(
        UserError, match=r"is bfloat16\[512\] there, but float32\[512\] in the config"
    ):
        restart(gan, 0, other.replace(discriminator_params=half), "other")
