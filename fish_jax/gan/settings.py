"""A config as typed values: checked once, field by field and all together."""

import dataclasses
from typing import Any, NamedTuple

from fish_jax.data import augment
from fish_jax.errors import UserError
from fish_jax.gan import optimizers
from fish_jax.gan.config_schema import check_config
from fish_jax.gan.optimizers import OptimizerSettings
from fish_jax.gan.schedules import Ramp
from fish_jax.losses import LOSSES
from fish_jax.losses.penalties import PENALTIES
from fish_jax.networks import spec
from fish_jax.networks.spec import Row
from fish_jax.utils.config import Config


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
    """The `average` section of a config: the half-life of the generator's average, see `ema`."""

    half_life: float
    ramp_up: float


class Settings(NamedTuple):
    """A checked config, as far as `model.make_gan` needs it.

    Attributes:
      image_size: (height, width) in pixels.
      batch_size: images per step.
      precision: a key of `spec.PRECISIONS`.
      latent_size: numbers in one latent.
      latent_distribution: "normal" or "uniform".
      flips: whether half of the real images are mirrored.
      generator: rows of the generator.
      encoder: rows of the discriminator, or of its encoder where it has a decoder.
      decoder: rows of the discriminator's decoder, or none.
      loss: the `loss` section.
      averaging: the `average` section, or None where its half-life is 0.
      ramp: the `schedule` section.
      optimizer: the `optimizer` section without its learning rates.
      generator_lr: the generator's learning rate at the beginning.
      discriminator_lr: the discriminator's.
    """

    image_size: tuple[int, int]
    batch_size: int
    precision: str
    latent_size: int
    latent_distribution: str
    flips: bool
    generator: tuple[Row, ...]
    encoder: tuple[Row, ...]
    decoder: tuple[Row, ...]
    loss: LossSettings
    averaging: Averaging | None
    ramp: Ramp
    optimizer: OptimizerSettings
    generator_lr: float
    discriminator_lr: float


def read_config(config: Config) -> Settings:
    """Checks a config and returns its sections as typed values.

    Args:
      config: as `configs/default.py` makes it.

    Returns:
      The settings, each on its own and all together such that a run can be built of them, as long
      as the shapes of its layers fit.

    Raises:
      UserError: the first field that is wrong, in one sentence.
    """
    check_config(config)
    generator, discriminator = config["generator"], config["discriminator"]
    for name, table in (("generator", generator), ("discriminator", discriminator)):
        if not table["layers"]:
            raise UserError(f"{name}.layers is empty; give it rows")
    loss = _read_loss(config["loss"])
    encoder = spec.read_rows(discriminator["layers"], discriminator, "discriminator")
    decoder = spec.read_rows(discriminator["decoder"], discriminator, "discriminator.decoder")
    _check_loss(loss, encoder, decoder, config["batch_size"])
    ramp = _read_ramp(config["schedule"])
    rows = spec.read_rows(generator["layers"], generator, "generator")
    optimizer = optimizers.read_settings(config["optimizer"])
    optimizers.check_ramp(optimizer, ramp)
    return Settings(
        image_size=(config["height"], config["width"]),
        batch_size=config["batch_size"],
        precision=config["precision"],
        latent_size=config["latents"]["size"],
        latent_distribution=config["latents"]["distribution"],
        flips=config["data"]["flips"],
        generator=rows,
        encoder=encoder,
        decoder=decoder,
        loss=loss,
        averaging=_read_averaging(config["average"]),
        ramp=ramp,
        optimizer=optimizer,
        generator_lr=config["optimizer"]["generator_lr"],
        discriminator_lr=config["optimizer"]["discriminator_lr"],
    )


def _read_loss(section: Config) -> LossSettings:
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in section.items()
    }
    values["augment"] = augment.read_policy(section["augment"])
    return LossSettings(**values)


def _read_averaging(section: Config) -> Averaging | None:
    return Averaging(**section) if section["half_life"] else None


def _read_ramp(section: Config) -> Ramp:
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


def _check_loss(
    loss: LossSettings, encoder: tuple[Row, ...], decoder: tuple[Row, ...], batch_size: int
) -> None:
    """Refuses a loss that the mathematics does not allow with this discriminator."""
    if LOSSES[loss.name].energy and not decoder:
        raise UserError(
            f"loss {loss.name} needs an autoencoder: give discriminator.decoder its layers"
        )
    if loss.pulling_away and not (decoder and batch_size > 1):
        raise UserError(
            "loss.pulling_away compares the codes of an autoencoder: give discriminator.decoder "
            "its layers and batch_size at least 2, or leave it at 0"
        )
    labels = (loss.real_label, loss.fake_label, loss.generator_label)
    if LOSSES[loss.name].takes != "targets" and labels != ((1.0, 1.0), (0.0, 0.0), (1.0, 1.0)):
        raise UserError(f"loss {loss.name} takes no labels; leave loss.*_label at their defaults")
    normalised = any(row.norm == "batch" for row in (*encoder, *decoder))
    for name in PENALTIES:
        if getattr(loss, name) and normalised:
            raise UserError(
                f"loss.{name} is {getattr(loss, name)}, but the discriminator has batch "
                "normalisation, with which an image's score has no gradient of its own; set "
                "discriminator.norm to none (and of rows that have their own), or loss."
                f"{name} to 0"
            )
