"""The fixed parts of a run: both networks, the loss, the optimisers, read from a config."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from fish_jax.data import augment
from fish_jax.errors import UserError
from fish_jax.gan.config_schema import check_config
from fish_jax.gan.optimizers import make_optimizer
from fish_jax.gan.schedules import Ramp
from fish_jax.losses import LOSSES
from fish_jax.losses.penalties import PENALTIES
from fish_jax.networks import modules, spec, summary
from fish_jax.networks.spec import PRECISIONS


@dataclasses.dataclass(frozen=True)
class LossSettings:
    """The `loss` section of a config; see configs/default.py for its fields."""

    name: str
    d_factor: float
    g_factor: float
    real_label: tuple[float, float]
    fake_label: tuple[float, float]
    generator_label: tuple[float, float]
    separate_latents: bool
    feature_matching: str
    feature_matching_weight: float
    gamma: float
    lambda_k: float
    energy: str
    margin: float
    pulling_away: float
    gradient_penalty: float
    r1: float
    r2: float
    penalty_every: int
    clip: float
    instance_noise: float
    augment: tuple[str, ...]
    discriminator_steps: int


@dataclasses.dataclass(frozen=True)
class Averaging:
    """The `average` section of a config; see `averaging`."""

    half_life: float
    ramp_up: float


@dataclasses.dataclass(frozen=True)
class Gan:
    """The parts of a run that no step changes.

    Attributes:
      generator: latents [N, latent_size] to images [N, H, W, 3] in [-1, 1].
      discriminator: images to scores.
      generator_optimizer, discriminator_optimizer: optax transformations.
      loss: settings of the loss.
      averaging: of the generator's weights, or None.
      ramp: what changes in the course of training.
      flips: whether half of the real images are mirrored, each time anew.
      latent_size: numbers in one latent.
      latent_distribution: "normal", N(0, 1), or "uniform", U(-1, 1).
      image_size: (height, width) in pixels.
      dtype: of parameters, statistics, latents, images and losses; the networks know in which
        they compute.
      axis_name: of the devices that share each batch, or None: see `share_batches`.
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
    """The same run for steps that several devices compute together, each on its part of a batch.

    Args:
      gan: the fixed parts of the run.
      axis_name: of the devices, as `jax.pmap` has it.

    Returns:
      A `Gan` for `train_step` under that axis; initial states and samples are made with the first.
    """
    return dataclasses.replace(
        gan,
        generator=gan.generator.clone(axis_name=axis_name),
        discriminator=gan.discriminator.clone(axis_name=axis_name),
        axis_name=axis_name,
    )


def _read_loss(section: Mapping[str, Any]) -> LossSettings:
    values = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in section.items()}
    return LossSettings(**values | {"augment": augment.read_policy(section["augment"])})


def _read_averaging(section: Mapping[str, Any]) -> Averaging | None:
    return Averaging(**section) if section["half_life"] else None


def _read_ramp(section: Mapping[str, Any]) -> Ramp:
    shares = ("learning_rate", "forgetting", "penalty")
    for name in shares:
        if section[name] != 1 and not section["images"]:
            raise UserError(
                f"schedule.{name} is {section[name]}, but schedule.images is 0, so that nothing "
                f"changes; set schedule.images to those that D sees until then, or schedule.{name} "
                "to 1"
            )
    if section["images"] and all(section[name] == 1 for name in shares):
        raise UserError(
            f"schedule.images is {section['images']}, but schedule.{', '.join(shares[:-1])} and "
            f"{shares[-1]} are all 1, so that nothing changes; set one of them below 1, such as "
            "schedule.learning_rate=0.1, or schedule.images to 0"
        )
    return Ramp(**section)


def _check_loss(loss: LossSettings, discriminator: modules.Discriminator, batch: int) -> None:
    """Refuses what the mathematics does not allow."""
    if LOSSES[loss.name].energy and not discriminator.decoder:
        raise UserError(
            f"loss {loss.name} needs an autoencoder: give discriminator.decoder its layers"
        )
    if loss.pulling_away and not (discriminator.decoder and batch > 1):
        raise UserError(
            "loss.pulling_away compares the codes of an autoencoder: give discriminator.decoder "
            "its layers and batch_size at least 2, or leave it at 0"
        )
    labels = (loss.real_label, loss.fake_label, loss.generator_label)
    if LOSSES[loss.name].takes != "targets" and labels != ((1.0, 1.0), (0.0, 0.0), (1.0, 1.0)):
        raise UserError(f"loss {loss.name} takes no labels; leave loss.*_label at their defaults")
    normed = [row.norm == "batch" for row in (*discriminator.encoder, *discriminator.decoder)]
    for name in PENALTIES:
        if getattr(loss, name) and any(normed):
            raise UserError(
                f"loss.{name} is {getattr(loss, name)}, but the discriminator has batch "
                "normalisation, with which an image's score has no gradient of its own; set "
                "discriminator.norm to none (and of rows that have their own), or loss."
                f"{name} to 0"
            )


def _read_precision(name: str, dtype: jax.typing.DTypeLike) -> dict[str, Any]:
    """A network's `dtype`, `param_dtype` and `precision`."""
    computation = jnp.bfloat16 if name == "bfloat16" else dtype
    return dict(dtype=computation, param_dtype=dtype, precision=PRECISIONS[name])


def make_gan(config: Mapping[str, Any], dtype: jax.typing.DTypeLike = jnp.float32) -> Gan:
    """Builds and checks what a config describes.

    Args:
      config: as `configs/default.py` makes it.
      dtype: float32, or float64 for comparisons to many digits: of everything but the networks'
        arithmetic, and of that too unless `precision` is "bfloat16".

    Returns:
      The fixed parts of a run.

    Raises:
      UserError: a field whose value cannot work, in one sentence.
    """
    check_config(config)
    image_size = (config["height"], config["width"])
    latents = config["latents"]
    for name in ("generator", "discriminator"):
        if not config[name]["layers"]:
            raise UserError(f"{name}.layers is empty; give it rows")
    arithmetic = _read_precision(config["precision"], dtype)
    loss, table = _read_loss(config["loss"]), config["discriminator"]
    encoder = {name: value for name, value in table.items() if name != "decoder"}
    decoder = {**encoder, "layers": table["decoder"]}
    discriminator = modules.Discriminator(
        spec.read_table(encoder, "discriminator"),
        spec.read_table(decoder, "discriminator.decoder"),
        image_size,
        loss.energy,
        bool(table["decoder"]) and not LOSSES[loss.name].energy,
        **arithmetic,
    )
    _check_loss(loss, discriminator, config["batch_size"])
    ramp = _read_ramp(config["schedule"])
    optimizer, batch = config["optimizer"], config["batch_size"]
    pace = batch * loss.discriminator_steps  # images that D sees between two updates of G
    gan = Gan(
        generator=modules.Stack(
            spec.read_table(config["generator"], "generator"), image_size, **arithmetic
        ),
        discriminator=discriminator,
        generator_optimizer=make_optimizer(optimizer, optimizer["generator_lr"], ramp, pace),
        discriminator_optimizer=make_optimizer(
            optimizer, optimizer["discriminator_lr"], ramp, batch
        ),
        loss=loss,
        averaging=_read_averaging(config["average"]),
        ramp=ramp,
        flips=config["data"]["flips"],
        latent_size=latents["size"],
        latent_distribution=latents["distribution"],
        image_size=image_size,
        dtype=dtype,
    )
    _check_shapes(gan)
    return gan


def _check_shapes(gan: Gan) -> None:
    made = plan_generator(gan)[-1].shape
    if made != (*gan.image_size, 3):
        raise UserError(f"the generator makes {made}, not images of {(*gan.image_size, 3)}")
    scored, decoded = plan_discriminator(gan)
    if decoded and decoded[-1].shape != made:
        raise UserError(f"the decoder makes {decoded[-1].shape}, not images of {made}")
    if not decoded and scored[-1].shape != (1,):
        raise UserError(f"the discriminator ends with {scored[-1].shape}; it must end with dense 1")


def plan_generator(gan: Gan) -> tuple[summary.LayerPlan, ...]:
    """Shapes, parameters and operations of the generator, row by row."""
    return summary.plan(gan.generator.rows, (gan.latent_size,), gan.image_size)


def plan_discriminator(
    gan: Gan,
) -> tuple[tuple[summary.LayerPlan, ...], tuple[summary.LayerPlan, ...]]:
    """The same for the discriminator: its encoder, and its decoder or nothing."""
    encoder = summary.plan(gan.discriminator.encoder, (*gan.image_size, 3))
    rows = gan.discriminator.decoder
    return encoder, summary.plan(rows, encoder[-1].shape, gan.image_size) if rows else ()
