"""One update of both networks, and many of them in one call: pure functions."""

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fish_jax.losses import LOSSES, Losses, Targets, began_update
from fish_jax.penalties import FEATURE_MATCHING
from fish_jax.state import Gan, TrainState

Metrics = dict[str, jax.Array]


class Stream(enum.IntEnum):
    """What a key is used for: no two uses share one."""

    LATENTS = 0
    DISCRIMINATOR_LATENTS = 1
    REAL_LABEL = 2
    FAKE_LABEL = 3
    GENERATOR_LABEL = 4
    GENERATOR = 5
    GENERATOR_FOR_DISCRIMINATOR = 6
    SCORE_REAL = 7
    SCORE_FAKE = 8
    SCORE_GENERATED = 9


class Scored(NamedTuple):
    """What the discriminator says of a batch: scores [N] and features [N, ...]."""

    scores: jax.Array
    features: jax.Array


class Pass(NamedTuple):
    """A forward pass through a network, and the way back.

    Attributes:
      output: images, or `Scored`.
      stats: the running statistics after the pass.
      pull: from a cotangent of `output` to one of the parameters (and of the images scored).
    """

    output: Any
    stats: Any
    pull: Callable


def image_keys(key: jax.Array, step: jax.Array, count: int) -> jax.Array:
    """One key for each image of a step's batch, from its place in the whole batch."""
    step_key = jax.random.fold_in(key, step)
    return jax.vmap(lambda index: jax.random.fold_in(step_key, index))(jnp.arange(count))


def _stream(keys: jax.Array, stream: Stream) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, stream))(keys)


def draw_latents(gan: Gan, keys: jax.Array) -> jax.Array:
    """Latents from one key each: N keys to [N, latent_size]."""

    def draw(key: jax.Array) -> jax.Array:
        if gan.latent_distribution == "normal":
            return jax.random.normal(key, (gan.latent_size,), gan.dtype)
        return jax.random.uniform(key, (gan.latent_size,), gan.dtype, -1.0, 1.0)

    return jax.vmap(draw)(keys)


def seed_latents(gan: Gan, seeds: Sequence[int]) -> jax.Array:
    """The latents of seeds, [N, latent_size]: a seed gives the same in every run and mode."""
    return draw_latents(gan, jnp.stack([jax.random.key(np.uint32(seed)) for seed in seeds]))


def scale_images(images: jax.Array, dtype: jax.typing.DTypeLike = jnp.float32) -> jax.Array:
    """Pixels to what the networks see: uint8 0 .. 255 to -1 .. 1, x / 127.5 - 1."""
    return images.astype(dtype) / 127.5 - 1


def to_pixels(images: jax.Array) -> jax.Array:
    """Images of -1 .. 1 to uint8 0 .. 255: the inverse of `scale_images`, rounded."""
    return jnp.round((jnp.clip(images, -1, 1) + 1) * 127.5).astype(jnp.uint8)


def draw_targets(gan: Gan, keys: jax.Array) -> Targets:
    """The labels of a step's images, each from its own key: noisy where low < high."""

    def draw(low_high: tuple[float, float], stream: Stream) -> jax.Array:
        low, high = low_high
        uniform = lambda key: jax.random.uniform(key, (), gan.dtype, low, high)
        return jax.vmap(uniform)(_stream(keys, stream))

    return Targets(
        draw(gan.loss.real_label, Stream.REAL_LABEL),
        draw(gan.loss.fake_label, Stream.FAKE_LABEL),
        draw(gan.loss.generator_label, Stream.GENERATOR_LABEL),
    )


def _generate(
    gan: Gan, state: TrainState, stats, keys: jax.Array, latents: Stream, network: Stream
) -> Pass:
    def forward(params):
        (images, _), updated = gan.generator.apply(
            {"params": params, "batch_stats": stats},
            draw_latents(gan, _stream(keys, latents)),
            _stream(keys, network),
            train=True,
            mutable=["batch_stats"],
        )
        return images, updated.get("batch_stats", {})

    images, pull, stats = jax.vjp(forward, state.generator_params, has_aux=True)
    return Pass(images, stats, pull)


def _score(
    gan: Gan, state: TrainState, stats, images: jax.Array, keys: jax.Array, network: Stream
) -> Pass:
    def forward(params, images):
        scored, updated = gan.discriminator.apply(
            {"params": params, "batch_stats": stats},
            images,
            _stream(keys, network),
            train=True,
            mutable=["batch_stats"],
        )
        return Scored(*scored), updated.get("batch_stats", {})

    scored, pull, stats = jax.vjp(forward, state.discriminator_params, images, has_aux=True)
    return Pass(scored, stats, pull)


def _losses(
    gan: Gan, targets: Targets, loss_state: dict, real: Scored, fake: Scored, generated: Scored
) -> Losses:
    entry = LOSSES[gan.loss.name]
    options = {"": {}, "targets": {"targets": targets}, "k": {"k": loss_state.get("k")}}
    loss = lambda against: entry.function(real.scores, against.scores, **options[entry.takes])
    discriminator = gan.loss.d_factor * loss(fake).discriminator
    generator = gan.loss.g_factor * loss(generated).generator
    if gan.loss.feature_matching != "none":
        match = FEATURE_MATCHING[gan.loss.feature_matching]
        generator += gan.loss.feature_matching_weight * match(real.features, generated.features)
    return Losses(discriminator, generator)


def _update_loss_state(
    gan: Gan, loss_state: dict, real: Scored, generated: Scored
) -> tuple[dict, Metrics]:
    if LOSSES[gan.loss.name].takes != "k":
        return loss_state, {}
    real_energy, fake_energy = jnp.mean(real.scores), jnp.mean(generated.scores)
    k, m_global = began_update(
        loss_state["k"], real_energy, fake_energy, gan.loss.gamma, gan.loss.lambda_k
    )
    metrics = {"real_energy": real_energy, "fake_energy": fake_energy}
    metrics |= {"energy_ratio": fake_energy / real_energy, "k": k, "m_global": m_global}
    return {"k": k, "m_global": m_global}, metrics


def _update(optimizer: optax.GradientTransformation, gradient, optimizer_state, params):
    updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
    return optax.apply_updates(params, updates), optimizer_state


def _all_finite(*trees) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(trees)]))


def train_step(state: TrainState, images: jax.Array, gan: Gan) -> tuple[TrainState, Metrics]:
    """One simultaneous update of both networks.

    Both losses come from one forward pass (G(z), then D(x), then D(G(z))), and both gradients are
    taken at the same parameters, before either network moves. D's passes over real and generated
    images normalise each with its own batch; both renew the running statistics, in this order.

    Args:
      state: before the step.
      images: uint8 [N, H, W, 3].
      gan: the fixed parts of the run.

    Returns:
      The state after the step, and scalars: `d_loss`, `g_loss`, what the loss itself logs, and
      `finite`: whether these and all new parameters are finite.
    """
    keys = image_keys(state.key, state.step, len(images))
    g = _generate(gan, state, state.generator_stats, keys, Stream.LATENTS, Stream.GENERATOR)
    g_stats, fake_images = g.stats, g.output
    if gan.loss.separate_latents:
        streams = (Stream.DISCRIMINATOR_LATENTS, Stream.GENERATOR_FOR_DISCRIMINATOR)
        fake_images, g_stats, _ = _generate(gan, state, g_stats, keys, *streams)

    images = scale_images(images, gan.dtype)
    real = _score(gan, state, state.discriminator_stats, images, keys, Stream.SCORE_REAL)
    fake = _score(gan, state, real.stats, fake_images, keys, Stream.SCORE_FAKE)
    generated = fake
    if gan.loss.separate_latents:
        generated = _score(gan, state, fake.stats, g.output, keys, Stream.SCORE_GENERATED)

    targets = draw_targets(gan, keys)
    losses, pull_losses = jax.vjp(
        lambda *scored: _losses(gan, targets, state.loss_state, *scored),
        real.output,
        fake.output,
        generated.output,
    )
    one, zero = jnp.ones_like(losses.generator), jnp.zeros_like(losses.generator)
    to_real, to_fake, _ = pull_losses(Losses(one, zero))
    _, _, to_generated = pull_losses(Losses(zero, one))
    d_gradient = jax.tree.map(jnp.add, real.pull(to_real)[0], fake.pull(to_fake)[0])
    (g_gradient,) = g.pull(generated.pull(to_generated)[1])

    g_params, g_optimizer = _update(
        gan.generator_optimizer, g_gradient, state.generator_optimizer, state.generator_params
    )
    d_params, d_optimizer = _update(
        gan.discriminator_optimizer,
        d_gradient,
        state.discriminator_optimizer,
        state.discriminator_params,
    )
    loss_state, loss_metrics = _update_loss_state(
        gan, state.loss_state, real.output, generated.output
    )
    metrics = {"d_loss": losses.discriminator, "g_loss": losses.generator, **loss_metrics}
    state = state.replace(
        step=state.step + 1,
        generator_params=g_params,
        discriminator_params=d_params,
        generator_stats=g_stats,
        discriminator_stats=generated.stats,
        generator_optimizer=g_optimizer,
        discriminator_optimizer=d_optimizer,
        loss_state=loss_state,
    )
    return state, {**metrics, "finite": _all_finite(metrics, g_params, d_params)}


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


def generate(state: TrainState, latents: jax.Array, gan: Gan) -> jax.Array:
    """Images in inference mode, with the running statistics.

    Args:
      state: of any step.
      latents: [N, latent_size].
      gan: the fixed parts of the run.

    Returns:
      uint8 [N, H, W, 3], rounded to the nearest.
    """
    variables = {"params": state.generator_params, "batch_stats": state.generator_stats}
    images, _ = gan.generator.apply(variables, latents)
    return to_pixels(images)
