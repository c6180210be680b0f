"""A caller's modules: which are taken, what they may return, and what is known of them."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fish_jax.errors import UserError
from fish_jax.networks import adapters
from fish_jax.networks.adapters import OwnDiscriminator, OwnGenerator
from fish_jax.utils.seeds import seed_key

LATENTS = jax.ShapeDtypeStruct((4, 3), jnp.float32)
IMAGES = jax.ShapeDtypeStruct((4, 2, 5, 3), jnp.float32)


class Generator(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dropout(0.5, deterministic=not train)(nn.Dense(30)(x))
        return jnp.tanh(x).reshape(len(x), 2, 5, 3)


class Critic(nn.Module):
    given: str = "scores"

    @nn.compact
    def __call__(self, x, *, train):
        x = x.reshape(len(x), -1)
        code = nn.SpectralNorm(nn.Dense(6))(x, update_stats=train)
        scores = nn.Dense(1)(code)
        return {
            "scores": scores,
            "vector": scores[:, 0],
            "features": (scores, x),
            "codes": (scores, x, code),
            "images": x.reshape(len(x), 2, 5, 3),
            "one": jnp.mean(scores),
            "list": [scores, x],
            "four": (scores, x, code, code),
        }[self.given]


def variables(network, inputs):
    return network.init(seed_key(0), jnp.ones(inputs.shape))


@pytest.mark.parametrize("given", ["scores", "vector", "features", "codes"])
def test_scores_are_a_vector_with_what_else_there_is(given):
    network = OwnDiscriminator.of(Critic(given), jnp.float32)
    scores, features, codes = adapters.outputs(network, IMAGES)
    assert scores.shape == (4,) and scores.dtype == jnp.float32
    assert features == () or features.shape == (4, 30)
    assert codes == () or codes.shape == (4, 6)
    assert (features == (), codes == ()) == (given[0] in "sv", given != "codes")


@pytest.mark.parametrize("given", ["images", "one", "list", "four"])
def test_other_outputs_are_refused(given):
    network = OwnDiscriminator.of(Critic(given), jnp.float32)
    with pytest.raises(UserError, match=r"discriminator Critic must return scores.*\[4, 1\]"):
        adapters.outputs(network, IMAGES)


def test_dropout_is_of_training_and_of_the_first_key():
    network = OwnGenerator.of(Generator(), jnp.float32)
    own, x = variables(network, LATENTS), jnp.ones((4, 3))
    keys = jax.random.split(seed_key(1), 4)
    (images, none), updated = network.apply(own, x, keys, train=True, mutable=["batch_stats"])
    assert images.shape == (4, 2, 5, 3) and none == () and updated == {}
    assert (images == 0).mean() > 0.2
    other, _ = network.apply(own, x, keys[::-1], train=True)
    assert (images != other).any()
    still, _ = network.apply(own, x)
    np.testing.assert_array_equal(still, network.apply(own, x, keys)[0])
    assert (still != 0).all()


def test_statistics_move_in_training_alone():
    """And do so in a pass that does not keep them, as of a penalty."""
    network = OwnDiscriminator.of(Critic(), jnp.float32)
    own, x = variables(network, IMAGES), jnp.ones(IMAGES.shape)
    assert own.keys() == {"params", "batch_stats"}
    (scores, *_), updated = network.apply(own, x, None, train=True, mutable=["batch_stats"])
    same = jax.tree.map(lambda a, b: (a == b).all(), own["batch_stats"], updated["batch_stats"])
    assert not all(jax.tree.leaves(same))
    alone, *_ = network.apply(own, x, None, train=True)
    np.testing.assert_array_equal(scores, alone)
    after, *_ = network.apply({**own, **updated}, x)
    assert after.shape == (4,)


class Shared(nn.Module):
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train):
        return nn.BatchNorm(not train, axis_name=self.axis_name)(x.reshape(len(x), -1))[:, :1]


def test_a_module_gets_the_axis_of_devices_where_it_has_the_field():
    network = OwnDiscriminator.of(Shared(), jnp.float32).clone(axis_name="devices")
    assert network.module == Shared("devices") and network.axis_name == "devices"
    network = OwnDiscriminator.of(Critic(), jnp.float32).clone(axis_name="devices")
    assert network.module == Critic() and network.axis_name == "devices"


class Remembering(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        seen = self.variable("cache", "seen", jnp.zeros, ())
        return nn.Dense(1)(x.reshape(len(x), -1)) + seen.value


class Constant(nn.Module):
    def __call__(self, x, train):
        return jnp.zeros(len(x))


@pytest.mark.parametrize("module", [Remembering(), Constant()])
def test_other_collections_are_refused(module):
    with pytest.raises(UserError, match=r"has the collections .*only params and batch_stats"):
        adapters.outputs(OwnDiscriminator.of(module, jnp.float32), IMAGES)


class Untold(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)


class Uncalled(nn.Module):
    pass


class Unhashable(nn.Module):
    weights: Any

    @nn.compact
    def __call__(self, x, train):
        return x


@pytest.mark.parametrize(
    "module, message",
    [
        (Generator, "generator must be a module of flax.linen, such as MyNetwork"),
        (lambda x, train: x, "generator must be a module of flax.linen"),
        (Untold(), "generator Untold must take its inputs and train"),
        (Uncalled(), "generator Uncalled must take its inputs and train"),
        (Unhashable(np.ones(3)), "a field of the generator Unhashable cannot be compared"),
    ],
)
def test_what_is_no_module_of_a_run_is_refused(module, message):
    with pytest.raises(UserError, match=message):
        OwnGenerator.of(module, jnp.float32)


def test_a_generator_returns_images():
    class Pair(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(1)(x), x

    with pytest.raises(UserError, match="generator Pair must return images, not a tuple"):
        adapters.outputs(OwnGenerator.of(Pair(), jnp.float32), LATENTS)


def test_a_plan_counts_what_xla_and_flax_find():
    network = OwnGenerator.of(Generator(), jnp.float32)
    (row,) = adapters.plan(network, LATENTS)
    assert row.name == "Generator" and row.shape == (2, 5, 3)
    assert (row.parameters, row.statistics) == (3 * 30 + 30, 0)
    assert 2 * 3 * 30 <= row.flops < 2 * 3 * 30 + 200  # and a few for each output
    (row,) = adapters.plan(OwnDiscriminator.of(Critic(), jnp.float32), IMAGES)
    assert row.statistics == 6 + 1  # u and sigma
    assert "Dense_0" in network.table(LATENTS) and "120" in network.table(LATENTS)


def test_images_and_scores_are_of_the_type_of_the_run():
    class Half(nn.Module):
        @nn.compact
        def __call__(self, x, train):
            return nn.Dense(1, dtype=jnp.bfloat16)(x.reshape(len(x), -1))

    (scores, *_) = adapters.outputs(OwnDiscriminator.of(Half(), jnp.float32), IMAGES)
    assert scores.dtype == jnp.float32
