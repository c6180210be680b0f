"""A table of both networks, layer by layer, and the operations of a training step."""

from typing import Any, NamedTuple

import jax

from fish_jax.gan import levels
from fish_jax.gan.model import Gan, plan_discriminator, plan_generator
from fish_jax.networks.adapters import OwnNetwork
from fish_jax.networks.summary import Plan


def _total(rows: Plan, name: str) -> str:
    parameters = sum(row.parameters for row in rows)
    statistics = sum(row.statistics for row in rows)
    flops = sum(row.flops for row in rows)
    return (
        f"{name}: {parameters:,} parameters, {parameters + statistics:,} with normalisation "
        f"statistics, {flops / 1e9:.3f} GFLOP per image\n"
    )


def _table(rows: Plan, title: str) -> str:
    lines = [f"{title}\n  {'layer':<69}{'output':>16}{'parameters':>13}{'MFLOP':>11}"]
    for row in rows:
        shape = " x ".join(map(str, row.shape))
        lines.append(
            f"  {row.name[:2]} {row.text:<66}{shape:>16}{row.parameters:>13,}"
            f"{row.flops / 1e6:>11,.2f}"
        )
    return "\n".join(lines) + "\n"


def _own_table(network: Any, shape: tuple[int, ...]) -> str:
    """The layers of a network that was passed in, which takes inputs of a shape, or ""."""
    if not isinstance(network, OwnNetwork):
        return ""
    return network.table(jax.ShapeDtypeStruct((1, *shape), network.dtype))


def _levels(gan: Gan) -> str:
    """When each level of growing networks starts, its size and the cost of its steps."""
    found = plan_levels(gan)
    lines = [
        f"level {index + 1} of {len(found)}, {level.image_size[0]} x {level.image_size[1]} pixels, "
        f"from image {level.start:,} on: {level.flops / 1e9:.3f} GFLOP per image of a step\n"
        for index, level in enumerate(found)
    ]
    return "\n" + "".join(lines) if len(lines) > 1 else ""


def describe(gan: Gan) -> str:
    """Layer, output shape, parameters and operations of both networks; totals; levels.

    The layers of a network that was passed in are those that `nn.tabulate` finds.
    """
    generator = plan_generator(gan)
    encoder, decoder = plan_discriminator(gan)
    text = _own_table(gan.generator, (gan.latent_size,)) or _table(generator, "generator")
    text += _total(generator, "generator") + "\n"
    if not decoder:
        own = _own_table(gan.discriminator, gan.image_shape)
        text += own or _table(encoder, "discriminator")
        text += _total(encoder, "discriminator")
        return text + _levels(gan)
    text += _table(encoder, "discriminator: encoder") + _total(encoder, "encoder")
    text += _table(decoder, "discriminator: decoder") + _total(decoder, "decoder")
    return text + _total(encoder + decoder, "discriminator")


class Level(NamedTuple):
    """A level that a run trains; networks that do not grow have one.

    Attributes:
      start: images seen when it begins.
      image_size: (height, width) of its images.
      flops: operations of a training step per image.
    """

    start: int
    image_size: tuple[int, int]
    flops: int


def plan_levels(gan: Gan) -> tuple[Level, ...]:
    """The levels that a run trains, the lowest first."""
    gans = [levels.at_level(gan, level) for level in range(len(gan.level_starts))]
    return tuple(
        Level(start, each.image_size, step_flops(each))
        for start, each in zip(gan.level_starts, gans)
    )


def step_flops(gan: Gan) -> int:
    """Floating-point operations of a training step per image, an estimate.

    A backward pass costs twice the forward pass, or once where only the images' gradient is needed.
    A penalty costs a forward pass, a pass back to the images, and a pass back through both.
    """
    generator = sum(row.flops for row in plan_generator(gan))
    discriminator = sum(row.flops for rows in plan_discriminator(gan) for row in rows)
    extra = 1 if gan.loss.separate_latents else 0  # a forward pass of each network
    passes = 7 + extra + 6 * len(gan.penalties) / gan.loss.penalty_every
    return round((3 + extra) * generator + passes * discriminator)
