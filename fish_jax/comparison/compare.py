"""Losses or whole configurations compared: the same images, seeds and evaluation.

    compare(["lsgan", "hinge"], config)           the same networks, only the loss changing
    compare_configs({"deep": a, "shallow": b})    each with networks, loss, ... of its own

Both plan runs, and share all that trains, judges and keeps them.
"""

import functools
import itertools
import json
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from fish_jax.comparison import runner
from fish_jax.comparison.results import PLURAL, Comparison, Outcome
from fish_jax.comparison.runner import Member
from fish_jax.data.dataset import load_data
from fish_jax.data.images import digest
from fish_jax.errors import Stopped, UserError
from fish_jax.evaluation import evaluate
from fish_jax.gan.config_schema import CONFIG
from fish_jax.gan.state import make_gan
from fish_jax.losses.presets import apply_recipe, has_advice
from fish_jax.runs import directory
from fish_jax.utils import validation
from fish_jax.utils.files import replacing
from fish_jax.utils.signals import stop_signals

SHARED = ("data", "height", "width")  # fields that decide the images, but for
OWN = ("flips", "cache", "device_gigabytes")  # of data: each configuration may have its own


# From a run, its device and what tells of a signal to its outcome.
Finish = Callable[[Member, jax.Device, Callable[[], int] | None], Outcome]


def compare(
    losses: Sequence[str],
    config: ConfigDict,
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
    advised: bool = False,
) -> Comparison:
    """Trains every loss from every seed, and judges all of them alike.

    Of a seed, all losses have the same initial weights, order of images and latents. D of each sees
    as many real images. A run that diverges is an outcome. Whatever stops a comparison, the same
    call goes on. Runs come one after another, or where there are several devices one on each, with
    the same results.

    Args:
      losses: of `recipes.RECIPES` or `losses.LOSSES`.
      config: of the run that all are; its loss but for companions, and its seed, do not count.
      seeds: of the runs. One is an anecdote; three are few.
      folder: of the comparison; a run of each loss and seed is in it.
      marks: how many times in its course a run is judged, the end among them.
      count: images on each side of a judgement; 0: as many as can be had, at most 2,000.
      advised: whether each loss has its paper's optimiser and updates of D.

    Returns:
      All outcomes.

    Raises:
      UserError: a mistake in the arguments, or a loss that these networks or images cannot be
        trained with, before any is; a folder of another comparison, or of other images.
      Stopped: Ctrl-C or SIGTERM; what was done is saved.
    """
    folder, config = Path(folder), _without_section(config)
    members = plan_runs(losses, config, seeds, folder, advised)
    epochs = runner.judged_after(config["epochs"], marks)
    settings = {"marks": epochs, "advised": advised}
    found = _compare("loss", members, folder, marks, count, directory.plain(config), settings)
    return found._replace(advised=tuple(x for x in losses if advised and has_advice(x)))


def compare_configs(
    configs: Mapping[str, ConfigDict],
    seeds: Iterable[int] = range(3),
    folder: str | Path = "comparison",
    marks: int = 4,
    count: int = 0,
) -> Comparison:
    """Trains every configuration from every seed, and judges all of them alike.

    Networks, loss, optimiser, batch size and epochs may be each one's own. Of a seed, all see the
    images in the same order. A run that diverges is an outcome. Whatever stops a comparison, the
    same call goes on, also with other configurations or more seeds. Devices as in `compare`.

    Args:
      configs: by names that can be folders'; `data` (but for `flips`), `height` and `width` are the
        same in all, and seeds do not count.
      seeds: of the runs. One is an anecdote; three are few.
      folder: of the comparison; a run of each configuration and seed is in it.
      marks: how many times in its own course a run is judged, the end among them.
      count: as in `compare`.

    Returns:
      All outcomes.

    Raises:
      UserError: a mistake in the arguments or a configuration, before any is trained; a folder of
        another comparison, or of other images; a run there that was begun with other settings.
      Stopped: Ctrl-C or SIGTERM; what was done is saved.
    """
    folder = Path(folder)
    members = plan_configs(configs, seeds, folder)
    shared = _of_images(members[0].config)
    validation.check("marks", marks, validation.whole(1))
    return _compare("config", members, folder, marks, count, shared, {"marks": marks})


def _compare(
    of: str,
    members: Sequence[Member],
    folder: Path,
    marks: int,
    count: int,
    shared: dict[str, Any],
    settings: dict[str, Any],
) -> Comparison:
    """Keeps what all have in common, and brings each run to its end.

    Args:
      of: as in `Comparison`.
      members: the runs, all of the same images.
      folder, marks, count: as in `compare`.
      shared: fields of configurations that must stay as they are for the folder's runs to compare.
      settings: of the comparison, likewise.
    """
    widest = max((member.config for member in members), key=lambda config: config.batch_size)
    images = load_data(widest)
    references = evaluate.read_references(widest, images, count)
    sides = [digest(side) for side in (images.train, images.holdout)]
    settings = settings | {"count": references.count, "images": sides}
    _keep_protocol(folder, {"of": of, "config": shared, "settings": settings})
    for member in members:
        runner.check(member)
    finish = functools.partial(runner.finish, marks=marks, references=references, real=images.train)
    limits = [member.config.devices for member in members if member.config.devices]
    return Comparison(
        tuple(_run_all(members, finish, min(limits, default=0))),
        tuple(dict.fromkeys(member.loss for member in members)),
        tuple(dict.fromkeys(member.seed for member in members)),
        references.floors,
        references.protocol,
        str(folder),
        of=of,
    )


def _without_section(config: Mapping[str, Any]) -> ConfigDict:
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
    named = {loss: apply_recipe(config, loss, advised) for loss in losses}
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
                config = _without_section(config)
            make_gan(config)
        except UserError as error:
            raise UserError(f"config {name!r} cannot be trained: {error}") from None
        named[name] = config
    _check_images(named)
    return _members(named, seeds, folder)


def _of_images(config: ConfigDict) -> dict[str, Any]:
    """The fields that decide the images."""
    plain = directory.plain(config)
    data = {name: value for name, value in plain["data"].items() if name not in OWN}
    return {name: plain[name] for name in SHARED} | {"data": data}


def _check_images(named: Mapping[str, ConfigDict]) -> None:
    """Refuses configurations of other images, by the first field that differs."""
    first, *others = named
    for other in others:
        changed = directory.differing(_of_images(named[first]), _of_images(named[other]))
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


def _keep_protocol(folder: Path, parts: Mapping[str, Any]) -> None:
    """Refuses a folder of other settings; what is compared and seeds may come and go."""
    path = folder / directory.COMPARISON
    if path.exists():
        try:
            before = json.loads(path.read_text())
            of = before.get("of", "loss")
            configs = [directory.completed(each["config"]) for each in (before, parts)]
            pairs = [configs, (dict(before["settings"]), parts["settings"])]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UserError(
                f"{path} is damaged, so that nobody knows what the runs there had in common; "
                "choose another folder"
            ) from None
        if of != parts["of"]:
            kind = PLURAL.get(of, "another kind")
            raise UserError(f"{folder} holds a comparison of {kind}; choose another folder")
        changed = [line for old, new in pairs for line in directory.differences(old, new)]
        directory.refuse(
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


def _run_all(members: Sequence[Member], finish: Finish, limit: int) -> list[Outcome]:
    """One run after another on one device, or one on each where there are several."""
    devices = jax.local_devices()[: limit or None]
    if len(devices) == 1:
        return [finish(member, devices[0], None) for member in members]
    free, failed = queue.SimpleQueue(), threading.Event()
    for device in devices:
        free.put(device)

    def on_a_free_one(member: Member, stopped: Callable[[], int]) -> Outcome:
        device = free.get()
        try:
            if stopped():
                raise Stopped("not begun", stopped())
            with jax.default_device(device):
                return finish(member, device, stopped)
        except BaseException:
            failed.set()
            raise
        finally:
            free.put(device)

    with stop_signals() as heard, ThreadPoolExecutor(len(devices)) as pool:
        stopped = lambda: heard() or failed.is_set() * signal.SIGTERM
        futures = [pool.submit(on_a_free_one, member, stopped) for member in members]
        wait(futures)
    errors = [error for error in (future.exception() for future in futures) if error]
    # Those that another one's failure stopped say less than it does.
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
    return [future.result() for future in futures]
