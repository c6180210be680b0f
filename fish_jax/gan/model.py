"""The fixed parts of a run: both networks, the loss, the optimisers, built from a config."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fish_jax.errors import UserError
from fish_jax.gan.optimizers import build_optimizer
from fish_jax.gan.schedules import Ramp
from fish_jax.gan.settings import Averaging, LossSettings, read_config
from fish_jax.losses import LOSSES
from fish_jax.networks import modules, summary
from fish_jax.networks.spec import PRECISIONS
from fish_jax.utils.config import Config


@dataclasses.dataclass(frozen=True)
class Gan:
    """The parts of a run that no training step changes; hashable, so that `jax.jit` takes it.

    Attributes:
      generator: latents [N, latent_size] to images [N, H, W, 3] in [-1, 1].
      discriminator: images to scores.
      generator_optimizer, discriminator_optimizer: optax transformations.
      loss: settings of the loss.
      averaging: of the generator's weights, or None.
      ramp: the schedule of settings that change during training.
      flips: whether half of the real images are mirrored, drawn anew in each step.
      latent_size: numbers in one latent.
      latent_distribution: "normal", N(0, 1), or "uniform", U(-1, 1).
      image_size: (height, width) in pixels.
      dtype: of parameters, statistics, latents, images and losses; the networks hold the type they
        compute in.
      axis_name: of the devices that share each batch, or None; see `share_batches`.
    """

    generator: modules.Stack
    discriminator: modules.Discriminator
    generator_optimizer: optax.GradientTransformation
    discriminator_optimizer: optax.GradientTransformation
    loss: LossSettings
    averaging: Averaging | None
    ramp: Ramp
    flips: bool
    latent_size: int
    latent_distribution: str
    image_size: tuple[int, int]
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


def _read_precision(name: str, dtype: jax.typing.DTypeLike) -> dict[str, Any]:
    """A network's `dtype`, `param_dtype` and `precision`."""
    computation = jnp.bfloat16 if name == "bfloat16" else dtype
    return dict(dtype=computation, param_dtype=dtype, precision=PRECISIONS[name])


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
    settings = read_config(config)
    loss, image_size = settings.loss, settings.image_size
    arithmetic = _read_precision(settings.precision, dtype)
    discriminator = modules.Discriminator(
        settings.encoder,
        settings.decoder,
        image_size,
        loss.energy,
        bool(settings.decoder) and not LOSSES[loss.name].energy,
        **arithmetic,
    )
    optimizer = functools.partial(build_optimizer, settings.optimizer, ramp=settings.ramp)
    seen = settings.batch_size  # images that D sees between two of its updates
    gan = Gan(
        generator=modules.Stack(settings.generator, image_size, **arithmetic),
        discriminator=discriminator,
        generator_optimizer=optimizer(
            settings.generator_lr, images=seen * loss.discriminator_steps
        ),
        discriminator_optimizer=optimizer(settings.discriminator_lr, images=seen),
        loss=loss,
        averaging=settings.averaging,
        ramp=settings.ramp,
        flips=settings.flips,
        latent_size=settings.latent_size,
        latent_distribution=settings.latent_distribution,
        image_size=image_size,
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


def plan_generator(gan: Gan) -> tuple[summary.LayerPlan, ...]:
    """Shapes, parameters and operations of the generator, one entry for each row."""
    return summary.plan(gan.generator.rows, (gan.latent_size,), gan.image_size)


def plan_discriminator(
    gan: Gan,
) -> tuple[tuple[summary.LayerPlan, ...], tuple[summary.LayerPlan, ...]]:
    """Shapes, parameters and operations of the encoder, and of the decoder or ()."""
    encoder = summary.plan(gan.discriminator.encoder, (*gan.image_size, 3))
    rows = gan.discriminator.decoder
    return encoder, summary.plan(rows, encoder[-1].shape, gan.image_size) if rows else ()
