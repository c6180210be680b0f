"""Presets: losses with their penalties, and the training settings of their papers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fish_jax.errors import UserError
from fish_jax.losses.registry import LOSSES, Loss
from fish_jax.utils.validation import hint

ADAM = {"name": "keras_adam", "eps": 1e-8}
LABELS = {"real_label": (1.0, 1.0), "fake_label": (0.0, 0.0), "generator_label": (1.0, 1.0)}


class Preset(NamedTuple):
    """An entry of `PRESETS`.

    Attributes:
      loss: fields of a config's `loss` section that define the preset.
      advice: fields of `loss` that the paper trained with, beside those that define it.
      optimizer: fields of a config's `optimizer` section that the paper trained with.
    """

    loss: Mapping[str, Any]
    advice: Mapping[str, Any] = {}
    optimizer: Mapping[str, Any] = {}


# Any name of `LOSSES` is a preset too; these have penalties, or settings of their paper.
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
    "began": Preset({"name": "began", "separate_latents": True}),
}


def has_paper_settings(name: Any) -> bool:
    """Whether a preset has an optimiser or a number of updates of its paper; no other loss has."""
    return (
        isinstance(name, str)
        and name in PRESETS
        and bool(PRESETS[name].advice or PRESETS[name].optimizer)
    )


def apply_preset(config: ConfigDict, name: str, advised: bool = False) -> ConfigDict:
    """Copies a config with another loss: networks, data, keys and optimiser stay.

    Args:
      config: the config of a run; it is not changed. Penalties that it sets apply to the new loss
        as well.
      name: a key of `LOSSES` or `PRESETS`.
      advised: whether to take the optimiser and the number of D's updates from the paper too.

    Returns:
      A new config.

    Raises:
      UserError: there is no such loss.
    """
    known = {**LOSSES, **PRESETS}
    if name not in known:
        raise UserError(f"there is no loss {name!r}{hint(name, known)}")
    preset = PRESETS.get(name, Preset({"name": name}))
    config = without_labels(config, LOSSES[preset.loss["name"]])
    config.update({"loss": {"separate_latents": False, **preset.loss}})
    if advised:
        config.update({"loss": preset.advice, "optimizer": preset.optimizer})
    return config


def without_labels(config: ConfigDict, loss: Loss) -> ConfigDict:
    """Copies a config, with its labels at their defaults for a loss that takes none."""
    config = config.copy_and_resolve_references()
    if not loss.labels:
        config.update({"loss": LABELS})
    return config
