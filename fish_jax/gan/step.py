"""One update of both networks, and many of them in one call: pure functions."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from fish_jax.gan import ema
from fish_jax.gan.gradients import Gradients, Metrics, compute_gradients
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import draw
from fish_jax.gan.state import TrainState
from fish_jax.losses import penalties
from fish_jax.networks.ops import collectives, fusion


def _update(optimizer: optax.GradientTransformation, gradient, optimizer_state, params):
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    return optax.apply_updates(params, updates), optimizer_state


def _sum(leaf: jax.Array) -> jax.Array:
    """Where the leaf is large, as a product with ones: the fastest way through memory on a CPU."""
    if leaf.ndim == 2 and fusion.is_large(leaf):
        ones = jnp.ones(leaf.shape[-1], leaf.dtype)
        leaf = jnp.matmul(leaf, ones, precision=jax.lax.Precision.HIGHEST)
    return jnp.sum(leaf)


def _all_finite(*trees) -> jax.Array:
    """Whether the sum of each leaf is finite: with one infinity or NaN in it, it is not."""
    return jnp.all(jnp.isfinite(jnp.stack([_sum(leaf) for leaf in jax.tree.leaves(trees)])))


def apply_gradients(state: TrainState, gradients: Gradients, gan: Gan) -> TrainState:
    """Both optimisers' steps, each network along its own gradient, and D's clipping if any.

    Args:
      state: that `gradients` were computed at.
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
    d_params, d_optimizer = _update(
        gan.discriminator_optimizer,
        gradients.discriminator,
        state.discriminator_optimizer,
        state.discriminator_params,
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


def _follow(state: TrainState, gan: Gan, batch: int) -> TrainState:
    """The state after a step, with the generator's average one step further."""
    if gan.averaging is None:
        return state
    settings = dataclasses.asdict(gan.averaging)
    kept = ema.decay(state.step.astype(jnp.float32) * batch, batch, **settings)
    now = {"params": state.generator_params, "batch_stats": state.generator_stats}
    return state.replace(generator_average=ema.average(state.generator_average, now, kept))


def train_step(state: TrainState, images: jax.Array, gan: Gan) -> tuple[TrainState, Metrics]:
    """One simultaneous update of both networks, each along its gradient at the old parameters.

    With `loss.discriminator_steps` of n the generator moves in each n-th step alone.

    Args:
      state: before the step.
      images: uint8 [N, H, W, 3].
      gan: the fixed parts of the run.

    Returns:
      The state after the step, and scalars: `d_loss`, `g_loss`, what the loss itself logs,
      `real_score` and `fake_score`, the means of what D says, `fooled`, the share of generated
      images that D finds at least as real as the real one of the same place in the batch, and
      `finite`: whether these and all new parameters and running statistics are finite.
    """
    both = functools.partial(_train_step, images=images, gan=gan, generator=True)
    if gan.loss.discriminator_steps == 1:
        return both(state)
    alone = functools.partial(_train_step, images=images, gan=gan, generator=False)
    return jax.lax.cond((state.step + 1) % gan.loss.discriminator_steps == 0, both, alone, state)


def _train_step(
    state: TrainState, images: jax.Array, gan: Gan, generator: bool
) -> tuple[TrainState, Metrics]:
    draws = draw(gan, state.key, state.step, len(images))
    gradients = compute_gradients(state, images, draws, gan, generator)
    state = apply_gradients(state, gradients, gan)
    state = _follow(state, gan, len(images) * collectives.axis_size(gan.axis_name))
    losses = gradients.losses
    metrics = {"d_loss": losses.discriminator, "g_loss": losses.generator, **gradients.metrics}
    # Not the optimisers' moments: one that is NaN makes its parameter NaN in the same step.
    networks = (state.generator_params, state.discriminator_params)
    finite = _all_finite(metrics, networks, state.generator_stats, state.discriminator_stats)
    return state, {**metrics, "finite": finite}


def train_steps(
    state: TrainState, images: jax.Array, batches: jax.Array, count: jax.Array, gan: Gan
) -> tuple[TrainState, Metrics]:
    """Runs the first `count` of up to K steps in one call.

    The number of steps is an argument, not a shape: one compiled loop runs every chunk, even of
    a single step, so that a run cut anywhere continues bit for bit.

    Args:
      state: before the first step.
      images: the data set, uint8 [M, H, W, 3].
      batches: indices into it, int32 [K, N].
      count: how many steps to run, int32, at most K.
      gan: the fixed parts of the run.

    Returns:
      The state after the last step, and the metrics of each step, [K]; those from `count` on
      are zero.
    """
    _, shapes = jax.eval_shape(lambda s: train_step(s, images[batches[0]], gan), state)
    empty = {name: jnp.zeros(len(batches), value.dtype) for name, value in shapes.items()}

    def body(index, carry):
        state, history = carry
        state, metrics = train_step(state, images[batches[index]], gan)
        return state, {name: history[name].at[index].set(metrics[name]) for name in history}

    return jax.lax.fori_loop(0, count, body, (state, empty))
