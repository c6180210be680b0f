"""Losses as people ask for them: a loss, what belongs to it, and the optimiser of its paper."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fish_jax.errors import UserError
from fish_jax.losses.registry import LOSSES
from fish_jax.utils.validation import hint

ADAM = {"name": "keras_adam", "eps": 1e-8}


class Preset(NamedTuple):
    """An entry of `RECIPES`.

    Attributes:
      loss: fields of a config's `loss` section that define it.
      advice: fields of `loss` that its paper trained with, and that are no part of it.
      optimizer: fields of `optimizer`, likewise.
    """

    loss: Mapping[str, Any]
    advice: Mapping[str, Any] = {}
    optimizer: Mapping[str, Any] = {}


# Any name of `LOSSES` is a recipe of itself; these are more than a function of scores.
PRESETS: dict[str, Preset] = {
    "wgan_clip": Preset(
        {"name": "wgan", "clip": 0.01},
        {"discriminator_steps": 5},
        {"name": "rmsprop", "generator_lr": 5e-5, "discriminator_lr": 5e-5},
    ),
    "wgan_gp": Preset(
        {"name": "wgan", "gradient_penalty": 10.0},
        {"discriminator_steps": 5},
        ADAM | {"generator_lr": 1e-4, "discriminator_lr": 1e-4, "b1": 0.0, "b2": 0.9},
    ),
    "rpgan_r1r2": Preset(
        {"name": "rpgan", "r1": 2.0, "r2": 2.0},
        {},
        ADAM | {"generator_lr": 2e-4, "discriminator_lr": 2e-4, "b1": 0.0, "b2": 0.99},
    ),
    "hinge": Preset(
        {"name": "hinge"},
        {},
        ADAM | {"generator_lr": 1e-4, "discriminator_lr": 4e-4, "b1": 0.0, "b2": 0.9},
    ),
}


def has_paper_settings(name: str) -> bool:
    """Whether the paper of a loss, as it is named here, has an optimiser or updates of its own."""
    return name in PRESETS and bool(PRESETS[name].advice or PRESETS[name].optimizer)


def apply_preset(config: ConfigDict, name: str, advised: bool = False) -> ConfigDict:
    """The same run with another loss: networks, data, keys and optimiser stay.

    Args:
      config: of a run; it stays as it is. Companions that it sets for all losses stay too.
      name: of `LOSSES` or `RECIPES`.
      advised: whether the optimiser and the updates of D are those of the loss's paper as well.

    Returns:
      A new config.

    Raises:
      UserError: there is no such loss.
    """
    if name not in {**LOSSES, **PRESETS}:
        raise UserError(f"there is no loss {name!r}{hint(name, {**LOSSES, **PRESETS})}")
    recipe = PRESETS.get(name, Preset({"name": name}))
    config = config.copy_and_resolve_references()
    config.loss.update(recipe.loss)
    if LOSSES[config.loss.name].takes != "targets":
        config.loss.update(real_label=(1.0, 1.0), fake_label=(0.0, 0.0), generator_label=(1.0, 1.0))
    config.loss.separate_latents = config.loss.name == "began"
    if advised:
        config.loss.update(recipe.advice)
        config.optimizer.update(recipe.optimizer)
    return config
