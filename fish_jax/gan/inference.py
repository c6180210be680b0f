"""Inference: images from a generator, and reconstructions by a discriminator's autoencoder."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import seed_latents
from fish_jax.gan.state import TrainState
from fish_jax.utils.batching import map_padded
from fish_jax.utils.progress import Advance, ignore_advance

BATCH = 32  # images rendered at once


def scale_images(images: jax.Array, dtype: jax.typing.DTypeLike = jnp.float32) -> jax.Array:
    """Scales pixels to the networks' range: uint8 0 .. 255 to -1 .. 1, x / 127.5 - 1."""
    return images.astype(dtype) / 127.5 - 1


def to_pixels(images: jax.Array) -> jax.Array:
    """Scales images of -1 .. 1 to uint8 0 .. 255: the inverse of `scale_images`, rounded."""
    return jnp.round((jnp.clip(images, -1, 1) + 1) * 127.5).astype(jnp.uint8)


def draw_images(state: TrainState, latents: jax.Array, gan: Gan) -> jax.Array:
    """Generates images as `generate` does, but in [-1, 1], as the networks have them."""
    variables = state.generator_average or state.generator_variables
    images, _ = gan.generator.apply(variables, latents)
    return images


def generate(state: TrainState, latents: jax.Array, gan: Gan) -> jax.Array:
    """Generates images in inference mode, with the generator's average if there is one.

    Args:
      state: the state of any step; `state.last_weights` has no average.
      latents: [N, latent_size].
      gan: the fixed parts of the run.

    Returns:
      uint8 [N, H, W, C], rounded to the nearest.
    """
    return to_pixels(draw_images(state, latents, gan))


def reconstruct(state: TrainState, images: jax.Array, gan: Gan) -> jax.Array:
    """Reconstructs images with the discriminator's autoencoder, in inference mode.

    Args:
      state: the state of any step.
      images: uint8 [N, H, W, C].
      gan: the fixed parts of the run, whose discriminator has a decoder.

    Returns:
      uint8 [N, H, W, C], rounded to the nearest.
    """
    variables, inputs = state.discriminator_variables, scale_images(images, gan.dtype)
    discriminator: Any = gan.discriminator  # of a layer table: others have no decoder
    return to_pixels(discriminator.apply(variables, inputs, method="reconstruct"))


def render(
    gan: Gan, state: TrainState, seeds: Sequence[int], on_progress: Advance = ignore_advance
) -> np.ndarray:
    """Renders seeds with a state, a batch at a time.

    Args:
      gan: the fixed parts of the run.
      state: the state of any step, on one device.
      seeds: whole numbers; a seed gives the same latent in every run.
      on_progress: called with the number of images in each batch that is done.

    Returns:
      uint8 [len(seeds), H, W, C].
    """
    draw = functools.partial(seed_latents, gan)
    latents = map_padded(draw, np.array(seeds, np.uint32), size=BATCH)
    return render_latents(gan, state, latents, on_progress)


def render_latents(
    gan: Gan, state: TrainState, latents: np.ndarray, on_progress: Advance = ignore_advance
) -> np.ndarray:
    """Renders latents, [N, latent_size], as `render` does seeds."""

    def draw(part: np.ndarray) -> jax.Array:
        # Reading an array that was never made, as memory ran out, would wait for ever.
        return jax.block_until_ready(GENERATE(state, part, gan=gan))

    return map_padded(draw, latents, size=BATCH, on_progress=on_progress)


GENERATE = jax.jit(generate, static_argnames="gan")
