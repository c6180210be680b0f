"""One forward pass of both networks, both losses, and the gradient of each network."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fish_jax.data import augment
from fish_jax.gan.inference import scale_images
from fish_jax.gan.model import Gan
from fish_jax.gan.randomness import Draws, Stream
from fish_jax.gan.schedules import cosine
from fish_jax.gan.state import TrainState
from fish_jax.losses import LOSSES, Losses, Targets, began_update, penalties
from fish_jax.networks import layers
from fish_jax.networks.ops import collectives

Metrics = dict[str, jax.Array]


class Scored(NamedTuple):
    """What the discriminator says of a batch: scores [N], features [N, ...], codes [N, D]."""

    scores: jax.Array
    features: jax.Array
    codes: jax.Array


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


def _generate(gan: Gan, state: TrainState, stats, latents: jax.Array, keys: jax.Array) -> Pass:
    def forward(params):
        (images, _), updated = gan.generator.apply(
            {"params": params, "batch_stats": stats},
            latents,
            keys,
            train=True,
            mutable=["batch_stats"],
        )
        return images, updated.get("batch_stats", {})

    images, pull, stats = jax.vjp(forward, state.generator_params, has_aux=True)
    return Pass(images, stats, pull)


# A pass of the discriminator, and the augmentation and the noise of what it sees there.
PASS_STREAMS = {
    Stream.SCORE_REAL: (Stream.AUGMENT_REAL, Stream.NOISE_REAL),
    Stream.SCORE_FAKE: (Stream.AUGMENT_FAKE, Stream.NOISE_FAKE),
    Stream.SCORE_GENERATED: (Stream.AUGMENT_GENERATED, Stream.NOISE_GENERATED),
}


def _score(
    gan: Gan, state: TrainState, stats, images: jax.Array, draws: Draws, stream: Stream
) -> Pass:
    keys = draws.keys[stream]
    augmentation, noise = (draws.keys[each] for each in PASS_STREAMS[stream])

    def forward(params, images):
        images = augment.augment(images, augmentation, gan.loss.augment)
        if gan.loss.instance_noise:
            images = layers.image_noise(images, noise, gan.loss.instance_noise)
        scored, updated = gan.discriminator.apply(
            {"params": params, "batch_stats": stats},
            images,
            keys,
            train=True,
            mutable=["batch_stats"],
        )
        return Scored(*scored), updated.get("batch_stats", {})

    scored, pull, stats = jax.vjp(forward, state.discriminator_params, images, has_aux=True)
    return Pass(scored, stats, pull)


def _losses(
    gan: Gan, targets: Targets, loss_state: dict, real: Scored, fake: Scored, generated: Scored
) -> Losses:
    entry, settings = LOSSES[gan.loss.name], gan.loss
    options = {"targets": targets, "k": loss_state.get("k"), "margin": settings.margin}
    taken = {entry.takes: options[entry.takes]} if entry.takes else {}
    loss = lambda against: entry.function(real.scores, against.scores, **taken)
    discriminator = settings.d_factor * loss(fake).discriminator
    generator = settings.g_factor * loss(generated).generator
    if settings.feature_matching != "none":
        match = penalties.FEATURE_MATCHING[settings.feature_matching]
        generator += settings.feature_matching_weight * match(real.features, generated.features)
    if settings.pulling_away:
        generator += settings.pulling_away * penalties.pulling_away(generated.codes)
    return Losses(discriminator, generator)


def _loss_inputs(gan: Gan) -> tuple[str, ...]:
    """The fields of `Scored` that the losses look at, which devices exchange."""
    features = ("features",) * (gan.loss.feature_matching != "none")
    return "scores", *features, *("codes",) * bool(gan.loss.pulling_away)


def _gather(gan: Gan, share: Scored) -> Scored:
    """Scores of the whole batch from a device's."""
    whole = {name: getattr(share, name) for name in _loss_inputs(gan)}
    return share._replace(**collectives.gather(whole, gan.axis_name))


def _local_share(gan: Gan, cotangents: tuple[Scored, ...]) -> tuple[Scored, ...]:
    """A device's shares of cotangents of what `_gather` gave."""
    names = _loss_inputs(gan)
    wholes = [{name: getattr(each, name) for name in names} for each in cotangents]
    owns = collectives.local_share(wholes, gan.axis_name)
    return tuple(each._replace(**own) for each, own in zip(cotangents, owns))


def _penalise(
    gan: Gan, state: TrainState, draws: Draws, real: jax.Array, fake: jax.Array
) -> tuple[Any, Metrics]:
    """The gradient of D's penalties by its parameters, and their values: a device's share.

    They see images without augmentation and instance noise, and D as it is in training.
    """
    settings, count = gan.loss, len(real) * collectives.axis_size(gan.axis_name)
    done = cosine(gan.ramp, gan.ramp.penalty, count)(state.step) if gan.ramp.images else 1
    weight = settings.penalty_every * jnp.asarray(done, real.dtype)

    def penalty(params) -> tuple[jax.Array, Metrics]:
        def critic(stream: Stream) -> penalties.Critic:
            variables = {"params": params, "batch_stats": state.discriminator_stats}
            keys = draws.keys[stream]
            return lambda images: gan.discriminator.apply(variables, images, keys, train=True)[0]

        values = {}
        if settings.gradient_penalty:
            uniform = jax.vmap(lambda key: jax.random.uniform(key, (), real.dtype))
            share = uniform(draws.keys[Stream.INTERPOLATION])
            points = penalties.interpolate(real, fake, share)
            away = penalties.unit_gradient(critic(Stream.SCORE_FAKE), points)
            values["gradient_penalty"] = settings.gradient_penalty * jnp.sum(away)
        for name, images, stream in (
            ("r1", real, Stream.SCORE_REAL),
            ("r2", fake, Stream.SCORE_FAKE),
        ):
            if getattr(settings, name):
                squares = penalties.squared_gradient(critic(stream), images)
                values[name] = getattr(settings, name) / 2 * jnp.sum(squares)
        values = {name: weight / count * value for name, value in values.items()}
        return sum(values.values()), values

    penalise = jax.grad(penalty, has_aux=True)
    if settings.penalty_every == 1:
        return penalise(state.discriminator_params)
    shapes = jax.eval_shape(penalise, state.discriminator_params)
    zeros = lambda _: jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    due = state.step % settings.penalty_every == 0
    return jax.lax.cond(due, penalise, zeros, state.discriminator_params)


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


def _score_metrics(gan: Gan, real: Scored, generated: Scored) -> Metrics:
    """How far D tells them apart; energies, low for real images, count as scores of their sign."""
    means = {"real_score": jnp.mean(real.scores), "fake_score": jnp.mean(generated.scores)}
    sign = -1 if LOSSES[gan.loss.name].energy else 1
    fooled = sign * generated.scores >= sign * real.scores
    return means | {"fooled": jnp.mean(fooled, dtype=real.scores.dtype)}


class Gradients(NamedTuple):
    """One step's losses, their gradients, and what the passes renewed; no network has moved.

    Attributes:
      losses: of both networks, penalties included.
      generator, discriminator: gradients of each network's loss by its own parameters; the
        generator's is None where it does not move.
      generator_stats, discriminator_stats: running statistics after the passes.
      loss_state: the loss's own state for the next step.
      metrics: scalars of the loss itself and of the scores.
    """

    losses: Losses
    generator: Any
    discriminator: Any
    generator_stats: Any
    discriminator_stats: Any
    loss_state: dict[str, jax.Array]
    metrics: Metrics


def compute_gradients(
    state: TrainState, images: jax.Array, draws: Draws, gan: Gan, generator: bool = True
) -> Gradients:
    """Both losses from one forward pass (G(z), then D(x), then D(G(z))), and both gradients.

    D's passes over real and generated images normalise each with its own batch; both renew the
    running statistics, in this order.

    Args:
      state: before the step.
      images: uint8 [N, H, W, 3]; where devices share a batch, this device's part of it.
      draws: all that is random in the step, as `draw` makes it.
      gan: the fixed parts of the run.
      generator: whether the generator's gradient is needed.

    Returns:
      The gradients, all at the parameters of `state`; of the whole batch, the same on all devices.
    """
    keys = draws.keys
    g = _generate(gan, state, state.generator_stats, draws.latents, keys[Stream.GENERATOR])
    g_stats, fake_images = g.stats, g.output
    if gan.loss.separate_latents:
        fake_images, g_stats, _ = _generate(
            gan,
            state,
            g_stats,
            draws.discriminator_latents,
            keys[Stream.GENERATOR_FOR_DISCRIMINATOR],
        )

    if gan.flips:
        images = augment.flip(images, keys[Stream.FLIP])
    images = scale_images(images, gan.dtype)
    real = _score(gan, state, state.discriminator_stats, images, draws, Stream.SCORE_REAL)
    fake = _score(gan, state, real.stats, fake_images, draws, Stream.SCORE_FAKE)
    generated = fake
    if gan.loss.separate_latents:
        generated = _score(gan, state, fake.stats, g.output, draws, Stream.SCORE_GENERATED)

    whole = [_gather(gan, scored.output) for scored in (real, fake, generated)]
    losses, pull_losses = jax.vjp(
        lambda *scored: _losses(gan, draws.targets, state.loss_state, *scored), *whole
    )
    one, zero = jnp.ones_like(losses.generator), jnp.zeros_like(losses.generator)
    to_real, to_fake, _ = _local_share(gan, pull_losses(Losses(one, zero)))
    _, _, to_generated = _local_share(gan, pull_losses(Losses(zero, one)))
    g_gradient = g.pull(generated.pull(to_generated)[1])[0] if generator else None
    d_gradient = jax.tree.map(jnp.add, real.pull(to_real)[0], fake.pull(to_fake)[0])
    values = {}
    if any(getattr(gan.loss, name) for name in penalties.PENALTIES):
        gradient, values = _penalise(gan, state, draws, images, fake_images)
        d_gradient = jax.tree.map(jnp.add, d_gradient, gradient)
    # A loss is a mean over the whole batch already: the devices' shares of its gradient add up.
    g_gradient, d_gradient, values = collectives.psum(
        (g_gradient, d_gradient, values), gan.axis_name
    )
    losses = losses._replace(discriminator=losses.discriminator + sum(values.values()))
    loss_state, metrics = _update_loss_state(gan, state.loss_state, whole[0], whole[2])
    metrics |= values | _score_metrics(gan, whole[0], whole[2])
    return Gradients(losses, g_gradient, d_gradient, g_stats, generated.stats, loss_state, metrics)
