"""The state that a run begins with when it starts from the weights of another."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.growing import growing_config
from helpers.tiny import tiny_config

from fish_jax.errors import UserError
from fish_jax.gan.compilation import CREATE
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import create_state, last_weights, restart
from fish_jax.losses import LOSSES

WEIGHTS = [f"{n}_{p}" for n in ("generator", "discriminator") for p in ("params", "stats")]
FRESH = ("step", "generator_optimizer", "discriminator_optimizer", "loss_state")


def averaged(config):
    config.average.half_life = 100.0
    return config


@pytest.fixture(scope="module")
def gan():
    """With an average, and a loss that has a state."""
    made = make_gan(averaged(tiny_config("lsgan_dense")))
    return dataclasses.replace(made, objective=LOSSES["began"].make(made.loss))


@pytest.fixture(scope="module")
def other(gan):
    """A state of another run, in which every number differs from a first state's."""
    state = CREATE(gan, np.uint32(1))
    moved = jax.tree.map(lambda leaf: leaf + 2, state.replace(key=None))
    return moved.replace(key=state.key)


def assert_same(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def test_weights_and_average_are_the_others_and_the_rest_is_new(gan, other):
    state, new = restart(gan, 3, other, "other"), CREATE(gan, np.uint32(3))
    for name in (*WEIGHTS, "generator_average"):
        assert_same(getattr(state, name), getattr(other, name))
    for name in FRESH:
        assert_same(getattr(state, name), getattr(new, name))
    assert_same(jax.random.key_data(state.key), jax.random.key_data(new.key))
    assert jax.tree.structure(state) == jax.tree.structure(new)


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
    other = CREATE(gan, np.uint32(1))
    state = restart(gan, 0, other, "other")
    jax.jit(lambda state: state.replace(step=state.step + 1), donate_argnums=0)(state)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(other))


def shapes(config):
    return jax.eval_shape(lambda: create_state(make_gan(config), 0))


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
        "01_dense.bias of the generator is float32[5] there, and float32[512] by the config",
    ),
    "norm": (
        change("generator.layers 0 norm", "none"),
        "00_norm.bias of the generator is missing there, and float32[256] by the config",
    ),
    "bias": (
        change("discriminator.layers 2 use_bias", False),
        "encode.02_dense.bias of the discriminator is missing there, and float32[256] by the",
    ),
    "size": (
        lambda config: config.update(height=40),
        "03_project.bias of the generator is float32[4800] there, and float32[2400] by the config",
    ),
    "latents": (
        lambda config: config.latents.update(size=9),
        "00_dense.kernel of the generator is float32[9, 256] there, and float32[8, 256] by the",
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_first_array_that_differs_is_named(name):
    apply, message = DIFFERENT[name]
    config = tiny_config("lsgan_dense")
    gan = make_gan(config)
    apply(config)
    with pytest.raises(UserError) as caught:
        restart(gan, 0, shapes(config), "runs/other")
    assert str(caught.value).startswith(f"runs/other is not of this config: {message}")


def test_an_average_of_other_shapes_is_refused(gan, other):
    odd = other.replace(generator_average={"params": other.generator_params})
    with pytest.raises(UserError, match=r"00_norm\.mean of the generator's average is missing"):
        restart(gan, 0, odd, "other")


def test_another_type_is_refused(gan, other):
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), other.discriminator_params)
    with pytest.raises(UserError, match=r"is bfloat16\[512\] there, and float32\[512\] by"):
        restart(gan, 0, other.replace(discriminator_params=half), "other")
