"""The types of losses and the checks that all share."""

from collections.abc import Callable
from typing import Any, NamedTuple

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
State = dict[str, Any]
Metrics = dict[str, jax.Array]
Result = tuple[Losses, State, Metrics]


class Objective(NamedTuple):
    """A loss as a training step computes it, two pure functions like those of an optax optimiser.

    Attributes:
      init: makes the state that the loss has before the first step; {} if it keeps none.
      apply: maps the scores of the whole batch, real [N] and generated [N], the state and the
        step's labels to the losses, the next state, and scalars to log.
    """

    init: Callable[[], State]
    apply: Callable[[jax.Array, jax.Array, State, Targets], Result]


def stateless(function: Callable[[jax.Array, jax.Array], Losses]) -> Objective:
    """The objective of a loss `(real, fake) -> Losses`."""
    return Objective(dict, lambda real, fake, state, targets: (function(real, fake), state, {}))


def stateful(
    init: Callable[[], State], function: Callable[[jax.Array, jax.Array, State], Result]
) -> Objective:
    """The objective of a loss `(real, fake, state) -> (Losses, state, metrics)`.

    Args:
      init: makes the state before the first step, a dict of numbers and arrays.
      function: of the scores of the whole batch.
    """
    return Objective(init, lambda real, fake, state, targets: function(real, fake, state))


def labelled(function: Callable[[jax.Array, jax.Array, Targets], Losses]) -> Objective:
    """The objective of a loss `(real, fake, targets) -> Losses`, of the labels in the config."""

    def apply(real: jax.Array, fake: jax.Array, state: State, targets: Targets) -> Result:
        return function(real, fake, targets), state, {}

    return Objective(dict, apply)


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
