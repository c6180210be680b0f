"""The gradients of one step: forward passes, both losses, and the passes back.

`compute_gradients` runs the generator and the discriminator once, computes both losses of the
scores, and pulls each loss back to the parameters of its own network.
"""

import functools
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
from fish_jax.losses import Losses, Targets, penalties
from fish_jax.losses.base import Metrics, State
from fish_jax.networks import layers
from fish_jax.networks.ops import collectives, fusion, pyramid


class Scored(NamedTuple):
    """The discriminator's outputs for a batch: scores [N], features [N, ...], codes [N, D]."""

    scores: jax.Array
    features: jax.Array
    codes: jax.Array


class Pass(NamedTuple):
    """A forward pass through a network, and its vector-Jacobian product.

    Attributes:
      output: images, or `Scored`.
      stats: the running statistics after the pass.
      pull: maps a cotangent of `output` to one of the parameters, and for a pass of the
        discriminator to one of the images.
    """

    output: Any
    stats: Any
    pull: Callable


class Gradients(NamedTuple):
    """One step's losses, gradients and updated statistics, before any parameter changes.

    Attributes:
      losses: the losses of both networks, penalties included.
      generator, discriminator: gradients of each network's loss by its own parameters; the
        generator's is None in a step that does not train it.
      generator_stats, discriminator_stats: running statistics after the passes.
      loss_state: the loss's own state for the next step.
      metrics: scalars of the loss itself and of the scores.
    """

    losses: Losses
    generator: Any
    discriminator: Any
    generator_stats: Any
    discriminator_stats: Any
    loss_state: State
    metrics: Metrics


# The streams of the augmentation and of the instance noise in each pass of the discriminator.
PASS_STREAMS = {
    Stream.SCORE_REAL: (Stream.AUGMENT_REAL, Stream.NOISE_REAL),
    Stream.SCORE_FAKE: (Stream.AUGMENT_FAKE, Stream.NOISE_FAKE),
    Stream.SCORE_GENERATED: (Stream.AUGMENT_GENERATED, Stream.NOISE_GENERATED),
}


def _apply(
    network: Any, params: Any, stats: Any, inputs: jax.Array, keys: jax.Array
) -> tuple[Any, Any]:
    """A network's outputs in training mode, and its running statistics after the pass."""
    variables = {"params": params, "batch_stats": stats}
    outputs, updated = network.apply(variables, inputs, keys, train=True, mutable=["batch_stats"])
    return outputs, updated.get("batch_stats", {})


def _generate(gan: Gan, state: TrainState, stats: Any, latents: jax.Array, keys: jax.Array) -> Pass:
    def forward(params: Any) -> tuple[jax.Array, Any]:
        (images, _), updated = _apply(gan.generator, params, stats, latents, keys)
        return images, updated

    images, pull, stats = jax.vjp(forward, state.generator_params, has_aux=True)
    return Pass(images, stats, pull)


def _score(
    gan: Gan, state: TrainState, stats: Any, images: jax.Array, draws: Draws, stream: Stream
) -> Pass:
    keys = draws.keys[stream]
    augmentation, noise = (draws.keys[each] for each in PASS_STREAMS[stream])

    def forward(params: Any, images: jax.Array) -> tuple[Scored, Any]:
        images = augment.augment(images, augmentation, gan.loss.augment)
        if gan.loss.instance_noise:
            images = layers.image_noise(images, noise, gan.loss.instance_noise)
        scored, updated = _apply(gan.discriminator, params, stats, images, keys)
        return Scored(*scored), updated

    scored, pull, stats = jax.vjp(forward, state.discriminator_params, images, has_aux=True)
    return Pass(scored, stats, pull)


def _losses(
    gan: Gan, targets: Targets, loss_state: State, real: Scored, fake: Scored, generated: Scored
) -> tuple[Losses, tuple[State, Metrics]]:
    """Both losses; and the loss's next state and metrics, of the images that G is trained with."""
    settings, apply = gan.loss, gan.objective.apply
    against_fake, _, _ = apply(real.scores, fake.scores, loss_state, targets)
    against_generated, state, metrics = apply(real.scores, generated.scores, loss_state, targets)
    discriminator = settings.d_factor * jnp.asarray(against_fake.discriminator)
    generator = settings.g_factor * jnp.asarray(against_generated.generator)
    if gan.match is not None:
        matched = gan.match(real.features, generated.features)
        generator += settings.feature_matching_weight * matched
    if settings.pulling_away:
        generator += settings.pulling_away * penalties.pulling_away(generated.codes)
    return Losses(discriminator, generator), (state, metrics)


def _loss_inputs(gan: Gan) -> tuple[str, ...]:
    """The fields of `Scored` that the losses are computed from, which devices exchange."""
    names = ["scores"]
    if gan.match is not None:
        names.append("features")
    if gan.loss.pulling_away:
        names.append("codes")
    return tuple(names)


def _gather(gan: Gan, share: Scored) -> Scored:
    """The scores of the whole batch from this device's share of them."""
    whole = {name: getattr(share, name) for name in _loss_inputs(gan)}
    return share._replace(**collectives.gather(whole, gan.axis_name))


def _local_share(gan: Gan, cotangents: tuple[Scored, ...]) -> tuple[Scored, ...]:
    """This device's shares of the cotangents of what `_gather` returned."""
    names = _loss_inputs(gan)
    wholes = [{name: getattr(each, name) for name in names} for each in cotangents]
    owns = collectives.local_share(wholes, gan.axis_name)
    return tuple(each._replace(**own) for each, own in zip(cotangents, owns))


def _penalise(
    gan: Gan, state: TrainState, draws: Draws, real: jax.Array, fake: jax.Array
) -> tuple[Any, Metrics]:
    """The gradient of D's penalties by its parameters, and their values: this device's share.

    Penalties are computed on images without augmentation and instance noise, with D in training
    mode. For each level above the lowest of networks that grow, the units of pixels are twice as
    large: a D that sees as much in four times as many pixels has the same penalty.
    """
    unit = 2.0 ** (len(gan.level_starts) - 1 - gan.halvings)
    every, count = gan.loss.penalty_every, len(real) * collectives.axis_size(gan.axis_name)
    done = cosine(gan.ramp, gan.ramp.penalty, count)(state.step) if gan.ramp.images else 1
    weight = every * jnp.asarray(done, real.dtype)
    points = {"real": real, "fake": fake}
    if any(each.at == "between" for each in gan.penalties):
        uniform = jax.vmap(lambda key: jax.random.uniform(key, (), real.dtype))
        share = uniform(draws.keys[Stream.INTERPOLATION])
        points["between"] = penalties.interpolate(real, fake, share)

    def penalty(params: Any) -> tuple[jax.typing.ArrayLike, Metrics]:
        variables, values = {"params": params, "batch_stats": state.discriminator_stats}, {}
        for each in gan.penalties:
            keys = draws.keys[Stream.SCORE_REAL if each.at == "real" else Stream.SCORE_FAKE]

            def critic(x: jax.Array, keys: jax.Array = keys) -> jax.Array:
                return gan.discriminator.apply(variables, unit * x, keys, train=True)[0]

            value = each.weight * jnp.sum(each.function(critic, points[each.at] / unit))
            values[each.name] = weight / count * value
        return sum(values.values()), values

    penalise = jax.grad(penalty, has_aux=True)
    if every == 1:
        return penalise(state.discriminator_params)
    due = state.step % every == 0
    return fusion.compute_or_zeros(due, penalise, state.discriminator_params)


def _score_metrics(gan: Gan, real: Scored, generated: Scored) -> Metrics:
    """How well D separates real from generated images; energies are low for real ones."""
    means = {"real_score": jnp.mean(real.scores), "fake_score": jnp.mean(generated.scores)}
    sign = -1 if gan.energy else 1
    fooled = sign * generated.scores >= sign * real.scores
    return means | {"fooled": jnp.mean(fooled, dtype=real.scores.dtype)}


def compute_gradients(
    state: TrainState, images: jax.Array, draws: Draws, gan: Gan, generator: bool = True
) -> Gradients:
    """Both losses from one forward pass (G(z), then D(x), then D(G(z))), and both gradients.

    D's passes over real and over generated images each normalise with their own batch; both update
    the running statistics, in this order.

    Args:
      state: before the step.
      images: uint8 [N, H, W, C], of the highest level; where devices share a batch, this device's
        part of it.
      draws: everything random in the step, from `draw`.
      gan: the fixed parts of the run.
      generator: whether the generator's gradient is needed.

    Returns:
      The gradients, all at the parameters of `state`, for the whole batch: the same on all devices.
    """
    keys = draws.keys
    g = _generate(gan, state, state.generator_stats, draws.latents, keys[Stream.GENERATOR])
    g_stats, fake_images = g.stats, g.output
    if gan.loss.separate_latents:
        latents, g_keys = draws.discriminator_latents, keys[Stream.GENERATOR_FOR_DISCRIMINATOR]
        fake_images, g_stats, _ = _generate(gan, state, g_stats, latents, g_keys)

    if gan.flips:
        images = augment.flip(images, keys[Stream.FLIP])
    images = scale_images(images, gan.dtype)
    for _ in range(gan.halvings):
        images = pyramid.halve(images)
    real = _score(gan, state, state.discriminator_stats, images, draws, Stream.SCORE_REAL)
    fake = _score(gan, state, real.stats, fake_images, draws, Stream.SCORE_FAKE)
    generated = fake
    if gan.loss.separate_latents:
        generated = _score(gan, state, fake.stats, g.output, draws, Stream.SCORE_GENERATED)

    whole = [_gather(gan, scored.output) for scored in (real, fake, generated)]
    compute = functools.partial(_losses, gan, draws.targets, state.loss_state)
    losses, pull_losses, (loss_state, metrics) = jax.vjp(compute, *whole, has_aux=True)
    one, zero = jnp.ones_like(losses.generator), jnp.zeros_like(losses.generator)
    to_real, to_fake, _ = _local_share(gan, pull_losses(Losses(one, zero)))
    _, _, to_generated = _local_share(gan, pull_losses(Losses(zero, one)))
    g_gradient = g.pull(generated.pull(to_generated)[1])[0] if generator else None
    d_gradient = jax.tree.map(jnp.add, real.pull(to_real)[0], fake.pull(to_fake)[0])
    values = {}
    if gan.penalties:
        gradient, values = _penalise(gan, state, draws, images, fake_images)
        d_gradient = jax.tree.map(jnp.add, d_gradient, gradient)
    # A loss is a mean over the whole batch already: the devices' shares of its gradient add up.
    sums = collectives.psum((g_gradient, d_gradient, values), gan.axis_name)
    g_gradient, d_gradient, values = sums
    losses = losses._replace(discriminator=losses.discriminator + sum(values.values()))
    metrics |= values | _score_metrics(gan, whole[0], whole[2])
    return Gradients(losses, g_gradient, d_gradient, g_stats, generated.stats, loss_state, metrics)
