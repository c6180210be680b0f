"""Sections of a config as typed values, checked against each other."""

import dataclasses
import itertools
from typing import Any

from fish_jax.data import augment
from fish_jax.errors import UserError
from fish_jax.gan.optimizers import OptimizerSettings
from fish_jax.gan.own import Parts
from fish_jax.gan.schedules import Ramp
from fish_jax.losses import Loss
from fish_jax.losses.penalties import PENALTIES
from fish_jax.networks.spec import KERNEL_OPS, Rows, image_rows, read_rows, with_channels
from fish_jax.utils import validation
from fish_jax.utils.config import Config

LABELS = ((1.0, 1.0), (0.0, 0.0), (1.0, 1.0))  # of a loss that takes none
# The network that a row of an image belongs to.
NETWORK_OF = {"to_image": "a generator", "from_image": "a discriminator without a decoder"}


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


def read_networks(config: Config, parts: Parts) -> tuple[Rows, Rows, Rows]:
    """The rows of the generator, of the discriminator, and of its decoder or none.

    Args:
      config: that `config_schema.check_config` accepts.
      parts: the parts of the run; a network that was passed in has no rows.

    Returns:
      Three layer tables; where there is a decoder, the second is of the encoder.

    Raises:
      UserError: a table is empty, or a row is wrong.
    """
    channels = config["data"]["channels"]
    maker = _read_table(config, "generator") if parts.generator is None else ()
    generator = with_channels(maker, channels)
    if parts.discriminator is not None:
        return generator, (), ()
    encoder, table = _read_table(config, "discriminator"), config["discriminator"]
    decoder = read_rows(table["decoder"], table, "discriminator.decoder")
    return generator, encoder, with_channels(decoder, channels)


def _read_table(config: Config, name: str) -> Rows:
    table = config[name]
    if not table["layers"]:
        raise UserError(f"{name}.layers is empty; give it rows")
    return read_rows(table["layers"], table, f"{name}.layers")


def read_level_starts(
    config: Config, generator: Rows, encoder: Rows, decoder: Rows
) -> tuple[int, ...]:
    """The images that D has seen when each level of growing networks begins; (0,) for others.

    Raises:
      UserError: neither `images` nor `epochs` is given; or the rows do not make these levels.
    """
    images = tuple(config["images"])
    if not images and not config["epochs"]:
        raise UserError(
            "epochs is 0 and images is (), so there is nothing to train; set epochs (passes over "
            "the images) or images (the number that D sees at each level)"
        )
    _check_levels(generator, encoder, decoder)
    if not images:
        return (0,)
    levels = len(image_rows(generator))
    if not len(images) == levels == len(image_rows(encoder)):
        raise UserError(
            f"images is {images}, but the generator has {levels} "
            f"to_image rows and the discriminator {len(image_rows(encoder))} from_image rows; "
            "give one number per level, or () for networks that do not grow"
        )
    _check_seams(generator, encoder)
    return (0, *itertools.accumulate(images[:-1]))


def _check_seams(generator: Rows, encoder: Rows) -> None:
    """Refuses levels that would change what networks compute at the moment they are added."""
    joins = [("generator", generator, index) for index in image_rows(generator)[1:]]
    joins += [("discriminator", encoder, index - 1) for index in image_rows(encoder)[1:]]
    for name, rows, index in joins:
        row = rows[index]
        if row.kernel_init != "zeros" or row.norm != "none" or row.op not in KERNEL_OPS:
            raise UserError(
                f"{name}.layers[{index}] ({row.op}) joins a level to the trained level below: it "
                'needs a kernel, kernel_init="zeros" and norm="none"'
            )


def _check_levels(generator: Rows, encoder: Rows, decoder: Rows) -> None:
    """Refuses image rows at places where they would have no effect."""
    tables = {
        "generator.layers": (generator, "to_image"),
        "discriminator.layers": (encoder, "" if decoder else "from_image"),
        "discriminator.decoder": (decoder, ""),
    }
    for name, (rows, allowed) in tables.items():
        for index in image_rows(rows):
            if rows[index].op != allowed:
                op = rows[index].op
                raise UserError(
                    f"{name}[{index}] is {op}, which belongs in {NETWORK_OF[op]}; remove it"
                )
    ends, begins = image_rows(generator), image_rows(encoder)
    if ends and ends[-1] != len(generator) - 1:
        raise UserError(
            f"generator.layers[{ends[-1]}] is the last to_image, so it must be the last row"
        )
    if begins and begins[0]:
        raise UserError(
            f"discriminator.layers[{begins[0]}] is the first from_image, so it must be the first "
            "row"
        )


def read_freeze(config: Config, parts: Parts, encoder: Rows, decoder: Rows) -> int:
    """The number of the discriminator's first rows that are frozen (FreezeD).

    Raises:
      UserError: none of its rows would be left to train, or it has none.

    References:
      Mo et al., Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs, 2020,
      https://arxiv.org/abs/2002.10964
    """
    held = config["freeze"]
    if held and parts.discriminator is not None:
        raise UserError(
            f"freeze is {held}, but only layer tables can be frozen, and this discriminator is a "
            "module of yours; set freeze to 0"
        )
    trained = [index for index, row in enumerate(encoder) if row.op in KERNEL_OPS]
    most = len(encoder) if decoder else max(trained, default=0)
    if held > most:
        raise UserError(
            f"freeze is {held}, which leaves none of the discriminator's {len(encoder)} rows to "
            f"train; freeze at most {most}"
        )
    return held


def read_loss(config: Config, parts: Parts, encoder: Rows, decoder: Rows) -> LossSettings:
    """The `loss` section of a config, checked against the rows of the discriminator.

    Args:
      config: that `config_schema.check_config` accepts.
      parts: the parts of the run; its loss decides the name.
      encoder, decoder: from `read_networks`.

    Raises:
      UserError: the mathematics does not allow this loss with this discriminator.
    """
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, (list, tuple)) else value
        for name, value in config["loss"].items()
    }
    values["augment"] = augment.read_policy(values["augment"])
    values["name"] = parts.loss.name or values["name"]
    loss = LossSettings(**values)
    if parts.discriminator is None:
        _check_loss(loss, parts.loss, encoder, decoder, config["batch_size"])
    if not parts.loss.labels and (loss.real_label, loss.fake_label, loss.generator_label) != LABELS:
        raise UserError(f"loss {loss.name} uses no labels; leave loss.*_label at their defaults")
    return loss


def read_ramp(section: Config, optimizer: OptimizerSettings) -> Ramp:
    """The `schedule` section of a config, checked against the optimiser.

    Raises:
      UserError: nothing changes, the optimiser has no b2 to change, or b2 leaves its range.
    """
    ramp, shares = Ramp(**section), ("learning_rate", "forgetting", "penalty")
    changing = [name for name in shares if section[name] != 1]
    if changing and not ramp.images:
        name = changing[0]
        raise UserError(
            f"schedule.{name} is {section[name]}, but schedule.images is 0, so nothing changes; "
            "set schedule.images to the number of images over which it changes, or "
            f"schedule.{name} to 1"
        )
    if not ramp.images:
        return ramp
    if not changing:
        raise UserError(
            f"schedule.images is {ramp.images}, but schedule.{', '.join(shares[:-1])} and "
            f"{shares[-1]} are all 1, so nothing changes; set one of them below 1, such as "
            "schedule.learning_rate=0.1, or schedule.images to 0"
        )
    if ramp.forgetting != 1 and not optimizer.name.endswith("adam"):
        raise UserError(
            f"schedule.forgetting is {ramp.forgetting} and changes Adam's b2, but optimizer.name "
            f"is {optimizer.name}; set schedule.forgetting to 1 or optimizer.name to adam"
        )
    last = 1 - (1 - optimizer.b2) * ramp.forgetting
    validation.check("b2 at the end of schedule.forgetting", last, validation.SHARE)
    return ramp


def check_optimizers(ramp: Ramp, parts: Parts) -> None:
    """Refuses a schedule that an optimiser passed by the caller would not follow."""
    for name in ("generator_optimizer", "discriminator_optimizer"):
        if getattr(parts, name) is not None and (ramp.learning_rate, ramp.forgetting) != (1, 1):
            raise UserError(
                "schedule.learning_rate and schedule.forgetting change the config's optimiser, "
                f"but {name} was passed from Python; set both to 1, and use an optax schedule in "
                f"{name}"
            )


def _check_loss(
    loss: LossSettings, entry: Loss, encoder: Rows, decoder: Rows, batch_size: int
) -> None:
    """Refuses a loss that the mathematics does not allow with this discriminator."""
    if entry.energy and not decoder:
        raise UserError(
            f"loss {loss.name} needs an autoencoder: give discriminator.decoder its layers"
        )
    if loss.pulling_away and not (decoder and batch_size > 1):
        raise UserError(
            "loss.pulling_away compares the codes of an autoencoder: give discriminator.decoder "
            "its layers and set batch_size to at least 2, or set loss.pulling_away to 0"
        )
    normalised = any(row.norm == "batch" for row in (*encoder, *decoder))
    for name in PENALTIES:
        if getattr(loss, name) and normalised:
            raise UserError(
                f"loss.{name} is {getattr(loss, name)}, but the discriminator has batch "
                "normalisation, so an image's score has no gradient of its own; set "
                f"discriminator.norm to none (and the norm of its rows), or loss.{name} to 0"
            )
