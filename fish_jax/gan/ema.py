"""Exponential moving average (EMA) of the generator's weights, which improves its samples."""

from typing import Any

import jax
import jax.numpy as jnp


def decay(images: jax.Array, batch: int, half_life: float, ramp_up: float) -> jax.Array:
    """The share of a moving average that one step keeps.

        0.5^(batch / min(half_life, ramp_up * images))

    Args:
      images: seen so far, including those of this step, >= 1.
      batch: images of this step.
      half_life: images in which the weight of the past halves, > 0.
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
    """One step of an exponential moving average: kept * before + (1 - kept) * now.

    Args:
      before: the average so far, a tree of arrays.
      now: the values of this step, a tree of the same shapes.
      kept: a number in [0, 1].

    Returns:
      The average.
    """
    return jax.tree.map(lambda a, b: b + kept.astype(b.dtype) * (a - b), before, now)
