"""Parts that tests hand over: small networks, losses with and without a state, an optimiser."""

import flax.linen as nn
import jax.numpy as jnp
import optax

from fish_jax import losses
from fish_jax.losses import Losses

SIZE = (20, 40)


class Generator(nn.Module):
    """Images of 20 x 40 pixels, with batch normalisation."""

    filters: int = 4
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, train):
        of = {"param_dtype": x.dtype}
        x = nn.Dense(10 * 20 * self.filters, **of)(x).reshape(-1, 10, 20, self.filters)
        x = nn.BatchNorm(not train, axis_name=self.axis_name, **of)(x)
        return nn.tanh(nn.ConvTranspose(3, (3, 3), (2, 2), **of)(nn.relu(x)))


class Critic(nn.Module):
    """Scores, features and codes, with spectral normalisation."""

    filters: int = 4

    @nn.compact
    def __call__(self, x, train):
        of = {"param_dtype": x.dtype}
        x = nn.SpectralNorm(nn.Conv(self.filters, (3, 3), 2, **of), **of)(x, update_stats=train)
        features = nn.leaky_relu(x.reshape(len(x), -1))
        code = nn.SpectralNorm(nn.Dense(5, **of), **of)(features, update_stats=train)
        return nn.Dense(1, **of)(code), features, code


def soft_gap(real, fake):
    """The gap of means and a little of the hinge loss."""
    hinge = losses.hinge(real, fake)
    gap = jnp.mean(fake) - jnp.mean(real)
    return Losses(gap + hinge.discriminator / 4, hinge.generator)


def sharp_gap(real, fake):
    """The same with more of it: another program."""
    return Losses(soft_gap(real, fake).discriminator * 2, -jnp.mean(fake))


def drifting(real, fake, state):
    """A loss with a state: the mean score of real images, averaged over steps."""
    mean = 0.9 * state["mean"] + 0.1 * jnp.mean(real)
    return soft_gap(real - mean, fake), {"mean": mean}, {"drift": mean}


DRIFTING = losses.stateful(lambda: {"mean": 0.5}, drifting)


def far(critic, images):
    """A penalty: the square of each score."""
    return jnp.square(critic(images))


def matched(real, fake):
    """A comparison of features."""
    return jnp.max(jnp.abs(jnp.mean(real, axis=0) - jnp.mean(fake, axis=0)))


def optimistic(rate=1e-3):
    """The optimiser of docs/examples/own_optimizer.py."""
    return optax.optimistic_adam_v2(rate, b1=0.0, b2=0.9)


# Each part that may be handed over.
PARTS = {
    "loss": DRIFTING,
    "penalty": far,
    "feature_matching": matched,
    "generator": Generator(),
    "discriminator": Critic(),
    "generator_optimizer": optimistic(),
    "discriminator_optimizer": optimistic(),
}


def stateful_metric(name):
    """A loss that logs a number by some name."""
    return losses.stateful(
        dict, lambda real, fake, state: (soft_gap(real, fake), state, {name: real[0]})
    )
