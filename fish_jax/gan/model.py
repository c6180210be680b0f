"""The fixed parts of a run: both networks, the loss, the optimisers, built from a config."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Unpack

import jax
import jax.numpy as jnp
import optax

from fish_jax.errors import UserError
from fish_jax.gan import settings
from fish_jax.gan.config_schema import check_config
from fish_jax.gan.optimizers import HELD, OptimizerSettings, build_optimizer
from fish_jax.gan.own import Own, Parts, given, read_parts
from fish_jax.gan.schedules import Ramp
from fish_jax.losses import Objective, Penalty
from fish_jax.losses.base import check_objective, check_term
from fish_jax.losses.penalties import FEATURE_MATCHING, PENALTIES, Features, sum_of_squares
from fish_jax.losses.registry import objective_of
from fish_jax.networks import adapters, modules, summary
from fish_jax.networks.adapters import AbsentDiscriminator, OwnDiscriminator, OwnGenerator
from fish_jax.networks.spec import PRECISIONS, Rows, row_levels
from fish_jax.utils.config import Config


@dataclasses.dataclass(frozen=True)
class Gan:
    """The parts of a run that no training step changes; hashable, so that `jax.jit` takes it.

    Attributes:
      generator: latents [N, latent_size] to images [N, H, W, C] in [-1, 1].
      discriminator: images to scores.
      generator_optimizer, discriminator_optimizer: optax transformations.
      objective: the loss of the scores.
      energy: whether scores are energies, low for real images.
      penalties: terms of D's loss that are computed of D at images.
      match: compares features in G's loss, or None.
      loss: settings of the loss, and of what is added to it.
      averaging: the averaging of the generator's weights, or None.
      ramp: the schedule of settings that change during training.
      flips: whether half of the real images are mirrored, drawn anew in each step.
      latent_size: numbers in one latent.
      latent_distribution: "normal", N(0, 1), or "uniform", U(-1, 1).
      image_size: (height, width) in pixels.
      channels: the channels of images: 1, 3 or 4.
      level_starts: images seen when each level of growing networks begins; see `levels`.
      halvings: how often images are halved before these networks see them.
      dtype: the dtype of parameters, statistics, latents, images and losses; the networks hold the
        type they compute in.
      axis_name: the axis name of the devices that share each batch, or None; see `share_batches`.
    """

    generator: modules.Stack | OwnGenerator
    discriminator: modules.Discriminator | OwnDiscriminator | AbsentDiscriminator
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    objective: Objective
    energy: bool
    penalties: tuple[Penalty, ...]
    match: Features | None
    loss: settings.LossSettings
    averaging: settings.Averaging | None
    ramp: Ramp
    flips: bool
    latent_size: int
    latent_distribution: str
    image_size: tuple[int, int]
    channels: int = 3
    level_starts: tuple[int, ...] = (0,)
    halvings: int = 0
    dtype: jax.typing.DTypeLike = jnp.float32
    axis_name: str | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        return (*self.image_size, self.channels)


def share_batches(gan: Gan, axis_name: str) -> Gan:
    """Prepares a `Gan` for steps whose batch several devices share.

    Args:
      gan: the fixed parts of the run.
      axis_name: the axis name of the devices, the argument of `jax.pmap`.

    Returns:
      A `Gan` for `train_step` under that axis; create states and samples with the one given.
    """
    return dataclasses.replace(
        gan,
        generator=gan.generator.clone(axis_name=axis_name),
        discriminator=gan.discriminator.clone(axis_name=axis_name),
        axis_name=axis_name,
    )


def make_gan(config: Config, dtype: jax.typing.DTypeLike = jnp.float32, **own: Unpack[Own]) -> Gan:
    """Builds the networks, the loss and the optimisers that a config describes.

    Args:
      config: as `configs/default.py` makes it.
      dtype: of parameters, statistics, images and losses: float32, or float64 for comparisons to
        many digits. With the precision "bfloat16" the networks compute in bfloat16.
      **own: a loss, networks or optimisers in place of the config's, by the names in `own.Own`.

    Returns:
      The fixed parts of a run.

    Raises:
      UserError: a field whose value cannot work, or a part that a run cannot use, in one sentence.
    """
    check_config(config)
    parts = read_parts(config, own, dtype)
    generator, encoder, decoder = settings.read_networks(config, parts)
    loss = settings.read_loss(config, parts, encoder, decoder)
    level_starts = settings.read_level_starts(config, generator, encoder, decoder)
    optimizer = OptimizerSettings(**config["optimizer"])
    ramp = settings.read_ramp(config["schedule"], optimizer)
    settings.check_optimizers(ramp, parts)
    held = settings.read_freeze(config, parts, encoder, decoder)
    image_size, average = (config["height"], config["width"]), config["average"]
    arithmetic: dict[str, Any] = dict(
        dtype=jnp.bfloat16 if config["precision"] == "bfloat16" else dtype,
        param_dtype=dtype,
        precision=PRECISIONS[config["precision"]],
    )
    negated = bool(decoder) and not parts.loss.energy
    batch, steps = config["batch_size"], loss.discriminator_steps

    def optimizer_of(
        rows: Rows,
        learning_rate: float,
        every: int,
        own: optax.GradientTransformation | None,
        held: int = 0,
    ) -> optax.GradientTransformation:
        """The optimiser of a network that is updated every so many steps, less its held rows."""
        starts = tuple(-(-seen // batch) // every for seen in level_starts)
        levels = row_levels(rows) if len(starts) > 1 else (0,) * len(rows)
        levels = (HELD,) * held + levels[held:]
        return build_optimizer(optimizer, learning_rate, ramp, batch * every, starts, levels, own)

    gan = Gan(
        generator=parts.generator or modules.Stack(generator, image_size, **arithmetic),
        discriminator=parts.discriminator
        or modules.Discriminator(encoder, decoder, image_size, loss.energy, negated, **arithmetic),
        generator_optimizer=optimizer_of(
            generator, optimizer.generator_lr, steps, parts.generator_optimizer
        ),
        discriminator_optimizer=optimizer_of(
            encoder, optimizer.discriminator_lr, 1, parts.discriminator_optimizer, held
        ),
        objective=objective_of(parts.loss, loss),
        energy=parts.loss.energy,
        penalties=_penalties(loss, parts),
        match=parts.feature_matching or FEATURE_MATCHING.get(loss.feature_matching),
        loss=loss,
        averaging=settings.Averaging(**average) if average["half_life"] else None,
        ramp=ramp,
        flips=config["data"]["flips"],
        latent_size=config["latents"]["size"],
        latent_distribution=config["latents"]["distribution"],
        image_size=image_size,
        channels=config["data"]["channels"],
        level_starts=level_starts,
        dtype=dtype,
    )
    _check_shapes(gan, batch)
    _check_terms(gan, given(config, own), batch)
    return gan


def _penalties(loss: settings.LossSettings, parts: Parts) -> tuple[Penalty, ...]:
    """The terms of D's loss that have a weight in the config, and a caller's."""
    weights = {name: getattr(loss, name) for name in PENALTIES}
    of_config = (
        penalty._replace(weight=penalty.weight * weights[name])
        for name, penalty in PENALTIES.items()
        if weights[name]
    )
    return (*of_config, *([parts.penalty] if parts.penalty is not None else []))


def _check_shapes(gan: Gan, batch: int) -> None:
    """Refuses networks that make no images of the config's size, or no scores."""
    if isinstance(gan.generator, OwnGenerator):
        latents = jax.ShapeDtypeStruct((batch, gan.latent_size), gan.dtype)
        made = adapters.outputs(gan.generator, latents)[0].shape[1:]
    else:
        made = plan_generator(gan)[-1].shape
    if made != gan.image_shape:
        raise UserError(
            f"the generator returns the shape {made}, but images need {gan.image_shape}"
        )
    if isinstance(gan.discriminator, OwnDiscriminator):
        _check_critic(gan, gan.discriminator, batch)
        return
    scored, decoded = plan_discriminator(gan)
    if decoded and decoded[-1].shape != made:
        raise UserError(
            f"the decoder returns the shape {decoded[-1].shape}, but images need {made}"
        )
    if scored and not decoded and scored[-1].shape != (1,):
        raise UserError(
            f"the discriminator ends with the shape {scored[-1].shape}; it must end with dense 1"
        )


def _check_terms(gan: Gan, given: Mapping[str, Any], batch: int) -> None:
    """Refuses a caller's loss, penalty, feature matching or optimiser that a step cannot use."""
    if "loss" in given:
        check_objective(gan.loss.name, gan.objective, batch, gan.dtype)
    if "penalty" in given:
        each, images = gan.penalties[-1].function, images_of(gan, batch)
        check_term("penalty", lambda x: each(sum_of_squares, x), (batch,), images)
    if "feature_matching" in given and gan.match is not None:
        features = features_of(gan, batch)
        check_term("feature_matching", gan.match, (), features, features)
    latents = jax.ShapeDtypeStruct((1, gan.latent_size), gan.dtype)
    for role, inputs in (("generator", latents), ("discriminator", images_of(gan, 1))):
        if f"{role}_optimizer" in given:
            params = adapters.variables_of(getattr(gan, role), inputs)["params"]
            _check_optimizer(role, given[f"{role}_optimizer"], params)


def _check_optimizer(role: str, optimizer: optax.GradientTransformation, params: Any) -> None:
    """Refuses a caller's optimiser that needs more than gradients and parameters."""
    update: Any = lambda params: optimizer.update(params, optimizer.init(params), params)
    try:
        jax.eval_shape(update, params)
    except TypeError as error:
        raise UserError(
            f"{role}_optimizer cannot be used here: its update must need only gradients, state "
            f"and parameters ({error})"
        ) from error


def features_of(gan: Gan, batch: int) -> Any:
    """Shape and type of the discriminator's features of a batch, [batch, ...]."""
    network: Any = gan.discriminator
    images, apply = images_of(gan, batch), lambda *given: network.apply(*given)[1]
    return jax.eval_shape(apply, adapters.variables_of(network, images), images)


def images_of(gan: Gan, batch: int) -> jax.ShapeDtypeStruct:
    """Shape and type of a batch of images."""
    return jax.ShapeDtypeStruct((batch, *gan.image_shape), gan.dtype)


def _check_critic(gan: Gan, network: OwnDiscriminator, batch: int) -> None:
    """Refuses a caller's discriminator without the features or codes that the loss needs."""
    _, features, codes = adapters.outputs(network, images_of(gan, batch))
    weighed = [each.name for each in gan.penalties if each.name in PENALTIES]
    if weighed and adapters.has_batch_norm(network, images_of(gan, batch)):
        raise UserError(
            f"loss.{weighed[0]} is not 0, but the discriminator {network.name} has batch "
            "normalisation, so an image's score has no gradient of its own; use another "
            "normalisation, such as nn.SpectralNorm, or set that field to 0"
        )
    for field, wanted, found in (
        ("feature matching", gan.match is not None, features),
        ("loss.pulling_away", gan.loss.pulling_away > 0, codes),
    ):
        if wanted and found == ():
            raise UserError(
                f"{field} needs a discriminator that returns (scores, features, codes); "
                f"{network.name} does not. Return them, or leave {field} out"
            )


def plan_generator(gan: Gan) -> summary.Plan:
    """Shapes, parameters and operations of the generator, one entry for each row it computes.

    A network that was passed in is one row.
    """
    network = gan.generator
    if isinstance(network, OwnGenerator):
        return adapters.plan(network, jax.ShapeDtypeStruct((1, gan.latent_size), gan.dtype))
    return summary.plan(network.rows, (gan.latent_size,), network.image_size)[: network.stop]


def plan_discriminator(gan: Gan) -> tuple[summary.Plan, summary.Plan]:
    """Shapes, parameters and operations of the encoder, and of the decoder or ().

    A network that was passed in is one row.
    """
    network = gan.discriminator
    if isinstance(network, OwnDiscriminator):
        return adapters.plan(network, images_of(gan, 1)), ()
    if isinstance(network, AbsentDiscriminator):
        return (), ()
    encoder = summary.plan(network.encoder, gan.image_shape)[network.start :]
    rows = network.decoder
    return encoder, summary.plan(rows, encoder[-1].shape, network.image_size) if rows else ()
