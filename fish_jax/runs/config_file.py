"""config.json of a run: reading, writing, upgrading older versions, and comparing two."""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from fish_jax.data.dataset import GIVEN, missing
from fish_jax.errors import UserError
from fish_jax.gan import own
from fish_jax.runs.checkpoints import has_checkpoint
from fish_jax.runs.layout import CHECKPOINTS, COMPARISON, CONFIG
from fish_jax.utils import json_text
from fish_jax.utils.config import Config
from fish_jax.utils.files import write_text
from fish_jax.utils.paths import expand

# Fields that may change between two starts of a run: they do not change what is computed. The
# images of data.path are compared instead of the path.
HARMLESS = frozenset(
    "name devices epochs data.path data.cache data.device_gigabytes log_every_steps "
    "sample_every_epochs evaluate_every_epochs checkpoint_minutes keep_checkpoints "
    "keep_best".split()
)

# Fields that configs of older versions lack, with the values that those versions used.
ADDED = {
    "images": [],
    "precision": "float32",
    "devices": 0,
    "freeze": 0,
    "average": {"half_life": 0.0, "ramp_up": 0.05},
    "schedule": {"images": 0, "learning_rate": 1.0, "forgetting": 1.0, "penalty": 1.0},
    "evaluate_every_epochs": 0,
    "keep_best": "frechet",
}
ADDED_DATA = {"channels": 3, "device_gigabytes": 0.0, "flips": False}
ADDED_LOSS = {
    "energy": "mae",
    "margin": 1.0,
    "pulling_away": 0.0,
    "gradient_penalty": 0.0,
    "r1": 0.0,
    "r2": 0.0,
    "penalty_every": 1,
    "clip": 0.0,
    "instance_noise": 0.0,
    "augment": "",
    "discriminator_steps": 1,
}


def plain(config: Config) -> dict[str, Any]:
    """A configuration in JSON's types alone."""
    text = config.to_json() if isinstance(config, ConfigDict) else json.dumps(config)
    return json.loads(text)


def with_absolute_paths(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration in JSON's types whose images and cache are found from any folder."""
    named = {name: config["data"][name] for name in ("path", "cache")}
    places = {name: place for name, place in named.items() if place not in ("", GIVEN)}
    absolute = {name: os.path.abspath(expand(place)) for name, place in places.items()}
    return {**config, "data": {**config["data"], **absolute}}


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else key)
    elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
        for index, item in enumerate(value):
            yield from _flatten(item, f"{name}[{index}]")
    else:
        yield name, list(value) if isinstance(value, tuple) else value


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], harmless: Collection[str] = HARMLESS
) -> list[str]:
    """Describes the fields in which two configurations differ, a line each, less harmless ones.

    Programs that were traced by other versions of JAX differ though nothing else does: of these
    parts only the names count.
    """
    apart = differing(before, after)
    programs = "own.traced_with" not in apart
    counts = lambda name: programs or not re.fullmatch(r"own\.(traced_with|\w+\.program)", name)
    return [
        f"{name}: {old!r} there, {new!r} now"
        for name, (old, new) in apart.items()
        if name not in harmless and counts(name)
    ]


def raise_if_changed(changed: Sequence[str], sentence: str) -> None:
    """Raises a UserError with a sentence and the changed fields, if there are any."""
    if changed:
        lines = "\n  ".join(changed)
        raise UserError(f"{sentence}. They differ in:\n  {lines}")


def ask_for_own(folder: Path, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Asks for parts that were passed when a run started and are missing now.

    Args:
      folder: the folder of the run.
      before: its configuration.
      after: the configuration that it is to resume with.

    Raises:
      UserError: names the first such part.
    """
    remembered, now = before.get("own", {}), after.get("own", {})
    for name in remembered.keys() - now.keys() - {"traced_with"}:
        raise UserError(f"{folder}: {own.missing(name, remembered[name]['name'])}")


def refuse_drawn_fish(before: Mapping[str, Any], after: Mapping[str, Any], folder: Path) -> None:
    """Refuses to continue with drawn fish if the images were given from Python.

    Args:
      before: the configuration of a run, or of a comparison.
      after: the one that it is to continue with.
      folder: the folder of the run or comparison.

    Raises:
      UserError: asks for the images.
    """
    if before["data"].get("path") == GIVEN and not after["data"].get("path"):
        raise missing(folder)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields of two configurations that differ, with both values, "(absent)" for none."""
    old, new, absent = dict(_flatten(before)), dict(_flatten(after)), "(absent)"
    both = {name: (old.get(name, absent), new.get(name, absent)) for name in {**old, **new}}
    return {name: (one, other) for name, (one, other) in both.items() if one != other}


def shared_fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that all processes of one run must share: all but the places of their images."""
    return {k: v for k, v in _flatten(config) if k not in ("data.path", "data.cache")}


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Writes the configuration of a run into its folder."""
    write_text(folder / CONFIG, json.dumps(config, indent=2) + "\n")


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the configuration of a run and upgrades it.

    Raises:
      UserError: the folder holds no run.
    """
    try:
        config = json_text.read(folder / CONFIG)
        if not isinstance(config, dict) or "data" not in config:
            raise ValueError("it holds no config")
        return upgrade(config)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        if has_checkpoint(folder / CHECKPOINTS):
            text = (
                f"{folder} has checkpoints, but its {CONFIG} cannot be read ({reason}); restore "
                "that file, or choose another --workdir"
            )
        elif (folder / COMPARISON).exists():
            text = f"{folder} is the folder of a comparison; its runs are in {folder / 'runs'}"
        else:
            text = f"{folder} is not the folder of a run: its {CONFIG} cannot be read ({reason})"
        raise UserError(text) from None


def upgrade(config: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the fields that a configuration of an older version lacks.

    Raises:
      ValueError: a section is no mapping.
    """
    added = {"data": ADDED_DATA, "loss": ADDED_LOSS}
    for name in added:
        if not isinstance(config.get(name, {}), Mapping):
            raise ValueError(f"its {name} is {config[name]!r}")
    sections = {name: {**new, **config.get(name, {})} for name, new in added.items()}
    return {**ADDED, **config, **sections}
