"""The runs that a comparison is made of, and what they must have in common."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from fish_jax.comparison.results import PLURAL
from fish_jax.errors import UserError
from fish_jax.gan.config_schema import CONFIG
from fish_jax.gan.model import make_gan
from fish_jax.losses.presets import apply_preset
from fish_jax.runs import config_file, layout
from fish_jax.utils import validation
from fish_jax.utils.files import replacing


class Member(NamedTuple):
    """One run of a comparison; `loss` as in `Outcome`."""

    title: str
    loss: str
    seed: int
    config: ConfigDict
    folder: Path


SHARED = ("data", "height", "width")  # fields that decide the images, but for
OWN = ("flips", "cache", "device_gigabytes")  # of data: each configuration may have its own


def without_section(config: Mapping[str, Any]) -> ConfigDict:
    """The config of one run of `configs/compare.py`, too, whose section the flags read."""
    config = ConfigDict(config).copy_and_resolve_references()
    if "compare" in config:
        with config.unlocked():
            del config.compare
    return config


def plan_runs(
    losses: Sequence[str],
    config: ConfigDict,
    seeds: Iterable[int],
    folder: Path,
    advised: bool = False,
) -> list[Member]:
    """The runs of a comparison, seed by seed, so that one that is cut off still has whole seeds.

    Args:
      losses, config, seeds, folder, advised: as of `compare`.

    Raises:
      UserError: there are none, one is named twice, or a loss does not suit the networks.
    """
    if isinstance(losses, str) or not isinstance(seeds, Iterable):
        raise UserError('losses are names, as ["lsgan", "hinge"], and seeds numbers, as range(3)')
    losses, seeds = list(losses), _seeds(seeds)
    if not losses:
        raise UserError("a comparison needs at least one loss and one seed")
    _check_once("loss", losses)
    named = {loss: apply_preset(config, loss, advised) for loss in losses}
    for loss, own in named.items():
        try:
            make_gan(own)
        except UserError as error:
            raise UserError(f"{loss} cannot be compared on these networks: {error}") from None
    return _members(named, seeds, folder)


def plan_configs(
    configs: Mapping[str, ConfigDict], seeds: Iterable[int], folder: Path
) -> list[Member]:
    """The same of a comparison of configurations.

    Args:
      configs, seeds, folder: as of `compare_configs`.

    Raises:
      UserError: there are none, a name is no folder's, a configuration cannot be trained, or two
        are of other images.
    """
    if not isinstance(configs, Mapping) or not isinstance(seeds, Iterable):
        raise UserError(
            'configs are configurations by name, as {"a": config}, and seeds numbers, as range(3)'
        )
    seeds, named = _seeds(seeds), {}
    if not configs:
        raise UserError("a comparison needs at least one config and one seed")
    for name, config in configs.items():
        validation.check("a config's name", name, validation.FOLDER)
        try:
            if isinstance(config, (dict, ConfigDict)):
                config = without_section(config)
            make_gan(config)
        except UserError as error:
            raise UserError(f"config {name!r} cannot be trained: {error}") from None
        named[name] = config
    _check_images(named)
    return _members(named, seeds, folder)


def image_fields(config: ConfigDict) -> dict[str, Any]:
    """The fields that decide the images."""
    plain = config_file.plain(config)
    data = {name: value for name, value in plain["data"].items() if name not in OWN}
    return {name: plain[name] for name in SHARED} | {"data": data}


def _check_images(named: Mapping[str, ConfigDict]) -> None:
    """Refuses configurations of other images, by the first field that differs."""
    first, *others = named
    for other in others:
        changed = config_file.differing(image_fields(named[first]), image_fields(named[other]))
        for field, (one, another) in changed.items():
            raise UserError(
                f"{field} is {one!r} in config {first!r} and {another!r} in config {other!r}; "
                f"{', '.join(SHARED[:-1])} and {SHARED[-1]} must be the same in all that are "
                "compared"
            )


def _seeds(seeds: Iterable[int]) -> list[int]:
    seeds = list(seeds)
    for seed in seeds:
        validation.check("a seed", seed, CONFIG["seed"])
    if not seeds:
        raise UserError("a comparison needs at least one seed")
    _check_once("seed", seeds)
    return seeds


def _check_once(kind: str, each: Sequence[Any]) -> None:
    twice = [one for one in each if each.count(one) > 1]
    if twice:
        raise UserError(f"{kind} {twice[0]!r} is named twice; once will do")


def _members(named: Mapping[str, ConfigDict], seeds: Sequence[int], folder: Path) -> list[Member]:
    """A run of each configuration from each seed, seed by seed."""
    members, count = [], len(named) * len(seeds)
    for seed, (name, config) in itertools.product(seeds, named.items()):
        own = config.copy_and_resolve_references()
        own.update(seed=seed, name=f"{name}-{seed}")
        title = f"{name}, seed {seed} (run {len(members) + 1} of {count})"
        members.append(Member(title, name, seed, own, folder / "runs" / own.name))
    return members


def keep_protocol(folder: Path, parts: Mapping[str, Any]) -> None:
    """Refuses a folder of other settings; what is compared and seeds may come and go."""
    path = folder / layout.COMPARISON
    if path.exists():
        try:
            before = json.loads(path.read_text())
            of = before.get("of", "loss")
            configs = [config_file.upgrade(each["config"]) for each in (before, parts)]
            pairs = [configs, (dict(before["settings"]), parts["settings"])]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UserError(
                f"{path} is damaged, so that nobody knows what the runs there had in common; "
                "choose another folder"
            ) from None
        if of != parts["of"]:
            kind = PLURAL.get(of, "another kind")
            raise UserError(f"{folder} holds a comparison of {kind}; choose another folder")
        changed = [line for old, new in pairs for line in config_file.differences(old, new)]
        config_file.raise_if_changed(
            changed,
            f"{folder} holds another comparison; go on with that one or choose another folder",
        )
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(parts, indent=2).encode())
    except OSError as error:
        raise UserError(
            f"cannot write to the comparison's folder {folder} ({error.strerror}); choose another"
        ) from None
