"""Networks that grow: a run trains the lowest level first, and adds one after the other.

A state holds the parameters of all levels from the beginning. What a level above the lowest adds
begins at zero (`Row.kernel_init` "zeros"), so that the networks compute the same function before
and after it is added, and the generator as a whole draws the level's image enlarged.

References:
  Karras et al., Progressive Growing of GANs, 2018, https://arxiv.org/abs/1710.10196
"""

import dataclasses

import jax
import jax.numpy as jnp

from fish_jax.gan.model import Gan
from fish_jax.networks import modules
from fish_jax.networks.ops import pyramid
from fish_jax.networks.spec import image_rows


def current_level(gan: Gan, seen: jax.Array) -> jax.Array:
    """The level that is trained after so many images.

    Args:
      gan: the fixed parts of the run.
      seen: images that D has seen, int32.

    Returns:
      0 for the lowest, int32.
    """
    return jnp.sum(seen >= jnp.array(gan.level_starts[1:], jnp.int32), dtype=jnp.int32)


def at_level(gan: Gan, level: int) -> Gan:
    """The networks up to a level: they make and score smaller images with the same parameters.

    Args:
      gan: the fixed parts of the run.
      level: 0 for the lowest.

    Returns:
      A `Gan` for states of the one given.
    """
    above = len(gan.level_starts) - 1 - level
    if not above:
        return gan
    generator, discriminator = gan.generator, gan.discriminator
    assert isinstance(generator, modules.Stack)  # no other networks grow
    assert isinstance(discriminator, modules.Discriminator)
    ends, begins = image_rows(generator.rows), image_rows(discriminator.encoder)
    return dataclasses.replace(
        gan,
        generator=generator.clone(stop=ends[level] + 1),
        discriminator=discriminator.clone(start=begins[above]),
        image_size=pyramid.halved_size(gan.image_size, above),
        halvings=above,
    )
