"""Compares a loss of your own with two of ours, from three seeds."""

import jax
import jax.numpy as jnp

import fish_jax


def soft_hinge(real, fake):
    """The mean of the hinge loss and of its smooth version, of scores [N]."""
    hinge = fish_jax.losses.hinge(real, fake)
    smooth = jnp.mean(jax.nn.softplus(1 - real)) + jnp.mean(jax.nn.softplus(1 + fake))
    return fish_jax.losses.Losses((hinge.discriminator + smooth) / 2, hinge.generator)


if __name__ == "__main__":
    config = fish_jax.load_config("hinge", "demo")
    losses = {"soft hinge": soft_hinge, "hinge": "hinge", "ralsgan": "ralsgan"}
    print(fish_jax.compare(losses, config, range(3), "runs/own_loss").table())
