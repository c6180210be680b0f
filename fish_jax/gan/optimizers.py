"""Optimisers by name: those of optax, and Adam as Keras computes it."""

import functools
from collections.abc import Hashable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fish_jax.gan.schedules import Ramp, cosine
from fish_jax.networks.ops import fusion
from fish_jax.utils import validation

OPTIMIZERS = ("keras_adam", "adam", "sgd", "rmsprop")
# The schema of a config's `optimizer` section.
SETTINGS = {
    "name": validation.choice(OPTIMIZERS),
    "b1": validation.SHARE,
    "b2": validation.SHARE,
    "eps": validation.POSITIVE,
    "momentum": validation.SHARE,
    "generator_lr": validation.POSITIVE,
    "discriminator_lr": validation.POSITIVE,
}


HELD = -1  # in the place of a row's level: its weights hold still


class OptimizerSettings(NamedTuple):
    """The `optimizer` section of a config.

    Attributes:
      name: one of `OPTIMIZERS`.
      b1: decay of Adam's first moment.
      b2: decay of Adam's second moment.
      eps: added to the root of the second moment, of Adam and RMSprop.
      momentum: the momentum of SGD, 0 for none.
      generator_lr, discriminator_lr: learning rates at the beginning.
    """

    name: str
    b1: float
    b2: float
    eps: float
    momentum: float
    generator_lr: float
    discriminator_lr: float


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

    def update(
        updates: optax.Updates, state: Any, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.ScaleByAdamState]:
        del params
        count = state.count + 1

        def average(m: jax.Array, v: jax.Array, g: jax.Array) -> tuple[jax.Array, jax.Array]:
            return b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g

        isolated = functools.partial(fusion.isolate_on_cpu, average)
        tree = jax.tree.structure(updates)
        leaves = (jax.tree.leaves(each) for each in (state.mu, state.nu, updates))
        pairs = [isolated(*each) for each in zip(*leaves)]
        mu, nu = (tree.unflatten(pair[side] for pair in pairs) for side in range(2))

        def direction(m: jax.Array, v: jax.Array) -> jax.Array:
            steps = count.astype(m.dtype)
            correction = jnp.sqrt(1 - b2**steps) / (1 - b1**steps)
            return correction * m / (jnp.sqrt(v) + eps)

        return jax.tree.map(direction, mu, nu), optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(init, update)


def _make(
    settings: OptimizerSettings, learning_rate: optax.ScalarOrSchedule
) -> optax.GradientTransformation:
    b1, b2, eps = settings.b1, settings.b2, settings.eps
    match settings.name:
        case "keras_adam":
            scale = scale_by_keras_adam(b1, b2, eps)
            return optax.chain(scale, optax.scale_by_learning_rate(learning_rate))
        case "adam":
            return optax.adam(learning_rate, b1, b2, eps)
        case "sgd":
            return optax.sgd(learning_rate, settings.momentum or None)
        case "rmsprop":
            return optax.rmsprop(learning_rate, eps=eps)
    raise ValueError(settings.name)


@functools.cache
def build_optimizer(
    settings: OptimizerSettings,
    learning_rate: float,
    ramp: Ramp,
    images: int,
    starts: tuple[int, ...] = (0,),
    levels: tuple[int, ...] = (),
    own: optax.GradientTransformation | None = None,
) -> optax.GradientTransformation:
    """The optimiser that a config's `optimizer` and `schedule` sections name.

    The parameters of each level have an optimiser of their own, which begins with the level: the
    moments of new parameters are corrected from there, and those of old ones go on. Rows that hold
    still have none, and their parameters never change.

    Args:
      settings: the `optimizer` section.
      learning_rate: the learning rate of the network it is for, at the beginning.
      ramp: the `schedule` section, along which the learning rate and b2 change.
      images: that D sees between two updates.
      starts: updates done when each level begins.
      levels: the levels of each of the network's rows, or `HELD`; () where all are of one.
      own: an optimiser that takes the place of the config's, or None.

    Returns:
      A gradient transformation whose updates are added to the parameters. The same settings give
      the same object, so that runs of one config share programs.
    """
    build = functools.partial(_build, settings, learning_rate, ramp, images)
    if own is not None:
        build = lambda start: own
    if set(levels) <= {0}:
        return build(0)

    def late(start: int) -> optax.GradientTransformation:
        begun: Any = lambda step: step >= start  # optax declares more arguments, and passes none
        return optax.conditionally_mask(build(start), begun) if start else build(0)

    of_level: dict[Hashable, Any] = {level: late(start) for level, start in enumerate(starts)}
    if HELD in levels:
        of_level[HELD] = optax.set_to_zero()
    return optax.partition(of_level, functools.partial(_label, levels=levels))


def _label(params: optax.Params, levels: tuple[int, ...]) -> Any:
    """The level of each parameter, from the number of its row: of ["03_conv"] the fourth.

    Rows of a decoder are of level 0: an autoencoder has one level, and its encoder the first rows.
    """

    def level(path: tuple, leaf: jax.Array) -> int:
        del leaf
        names = [each.key for each in path]
        if names[0] == "decode":
            return 0
        return levels[int(next(name for name in names if name[:2].isdigit()).split("_")[0])]

    return jax.tree_util.tree_map_with_path(level, params)


def _build(
    settings: OptimizerSettings, learning_rate: float, ramp: Ramp, images: int, start: int
) -> optax.GradientTransformation:
    """The optimiser of parameters whose first update comes after `start` others."""
    if not ramp.images:
        return _make(settings, learning_rate)
    of_rate = cosine(ramp, ramp.learning_rate, images)
    rate = lambda count: learning_rate * of_rate(start + count)
    if ramp.forgetting == 1:
        return _make(settings, rate)
    forgetting = cosine(ramp, ramp.forgetting, images)
    b2 = lambda count: 1 - (1 - settings.b2) * forgetting(start + count)
    adam = lambda learning_rate, b2: _make(settings._replace(b2=b2), learning_rate)
    return optax.inject_hyperparams(adam)(rate, b2)
