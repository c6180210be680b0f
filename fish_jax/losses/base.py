"""The types of losses and the checks that all share."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fish_jax.errors import UserError
from fish_jax.utils.messages import first_line


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
# Metrics of every step or logged line, which those of a loss must not replace.
METRICS = (
    "d_loss g_loss real_score fake_score fooled finite step epoch images steps images_per_second "
    "diversity r1 r2 gradient_penalty penalty"
).split()


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

    @functools.wraps(function)  # which keeps its name
    def apply(real: jax.Array, fake: jax.Array, state: State, targets: Targets) -> Result:
        return function(real, fake), state, {}

    return Objective(dict, apply)


def stateful(
    init: Callable[[], State], function: Callable[[jax.Array, jax.Array, State], Result]
) -> Objective:
    """The objective of a loss `(real, fake, state) -> (Losses, state, metrics)`.

    Args:
      init: makes the state before the first step, a dict of numbers and arrays.
      function: the function of the scores of the whole batch.
    """

    @functools.wraps(function)
    def apply(real: jax.Array, fake: jax.Array, state: State, targets: Targets) -> Result:
        return function(real, fake, state)

    return Objective(init, apply)


def labelled(function: Callable[[jax.Array, jax.Array, Targets], Losses]) -> Objective:
    """The objective of a loss `(real, fake, targets) -> Losses`, of the labels in the config."""

    @functools.wraps(function)
    def apply(real: jax.Array, fake: jax.Array, state: State, targets: Targets) -> Result:
        return function(real, fake, targets), state, {}

    return Objective(dict, apply)


def check_objective(name: str, objective: Objective, count: int, dtype: Any) -> None:
    """Traces a loss once, and checks that a step can use its results.

    Args:
      name: the name of the loss, for the message.
      objective: the loss.
      count: images in a batch.
      dtype: the dtype of scores.

    Raises:
      UserError: it does not give two scalars, the state that it was given, and scalars to log.
    """
    state = jax.tree.map(lambda value: jnp.asarray(value, dtype), objective.init())
    scores = jax.ShapeDtypeStruct((count,), dtype)
    targets = Targets(*[scores] * 3)  # pyright: ignore[reportArgumentType]  # of these shapes
    try:
        result = jax.eval_shape(objective.apply, scores, scores, state, targets)
    except (IndexError, TypeError, ValueError) as error:  # JAX's errors are of these types
        raise UserError(
            f"the loss {name} cannot be computed from two vectors of {count} scores by JAX: "
            f"{first_line(error)}"
        ) from error
    if not isinstance(result, tuple) or len(result) != 3:
        raise UserError(
            f"the loss {name} must return (Losses, state, metrics), not {kinds(result)}"
        )
    losses, after, metrics = result
    if not isinstance(losses, Losses):
        raise UserError(
            f"the loss {name} must return Losses(discriminator, generator), not {kinds(losses)}"
        )
    for field, value in losses._asdict().items():
        if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
            raise UserError(
                f"the loss {name} gives {kinds(value)} as the loss of the {field}; it must be one "
                f"number with a gradient, {jnp.dtype(dtype).name}[], such as a mean over the batch"
            )
    if kinds(after) != kinds(state):
        raise UserError(
            f"the loss {name} starts with the state {kinds(state)} but returns {kinds(after)} "
            "after a step; both must be alike"
        )
    for key, value in metrics.items():
        if value.shape or key in METRICS or key.startswith("scores/"):
            raise UserError(
                f"the loss {name} logs {key}, {kinds(value)}; log only numbers, under names other "
                f"than {', '.join(METRICS)}"
            )


def check_term(
    name: str, function: Callable[..., Any], shape: tuple[int, ...], *arguments: Any
) -> None:
    """Traces a penalty, or a comparison of features, and checks the shape of its result.

    Args:
      name: for the message.
      function: the function of arrays.
      shape: that its result must have.
      arguments: shapes and types of the arrays.

    Raises:
      UserError: the result has another shape, or is of whole numbers.
    """
    try:
        result = jax.eval_shape(function, *arguments)
    except (IndexError, TypeError, ValueError) as error:
        told = ", ".join(map(kinds, arguments))
        raise UserError(f"{name} cannot be computed from {told}: {first_line(error)}") from error
    found = getattr(result, "shape", None)
    if found != shape or not jnp.issubdtype(result.dtype, jnp.floating):
        right = f"a number for each image, {list(shape)}" if shape else "one number"
        raise UserError(f"{name} must give {right}, not {kinds(result)}")


def kinds(tree: Any) -> str:
    """The types and shapes of a tree of arrays, as text for a message."""
    texts = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree)
    return str(texts).replace("'", "")


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
      scores: the scores of the images, [N].
      name: the name of the label, for the message.

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
