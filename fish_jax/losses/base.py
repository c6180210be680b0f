"""The types of losses and the checks that all share."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Losses(NamedTuple):
    """The loss that each network minimises, two scalars."""

    discriminator: jax.Array
    generator: jax.Array


class Targets(NamedTuple):
    """The labels that `bce` and `lsgan` compare scores with, scalars or one per image, [N]."""

    real: jax.Array | float = 1.0
    fake: jax.Array | float = 0.0
    generator: jax.Array | float = 1.0


ScoreFunction = Callable[[jax.Array], jax.Array]


def check_scores(real: jax.Array, fake: jax.Array) -> None:
    """Checks that scores are vectors of floats.

    Args:
      real: scores of real images.
      fake: scores of generated images.

    Raises:
      ValueError: they are of another shape or type.
    """
    for name, scores in (("real", real), ("fake", fake)):
        if jnp.ndim(scores) != 1 or not jnp.issubdtype(jnp.result_type(scores), jnp.floating):
            raise ValueError(
                f"{name} scores must be a vector of floats, one per image, not "
                f"{jnp.result_type(scores)}{list(jnp.shape(scores))}"
            )


def check_target(target: jax.Array | float, scores: jax.Array, name: str) -> jax.Array:
    """Converts a label to the type of the scores that it is compared with.

    Args:
      target: one label for all images, or [N].
      scores: of the images, [N].
      name: of the label, for the message.

    Returns:
      The label, of shape [] or [N].

    Raises:
      ValueError: it is of another shape.
    """
    target = jnp.asarray(target, scores.dtype)
    if target.shape not in ((), scores.shape):
        raise ValueError(
            f"{name} targets must be one number or one per image, {list(scores.shape)}, "
            f"not {list(target.shape)}"
        )
    return target


def hinge_margin(x: jax.Array) -> jax.Array:
    """The hinge function relu(1 - x), elementwise."""
    return jax.nn.relu(1 - x)
