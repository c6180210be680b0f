"""Optimisers by name: optax chains, and Adam as Keras computes it."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fish_jax.errors import UserError
from fish_jax.gan.schedules import CONSTANT, Ramp, cosine
from fish_jax.networks.ops import fusion
from fish_jax.utils import validation

OPTIMIZERS = ("keras_adam", "adam", "sgd", "rmsprop")
# What each setting may be.
SETTINGS = {
    "name": validation.choice(OPTIMIZERS),
    "b1": validation.SHARE,
    "b2": validation.SHARE,
    "eps": validation.POSITIVE,
    "momentum": validation.SHARE,
}
LEARNING_RATES = {"generator_lr": validation.POSITIVE, "discriminator_lr": validation.POSITIVE}


def scale_by_keras_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam with epsilon outside the bias correction.

        update = sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    Keras uses this form, which the paper gives as the more efficient order of computation, with
    its own epsilon. optax.adam divides the corrected moments, m_hat / (sqrt(v_hat) + eps): early
    steps with a large epsilon differ visibly.

    Args:
      b1: decay of the first moment.
      b2: decay of the second moment.
      eps: added to sqrt(v), in units of the gradient.

    Returns:
      A gradient transformation with `optax.ScaleByAdamState`; it does not apply a learning rate.

    References:
      Kingma and Ba, Adam, 2014, https://arxiv.org/abs/1412.6980
    """

    def init(params: optax.Params) -> optax.ScaleByAdamState:
        mu, nu = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))  # donated one by one
        return optax.ScaleByAdamState(jnp.zeros([], jnp.int32), mu, nu)

    def update(gradients, state: optax.ScaleByAdamState, params=None):
        del params
        count = state.count + 1

        def average(m: jax.Array, v: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
            return b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g

        moments = jax.tree.map(
            functools.partial(fusion.isolate_on_cpu, average), state.mu, state.nu, gradients
        )
        mu, nu = jax.tree.transpose(
            jax.tree.structure(gradients), jax.tree.structure((0, 0)), moments
        )

        def direction(m: jax.Array, v: jax.Array) -> jax.Array:
            steps = count.astype(m.dtype)
            correction = jnp.sqrt(1 - b2**steps) / (1 - b1**steps)
            return correction * m / (jnp.sqrt(v) + eps)

        return jax.tree.map(direction, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def make_optimizer(
    settings: Mapping[str, Any], learning_rate: float, ramp: Ramp = CONSTANT, images: int = 1
) -> optax.GradientTransformation:
    """The optimiser that a config's `optimizer` and `schedule` sections name.

    Args:
      settings: `name`, one of `OPTIMIZERS`, and `b1`, `b2`, `eps`, `momentum` where it has them.
      learning_rate: of the network it is for, at the beginning.
      ramp: along which it, and b2, change.
      images: that D sees between two updates.

    Returns:
      A gradient transformation whose updates are added to the parameters.

    Raises:
      UserError: no such optimiser, or a number out of its range, b2 at the end too.
    """
    validation.check("a learning rate", learning_rate, validation.POSITIVE)
    for name, kind in SETTINGS.items():
        validation.check(f"optimizer.{name}", settings[name], kind)
    chosen = {name: settings[name] for name in SETTINGS}
    if not ramp.images:
        return _constant(learning_rate, **chosen)
    if ramp.forgetting != 1 and not chosen["name"].endswith("adam"):
        raise UserError(
            f"schedule.forgetting is {ramp.forgetting}, of Adam's b2, but optimizer.name is "
            f"{chosen['name']}; set schedule.forgetting to 1 or optimizer.name to adam"
        )
    last = 1 - (1 - chosen["b2"]) * ramp.forgetting
    validation.check("b2 at the end of schedule.forgetting", last, validation.SHARE)
    return _changing(learning_rate, ramp, images, **chosen)


# The same settings, the same functions: two runs of one config share programs.
@functools.cache
def _constant(learning_rate: float, **settings: Any) -> optax.GradientTransformation:
    return _make(learning_rate, **settings)


@functools.cache
def _changing(
    learning_rate: float, ramp: Ramp, images: int, b2: float, **settings: Any
) -> optax.GradientTransformation:
    of_rate = cosine(ramp, ramp.learning_rate, images)
    rate = lambda count: learning_rate * of_rate(count)
    if ramp.forgetting == 1:
        return _make(rate, b2=b2, **settings)
    forgetting = cosine(ramp, ramp.forgetting, images)
    fixed = functools.partial(_make, **settings)
    adam = lambda learning_rate, b2: fixed(learning_rate, b2=b2)
    return optax.inject_hyperparams(adam)(rate, lambda count: 1 - (1 - b2) * forgetting(count))


def _make(
    learning_rate: optax.ScalarOrSchedule,
    name: str,
    b1: float,
    b2: float | jax.Array,
    eps: float,
    momentum: float,
) -> optax.GradientTransformation:
    match name:
        case "keras_adam":
            scale = scale_by_keras_adam(b1, b2, eps)
            return optax.chain(scale, optax.scale_by_learning_rate(learning_rate))
        case "adam":
            return optax.adam(learning_rate, b1, b2, eps)
        case "sgd":
            return optax.sgd(learning_rate, momentum or None)
        case "rmsprop":
            return optax.rmsprop(learning_rate, eps=eps)
