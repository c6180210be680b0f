"""Plans the runs of a comparison, and keeps what they must share."""

import contextlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, Unpack

from ml_collections import ConfigDict

from fish_jax.comparison.results import PLURAL
from fish_jax.errors import UserError
from fish_jax.evaluation.features import space_file
from fish_jax.evaluation.features.space import Space
from fish_jax.gan.config_schema import SEED
from fish_jax.gan.model import Gan, make_gan
from fish_jax.gan.own import Own
from fish_jax.gan.programs import remember
from fish_jax.losses.presets import apply_preset, without_labels
from fish_jax.losses.registry import LossLike, as_loss
from fish_jax.runs import config_file, directory, layout
from fish_jax.utils import json_text, validation
from fish_jax.utils.files import write_text
from fish_jax.utils.messages import explain
from fish_jax.utils.terminal import announce
from fish_jax.utils.validation import shown

# Names of losses, or losses by name: a name of the package, or one of the caller.
Compared: TypeAlias = Sequence[str] | Mapping[str, str | LossLike]
RUNS = "runs"  # the folder of the runs
OWN = ("flips", "cache", "device_gigabytes")  # fields of data that change no image: may differ


class Member(NamedTuple):
    """A planned run of a comparison.

    Attributes:
      title: for people, as "hinge, seed 1 (run 3 of 15)".
      loss: as in `Outcome`.
      seed: the seed of the run.
      config: the config of the run.
      folder: the folder of the run.
      own: what is passed in to the run, the keyword arguments of `train`.
    """

    title: str
    loss: str
    seed: int
    config: ConfigDict
    folder: Path
    own: Own

    def gan(self) -> Gan:
        """The fixed parts of the run."""
        return make_gan(self.config, **self.own)


def without_section(config: Any) -> ConfigDict:
    """A copy of a configuration without the section `compare`."""
    own = ConfigDict(config).copy_and_resolve_references()
    if "compare" in own:
        with own.unlocked():
            del own.compare
    return own


def plan_runs(
    losses: Compared,
    config: ConfigDict,
    seeds: Iterable[int],
    folder: Path,
    advised: bool,
    **own: Unpack[Own],
) -> list[Member]:
    """Plans a comparison of losses, seed by seed, so that one that stops has complete seeds.

    Args:
      losses, config, seeds, folder, advised: as in `compare`.
      **own: what is passed in to every run, without a loss.

    Raises:
      UserError: there are none, one is named twice, or a loss does not suit the networks.
    """
    if isinstance(losses, str) or not isinstance(seeds, Iterable):
        raise UserError(
            'losses must be names, such as ["lsgan", "hinge"], or losses by name, such as '
            '{"mine": my_loss}; seeds must be numbers, such as range(3)'
        )
    if not isinstance(losses, Mapping):
        _check_once("loss", list(losses))
    losses, seeds = by_name(losses), _seeds(seeds)
    if not losses:
        raise UserError("a comparison needs at least one loss and one seed")
    if own.get("loss") is not None:
        raise UserError(
            'a comparison takes losses by name, such as {"mine": my_loss}, and no argument loss='
        )
    named = {}
    for name, loss in losses.items():
        validation.check("a loss's name", name, validation.FOLDER)
        if isinstance(loss, str):
            named[name] = apply_preset(config, loss, advised), own
        else:
            entry = as_loss(loss, name)
            named[name] = without_labels(config, entry), Own(**{**own, "loss": entry})
    for name, (each, parts) in named.items():
        try:
            make_gan(each, **parts)
        except UserError as error:
            raise UserError(f"loss {name} does not fit these networks: {error}") from None
    return _members(named, seeds, folder)


def by_name(losses: Compared) -> dict[str, str | LossLike]:
    """The losses of a comparison, by name."""
    return dict(losses) if isinstance(losses, Mapping) else {name: name for name in losses}


def plan_configs(
    configs: Mapping[str, ConfigDict | tuple[ConfigDict, Own]], seeds: Iterable[int], folder: Path
) -> list[Member]:
    """Plans a comparison of configurations, seed by seed.

    Args:
      configs, seeds, folder: as in `compare_configs`.

    Raises:
      UserError: there are none, a name is no folder's, a configuration cannot be trained, or two
        are of other images.
    """
    if not isinstance(configs, Mapping) or not isinstance(seeds, Iterable):
        raise UserError(
            'configs must be configs by name, such as {"a": config}; seeds must be numbers, such '
            "as range(3)"
        )
    seeds, named = _seeds(seeds), {}
    if not configs:
        raise UserError("a comparison needs at least one config and one seed")
    for name, value in configs.items():
        validation.check("a config's name", name, validation.FOLDER)
        pair: Any = value if isinstance(value, tuple) and len(value) == 2 else (value, Own())
        config, own = pair
        if not isinstance(own, Mapping):
            raise UserError(
                f"config {name!r} comes with {shown(own)}; write a pair of config and parts by "
                'name, such as (config, {"generator": MyGenerator()})'
            )
        try:
            if isinstance(config, (dict, ConfigDict)):
                config = without_section(config)
            make_gan(config, **own)
        except UserError as error:
            raise UserError(f"config {name!r} cannot be trained: {error}") from None
        named[name] = config, own
    _check_images({name: config for name, (config, _) in named.items()})
    return _members(named, seeds, folder)


def shared_config(config: ConfigDict, member: Member, own: Own) -> dict[str, Any]:
    """The configuration of a comparison of losses, with the parts that all of its runs share.

    Args:
      config: the config of all runs, but for their losses and seeds.
      member: one of the runs.
      own: the parts that were passed in for all of them.
    """
    plain = config_file.plain(config)
    kept = remember(plain, member.gan(), own).get("own", {})
    shared = {name: part for name, part in kept.items() if name in own or name == "traced_with"}
    return plain | ({"own": shared} if len(shared) > 1 else {})


def image_fields(config: ConfigDict) -> dict[str, Any]:
    """The fields of a configuration that decide the images."""
    plain = config_file.plain(config)
    data = {name: value for name, value in plain["data"].items() if name not in OWN}
    return {"data": data, "height": plain["height"], "width": plain["width"]}


def _check_images(named: Mapping[str, ConfigDict]) -> None:
    """Refuses configurations whose images differ, and names the first field that does."""
    first, *others = named
    for other in others:
        changed = config_file.differing(image_fields(named[first]), image_fields(named[other]))
        for field, (one, another) in changed.items():
            raise UserError(
                f"{field} is {one!r} in config {first!r}, but {another!r} in config {other!r}; "
                "all compared configs need the same data, height and width"
            )


def _seeds(seeds: Iterable[int]) -> list[int]:
    """The seeds as a list, or an error."""
    seeds = list(seeds)
    for seed in seeds:
        validation.check("a seed", seed, SEED)
    if not seeds:
        raise UserError("a comparison needs at least one seed")
    _check_once("seed", seeds)
    return seeds


def _check_once(kind: str, each: Sequence[Any]) -> None:
    """Refuses names that occur twice."""
    twice = [one for one in each if each.count(one) > 1]
    if twice:
        raise UserError(f"{kind} {twice[0]!r} is named twice; name it once")


def _members(
    named: Mapping[str, tuple[ConfigDict, Own]], seeds: Sequence[int], folder: Path
) -> list[Member]:
    """A run of each configuration from each seed, seed by seed."""
    members, count = [], len(named) * len(seeds)
    for seed, (name, (config, own)) in itertools.product(seeds, named.items()):
        config = config.copy_and_resolve_references()
        # Evaluated at the marks of the comparison alone.
        config.update(seed=seed, name=f"{name}-{seed}", evaluate_every_epochs=0)
        title = f"{name}, seed {seed} (run {len(members) + 1} of {count})"
        members.append(Member(title, name, seed, config, folder / RUNS / config.name, own))
    return members


def kept_space(folder: Path) -> Space | None:
    """The feature space that an earlier call saved in the folder of the comparison, or None.

    A damaged file gives a warning.
    """
    path = folder / layout.SPACE
    try:
        return space_file.read(path) if path.exists() else None
    except Exception as error:  # Damaged, in whatever way.
        announce(f"warning: {path} cannot be used: {explain(error)}")
        return None


def keep_space(folder: Path, space: Space) -> None:
    """Writes the feature space of a comparison to its folder.

    Raises:
      UserError: the folder cannot be written to.
    """
    try:
        space_file.write(folder / layout.SPACE, space)
    except OSError as error:
        raise _not_writable(folder, error) from None


def refuse_drawn_fish(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuses to continue with drawn fish if the images of a comparison were given from Python.

    A damaged protocol is left to `keep_protocol`.

    Raises:
      UserError: asks for the images.
    """
    with contextlib.suppress(LookupError, OSError, TypeError, ValueError):
        before = json_text.read(folder / layout.COMPARISON)["config"]
        config_file.refuse_drawn_fish(before, config, folder)


def keep_protocol(folder: Path, parts: Mapping[str, Any]) -> None:
    """Writes the shared settings of a comparison, or compares them with those of an earlier call.

    Losses, configurations and seeds may be added and left out.

    Args:
      folder: the folder of the comparison.
      parts: "of" as of `Results`, "config" and "settings".

    Raises:
      UserError: the folder holds a comparison with other settings, or cannot be written to.
    """
    path, runs = folder / layout.COMPARISON, folder / RUNS
    directory.refuse_links(folder, [RUNS, *(f"{RUNS}/{run.name}" for run in runs.glob("*"))])
    if path.exists():
        _check_protocol(path, parts)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(parts, indent=2))
    except OSError as error:
        raise _not_writable(folder, error) from None


def _not_writable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write to the comparison's folder {folder} ({error.strerror}); choose another "
        "folder"
    )


def _check_protocol(path: Path, parts: Mapping[str, Any]) -> None:
    """Refuses shared settings that differ from those in a file."""
    try:
        before = json_text.read(path)
        of = before.get("of", "loss")
        configs = [config_file.upgrade(each["config"]) for each in (before, parts)]
        pairs = [configs, (dict(before["settings"]), parts["settings"])]
    except (AttributeError, LookupError, OSError, TypeError, ValueError):
        raise UserError(
            f"{path} is damaged. It holds the settings of the comparison: restore it, or choose "
            "another folder"
        ) from None
    if of != parts["of"]:
        kind = PLURAL.get(str(of), "another kind")
        raise UserError(f"{path.parent} holds a comparison of {kind}; choose another folder")
    changed = [line for old, new in pairs for line in config_file.differences(old, new)]
    config_file.raise_if_changed(
        changed,
        f"{path.parent} holds another comparison; resume that one or choose another folder",
    )
