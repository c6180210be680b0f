"""Schedules of settings that change during training, along a cosine over the images seen."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax


@dataclasses.dataclass(frozen=True)
class Ramp:
    """The `schedule` section of a config: each setting falls from 1 to a share of itself.

    Attributes:
      images: seen when the ramp ends and the settings stay; 0 for settings that never change.
      learning_rate: final share of both learning rates.
      forgetting: final share of 1 - b2, the part of Adam's second moment lost in one update.
      penalty: final share of the weights of D's penalties.

    References:
      Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024,
      https://arxiv.org/abs/2501.05441
    """

    images: int = 0
    learning_rate: float = 1.0
    forgetting: float = 1.0
    penalty: float = 1.0


def cosine(ramp: Ramp, share: float, batch: int) -> Callable[[jax.Array], jax.Array]:
    """A schedule from 1 to a share.

    Args:
      ramp: gives the length, in images.
      share: the final value.
      batch: images of a step.

    Returns:
      A function of the number of steps done: share + (1 - share) (1 + cos(pi t)) / 2, where t is
      the part of the ramp that is done.
    """
    steps: Any = max(ramp.images / batch, 1e-9)  # optax declares whole steps, and takes parts
    schedule = optax.cosine_decay_schedule(1.0, steps, share)
    # In float32, as optax mixes types.
    return lambda step: jnp.asarray(schedule(jnp.asarray(step, jnp.float32)))
