"""Random numbers of training and sampling: pure functions of keys.

A run has one key. Folded into it are the number of the step, the image's place in the batch, and
the `Stream`, the use of the key. So nothing depends on how a batch is divided over devices, or on
where a run was interrupted and resumed.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan.model import Gan
from fish_jax.losses import Targets
from fish_jax.networks.modules import fold_keys
from fish_jax.networks.ops import collectives
from fish_jax.utils.seeds import seed_key


class Stream(enum.IntEnum):
    """The use of a key: no two uses share a key."""

    LATENTS = 0
    DISCRIMINATOR_LATENTS = 1
    REAL_LABEL = 2
    FAKE_LABEL = 3
    GENERATOR_LABEL = 4
    GENERATOR = 5
    GENERATOR_FOR_DISCRIMINATOR = 6
    SCORE_REAL = 7
    SCORE_FAKE = 8
    SCORE_GENERATED = 9
    INTERPOLATION = 10
    NOISE_REAL = 11
    NOISE_FAKE = 12
    NOISE_GENERATED = 13
    AUGMENT_REAL = 14
    AUGMENT_FAKE = 15
    AUGMENT_GENERATED = 16
    FLIP = 17


def image_keys(key: jax.Array, step: jax.Array | int, count: int) -> jax.Array:
    """One key for each image of a step's batch, from its place in the whole batch."""
    step_key = jax.random.fold_in(key, step)
    return jax.vmap(lambda index: jax.random.fold_in(step_key, index))(jnp.arange(count))


def draw_latents(gan: Gan, keys: jax.Array) -> jax.Array:
    """Latents from one key each: N keys to [N, latent_size]."""

    def draw(key: jax.Array) -> jax.Array:
        if gan.latent_distribution == "normal":
            return jax.random.normal(key, (gan.latent_size,), gan.dtype)
        return jax.random.uniform(key, (gan.latent_size,), gan.dtype, -1.0, 1.0)

    return jax.vmap(draw)(keys)


def seed_latents(gan: Gan, seeds: Sequence[int]) -> jax.Array:
    """The latents of seeds, [N, latent_size]: a seed gives the same in every run and mode."""
    return draw_latents(gan, jnp.stack([seed_key(np.uint32(seed)) for seed in seeds]))


class Draws(NamedTuple):
    """Everything random in one step, for a device's N images of a batch.

    Attributes:
      latents: the latents of the images that the generator is trained with, [N, latent_size].
      discriminator_latents: the discriminator latents of the images that the discriminator is
        trained with, [N, latent_size]; the same array unless `loss.separate_latents` is set.
      targets: labels of the whole batch, even where devices share it.
      keys: N keys for each stream: of dropout and noise in each pass through a network, and of the
        augmentation, instance noise and mirroring of the discriminator's images.
    """

    latents: jax.Array
    discriminator_latents: jax.Array
    targets: Targets
    keys: dict[Stream, jax.Array]


def draw_targets(gan: Gan, keys: jax.Array) -> Targets:
    """The labels of a step's images, each from its own key: noisy where low < high."""

    def draw(low_high: tuple[float, float], stream: Stream) -> jax.Array:
        low, high = low_high
        uniform = lambda key: jax.random.uniform(key, (), gan.dtype, low, high)
        return jax.vmap(uniform)(fold_keys(keys, stream))

    return Targets(
        draw(gan.loss.real_label, Stream.REAL_LABEL),
        draw(gan.loss.fake_label, Stream.FAKE_LABEL),
        draw(gan.loss.generator_label, Stream.GENERATOR_LABEL),
    )


def draw(gan: Gan, key: jax.Array, step: jax.Array | int, count: int) -> Draws:
    """Draws everything random in a step: a pure function of the run's key and the step's number.

    Args:
      gan: the fixed parts of the run.
      key: the run's, `TrainState.key`.
      step: number of steps done before.
      count: N, this device's images of the batch.

    Returns:
      Latents, labels and keys. Those of an image depend on its place in the whole batch only.
    """
    whole = image_keys(key, step, count * collectives.axis_size(gan.axis_name))
    keys = collectives.local_share(whole, gan.axis_name)
    latents = discriminator_latents = draw_latents(gan, fold_keys(keys, Stream.LATENTS))
    if gan.loss.separate_latents:
        discriminator_latents = draw_latents(gan, fold_keys(keys, Stream.DISCRIMINATOR_LATENTS))
    passes = [stream for stream in Stream if stream >= Stream.GENERATOR]
    network_keys = {stream: fold_keys(keys, stream) for stream in passes}
    return Draws(latents, discriminator_latents, draw_targets(gan, whole), network_keys)
