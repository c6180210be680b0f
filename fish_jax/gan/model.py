"""The fixed parts of a run: both networks, the loss, the optimisers, built from a config."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fish_jax.errors import UserError
from fish_jax.gan import settings
from fish_jax.gan.config_schema import check_config
from fish_jax.gan.optimizers import OptimizerSettings, build_optimizer
from fish_jax.gan.schedules import Ramp
from fish_jax.losses import LOSSES, Objective
from fish_jax.networks import modules, summary
from fish_jax.networks.spec import PRECISIONS, Rows, row_levels
from fish_jax.utils.config import Config


@dataclasses.dataclass(frozen=True)
class Gan:
    """The parts of a run that no training step changes; hashable, so that `jax.jit` takes it.

    Attributes:
      generator: latents [N, latent_size] to images [N, H, W, 3] in [-1, 1].
      discriminator: images to scores.
      generator_optimizer, discriminator_optimizer: optax transformations.
      objective: the loss of the scores.
      energy: whether scores are energies, low for real images.
      loss: settings of the loss, and of what is added to it.
      averaging: of the generator's weights, or None.
      ramp: the schedule of settings that change during training.
      flips: whether half of the real images are mirrored, drawn anew in each step.
      latent_size: numbers in one latent.
      latent_distribution: "normal", N(0, 1), or "uniform", U(-1, 1).
      image_size: (height, width) in pixels.
      level_starts: images seen when each level of growing networks begins; see `levels`.
      halvings: how often images are halved before these networks see them.
      dtype: of parameters, statistics, latents, images and losses; the networks hold the type they
        compute in.
      axis_name: of the devices that share each batch, or None; see `share_batches`.
    """

    generator: modules.Stack
    discriminator: modules.Discriminator
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    objective: Objective
    energy: bool
    loss: settings.LossSettings
    averaging: settings.Averaging | None
    ramp: Ramp
    flips: bool
    latent_size: int
    latent_distribution: str
    image_size: tuple[int, int]
    level_starts: tuple[int, ...] = (0,)
    halvings: int = 0
    dtype: jax.typing.DTypeLike = jnp.float32
    axis_name: str | None = None


def share_batches(gan: Gan, axis_name: str) -> Gan:
    """Prepares a `Gan` for steps whose batch several devices share.

    Args:
      gan: the fixed parts of the run.
      axis_name: of the devices, the argument of `jax.pmap`.

    Returns:
      A `Gan` for `train_step` under that axis; create states and samples with the one given.
    """
    return dataclasses.replace(
        gan,
        generator=gan.generator.clone(axis_name=axis_name),
        discriminator=gan.discriminator.clone(axis_name=axis_name),
        axis_name=axis_name,
    )


def make_gan(config: Config, dtype: jax.typing.DTypeLike = jnp.float32) -> Gan:
    """Builds the networks, the loss and the optimisers that a config describes.

    Args:
      config: as `configs/default.py` makes it.
      dtype: float32, or float64 for comparisons to many digits; it is the type of everything, but
        of the networks' arithmetic where `precision` is "bfloat16".

    Returns:
      The fixed parts of a run.

    Raises:
      UserError: a field whose value cannot work, in one sentence.
    """
    check_config(config)
    generator, encoder, decoder = settings.read_networks(config)
    loss = settings.read_loss(config, encoder, decoder)
    level_starts = settings.read_level_starts(config, generator, encoder, decoder)
    optimizer = OptimizerSettings(**config["optimizer"])
    ramp = settings.read_ramp(config["schedule"], optimizer)
    image_size, average = (config["height"], config["width"]), config["average"]
    arithmetic: dict[str, Any] = dict(
        dtype=jnp.bfloat16 if config["precision"] == "bfloat16" else dtype,
        param_dtype=dtype,
        precision=PRECISIONS[config["precision"]],
    )
    entry = LOSSES[loss.name]
    negated = bool(decoder) and not entry.energy
    batch, steps = config["batch_size"], loss.discriminator_steps

    def optimizer_of(rows: Rows, learning_rate: float, every: int) -> optax.GradientTransformation:
        """The optimiser of a network that is updated every so many steps."""
        starts = tuple(-(-seen // batch) // every for seen in level_starts)
        levels = row_levels(rows) if len(starts) > 1 else ()
        return build_optimizer(optimizer, learning_rate, ramp, batch * every, starts, levels)

    gan = Gan(
        generator=modules.Stack(generator, image_size, **arithmetic),
        discriminator=modules.Discriminator(
            encoder, decoder, image_size, loss.energy, negated, **arithmetic
        ),
        generator_optimizer=optimizer_of(generator, optimizer.generator_lr, steps),
        discriminator_optimizer=optimizer_of(encoder, optimizer.discriminator_lr, 1),
        objective=entry.make(loss),
        energy=entry.energy,
        loss=loss,
        averaging=settings.Averaging(**average) if average["half_life"] else None,
        ramp=ramp,
        flips=config["data"]["flips"],
        latent_size=config["latents"]["size"],
        latent_distribution=config["latents"]["distribution"],
        image_size=image_size,
        level_starts=level_starts,
        dtype=dtype,
    )
    _check_shapes(gan)
    return gan


def _check_shapes(gan: Gan) -> None:
    """Refuses networks that make no images of the config's size, or no scores."""
    made = plan_generator(gan)[-1].shape
    if made != (*gan.image_size, 3):
        raise UserError(f"the generator makes {made}, not images of {(*gan.image_size, 3)}")
    scored, decoded = plan_discriminator(gan)
    if decoded and decoded[-1].shape != made:
        raise UserError(f"the decoder makes {decoded[-1].shape}, not images of {made}")
    if not decoded and scored[-1].shape != (1,):
        raise UserError(f"the discriminator ends with {scored[-1].shape}; it must end with dense 1")


def plan_generator(gan: Gan) -> summary.Plan:
    """Shapes, parameters and operations of the generator, one entry for each row it computes."""
    network = gan.generator
    return summary.plan(network.rows, (gan.latent_size,), network.image_size)[: network.stop]


def plan_discriminator(gan: Gan) -> tuple[summary.Plan, summary.Plan]:
    """Shapes, parameters and operations of the encoder, and of the decoder or ()."""
    network = gan.discriminator
    encoder = summary.plan(network.encoder, (*network.image_size, 3))[network.start :]
    rows = network.decoder
    return encoder, summary.plan(rows, encoder[-1].shape, network.image_size) if rows else ()
