"""The training step: one update of both networks, and many updates in one call."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fish_jax.gan import ema, levels
from fish_jax.gan.gradients import Gradients, compute_gradients
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import draw
from fish_jax.gan.state import TrainState
from fish_jax.losses import penalties
from fish_jax.losses.base import Metrics
from fish_jax.networks.ops import collectives, fusion


def _update(
    optimizer: optax.GradientTransformation, gradient: Any, state: optax.OptState, params: Any
) -> tuple[Any, optax.OptState]:
    updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state


def apply_gradients(state: TrainState, gradients: Gradients, gan: Gan) -> TrainState:
    """Updates each network along its own gradient, and clips D's weights if `loss.clip` is above 0.

    Args:
      state: the one that `gradients` were computed at.
      gradients: from `compute_gradients`.
      gan: the fixed parts of the run.

    Returns:
      The state after the step.
    """
    g_params, g_optimizer = state.generator_params, state.generator_optimizer
    if gradients.generator is not None:
        g_params, g_optimizer = _update(
            gan.generator_optimizer, gradients.generator, g_optimizer, g_params
        )
    d_params, d_optimizer = state.discriminator_params, state.discriminator_optimizer
    d_params, d_optimizer = _update(
        gan.discriminator_optimizer, gradients.discriminator, d_optimizer, d_params
    )
    if gan.loss.clip:
        d_params = penalties.clip(d_params, gan.loss.clip)
    return state.replace(
        step=state.step + 1,
        generator_params=g_params,
        discriminator_params=d_params,
        generator_stats=gradients.generator_stats,
        discriminator_stats=gradients.discriminator_stats,
        generator_optimizer=g_optimizer,
        discriminator_optimizer=d_optimizer,
        loss_state=gradients.loss_state,
    )


def _update_average(state: TrainState, gan: Gan, batch: int) -> TrainState:
    """The state with the generator's average moved towards its parameters and statistics."""
    if gan.averaging is None:
        return state
    settings = dataclasses.asdict(gan.averaging)
    kept = ema.decay(state.step.astype(jnp.float32) * batch, batch, **settings)
    average = ema.average(state.generator_average, state.generator_variables, kept)
    return state.replace(generator_average=average)


def _sum(leaf: jax.Array) -> jax.Array:
    """The sum of a leaf; of a large one as a product with ones, which is faster on a CPU."""
    if leaf.ndim == 2 and fusion.is_large(leaf):
        ones = jnp.ones(leaf.shape[-1], leaf.dtype)
        leaf = jnp.matmul(leaf, ones, precision=jax.lax.Precision.HIGHEST)
    return jnp.sum(leaf)


def _all_finite(*trees: Any) -> jax.Array:
    """Whether all numbers are finite: the sum of a leaf with an infinity or a NaN is not."""
    return jnp.all(jnp.isfinite(jnp.stack([_sum(leaf) for leaf in jax.tree.leaves(trees)])))


def _train_step(
    state: TrainState, images: jax.Array, gan: Gan, generator: bool
) -> tuple[TrainState, Metrics]:
    draws = draw(gan, state.key, state.step, len(images))
    batch = len(images) * collectives.axis_size(gan.axis_name)
    each_level = [
        functools.partial(compute_gradients, gan=levels.at_level(gan, level), generator=generator)
        for level in range(len(gan.level_starts))
    ]
    level = levels.current_level(gan, state.step * batch)
    gradients = jax.lax.switch(level, each_level, state, images, draws)
    state = apply_gradients(state, gradients, gan)
    state = _update_average(state, gan, batch)
    losses = gradients.losses
    metrics = {"d_loss": losses.discriminator, "g_loss": losses.generator, **gradients.metrics}
    # Not the optimisers' moments: one that is NaN makes its parameter NaN in the same step.
    networks = (state.generator_params, state.discriminator_params)
    finite = _all_finite(metrics, networks, state.generator_stats, state.discriminator_stats)
    return state, {**metrics, "finite": finite}


def train_step(state: TrainState, images: jax.Array, gan: Gan) -> tuple[TrainState, Metrics]:
    """One simultaneous update of both networks, each along its gradient at the old parameters.

    With `loss.discriminator_steps` of n the generator is updated every n steps only.

    Args:
      state: before the step.
      images: uint8 [N, H, W, C].
      gan: the fixed parts of the run.

    Returns:
      The state after the step, and metrics, all scalars: `d_loss` and `g_loss`; the metrics of the
      loss itself; `real_score` and `fake_score`, the mean scores; `fooled`, the share of generated
      images that D scores at least as real as the real image at the same place in the batch; and
      `finite`, whether these and all new parameters and running statistics are finite.
    """
    both = functools.partial(_train_step, images=images, gan=gan, generator=True)
    if gan.loss.discriminator_steps == 1:
        return both(state)
    alone = functools.partial(_train_step, images=images, gan=gan, generator=False)
    return jax.lax.cond((state.step + 1) % gan.loss.discriminator_steps == 0, both, alone, state)


def train_steps(
    state: TrainState, images: jax.Array, batches: jax.Array, count: jax.Array, gan: Gan
) -> tuple[TrainState, Metrics]:
    """Runs the first `count` of up to K steps in one call.

    The number of steps is an argument, not a shape: one compiled loop runs every chunk, even of
    a single step, so that a run cut anywhere continues bit for bit.

    Args:
      state: before the first step.
      images: the data set, uint8 [M, H, W, C].
      batches: indices into it, int32 [K, N].
      count: how many steps to run, int32, at most K.
      gan: the fixed parts of the run.

    Returns:
      The state after the last step, and the metrics of each step, [K]; those from `count` on
      are zero.
    """
    _, shapes = jax.eval_shape(lambda s: train_step(s, images[batches[0]], gan), state)
    empty = {name: jnp.zeros(len(batches), value.dtype) for name, value in shapes.items()}

    def body(index: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, history = carry
        state, metrics = train_step(state, images[batches[index]], gan)
        return state, {name: history[name].at[index].set(metrics[name]) for name in history}

    return jax.lax.fori_loop(0, count, body, (state, empty))
