"""The generator's averaged weights, which samples are better with than with the last ones."""

from typing import Any

import jax
import jax.numpy as jnp


def decay(images: jax.Array, batch: int, half_life: float, ramp_up: float) -> jax.Array:
    """What is kept of an average in one step.

        0.5^(batch / min(half_life, ramp_up * images))

    Args:
      images: seen so far, those of this step among them, >= 1.
      batch: images of this step.
      half_life: images in which the average forgets half, > 0.
      ramp_up: the half-life is at most this share of the images seen so far, > 0, so that the
        first weights, which are random, are soon forgotten.

    Returns:
      A number in [0, 1).

    References:
      Karras et al., Training Generative Adversarial Networks with Limited Data, 2020,
      https://arxiv.org/abs/2006.06676
    """
    return jnp.exp2(-batch / jnp.minimum(half_life, ramp_up * images))


def average(before: Any, now: Any, kept: jax.Array) -> Any:
    """An exponential moving average, one step further: kept * before + (1 - kept) * now.

    Args:
      before: the average so far, a tree of arrays.
      now: the same of this step.
      kept: a number in [0, 1].

    Returns:
      The average.
    """
    return jax.tree.map(lambda a, b: b + kept.astype(b.dtype) * (a - b), before, now)
