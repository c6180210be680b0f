"""Settings that change in the course of training, along a cosine over the images seen."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax


@dataclasses.dataclass(frozen=True)
class Ramp:
    """The `schedule` section of a config: each share is where its setting ends, begun at 1.

    Attributes:
      images: seen by the end of the ramp, after which nothing changes; 0: nothing ever does.
      learning_rate: share of both learning rates.
      forgetting: share of 1 - b2, what Adam's second moment forgets in one update.
      penalty: share of the weights of D's penalties.

    References:
      Huang et al., The GAN is dead; long live the GAN! A Modern Baseline GAN, 2024,
      https://arxiv.org/abs/2501.05441
    """

    images: int = 0
    learning_rate: float = 1.0
    forgetting: float = 1.0
    penalty: float = 1.0


CONSTANT = Ramp()


def cosine(ramp: Ramp, share: float, batch: int) -> Callable[[jax.Array], jax.Array]:
    """A schedule from 1 to a share.

    Args:
      ramp: for its length.
      share: where it ends.
      batch: images of a step.

    Returns:
      From the number of steps done to share + (1 - share) (1 + cos(pi t)) / 2, where t is the part
      of the ramp that is done.
    """
    schedule = optax.cosine_decay_schedule(1.0, max(ramp.images / batch, 1e-9), share)
    return lambda step: schedule(jnp.asarray(step, jnp.float32))  # optax mixes types
