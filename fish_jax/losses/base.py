"""What every loss takes and returns, and the checks that they share."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Losses(NamedTuple):
    """What each network minimises; two scalars."""

    discriminator: jax.Array
    generator: jax.Array


class Targets(NamedTuple):
    """The labels that `bce` and `lsgan` pull scores towards; scalars or one per image, [N]."""

    real: jax.Array | float = 1.0
    fake: jax.Array | float = 0.0
    generator: jax.Array | float = 1.0


ScoreFunction = Callable[[jax.Array], jax.Array]


def check_scores(real: jax.Array, fake: jax.Array) -> None:
    for name, scores in (("real", real), ("fake", fake)):
        if jnp.ndim(scores) != 1 or not jnp.issubdtype(jnp.result_type(scores), jnp.floating):
            raise ValueError(
                f"{name} scores must be a vector of floats, one per image, not "
                f"{jnp.result_type(scores)}{list(jnp.shape(scores))}"
            )


def check_target(target: jax.Array | float, scores: jax.Array, name: str) -> jax.Array:
    target = jnp.asarray(target, scores.dtype)
    if target.shape not in ((), scores.shape):
        raise ValueError(
            f"{name} targets must be one number or one per image, {list(scores.shape)}, "
            f"not {list(target.shape)}"
        )
    return target


def hinge_margin(x: jax.Array) -> jax.Array:
    return jax.nn.relu(1 - x)
