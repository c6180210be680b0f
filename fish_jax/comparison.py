"""Losses compared: the same networks, data, keys and evaluation, several seeds each."""

import functools
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

from fish_jax import checks, comparison_run, evaluation, workdir
from fish_jax.comparison_run import Member
from fish_jax.data import load_data
from fish_jax.errors import Stopped, UserError
from fish_jax.fields import CONFIG
from fish_jax.files import replacing
from fish_jax.images import digest
from fish_jax.recipes import apply_recipe, has_advice
from fish_jax.signals import stop_signals
from fish_jax.standings import Comparison, Outcome
from fish_jax.state import make_gan

PROTOCOL = "protocol.json"


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
    epochs = _marks(config["epochs"], marks)
    images = load_data(config)
    references = evaluation.read_references(config, images, count)
    settings = {"marks": epochs, "count": references.count, "advised": advised}
    settings |= {"images": [digest(side) for side in (images.train, images.holdout)]}
    _keep_protocol(folder, {"config": workdir.plain(config), "settings": settings})
    finish = functools.partial(
        comparison_run.finish, epochs=epochs, references=references, real=images.train
    )
    outcomes = _run_all(members, finish, config["devices"])
    return Comparison(
        tuple(outcomes),
        tuple(losses),
        tuple(dict.fromkeys(member.seed for member in members)),
        references.floors,
        references.protocol,
        str(folder),
        tuple(loss for loss in losses if advised and has_advice(loss)),
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
    losses, seeds = list(losses), list(seeds)
    if not losses or not seeds:
        raise UserError("a comparison needs at least one loss and one seed")
    for kind, each in (("loss", losses), ("seed", seeds)):
        twice = [one for one in each if each.count(one) > 1]
        if twice:
            raise UserError(f"{kind} {twice[0]!r} is named twice; once will do")
    members = []
    for seed in seeds:
        checks.check("a seed", seed, CONFIG["seed"])
        for loss in losses:
            own = apply_recipe(config, loss, advised)
            own.update(seed=seed, name=f"{loss}-{seed}")
            title = f"{loss}, seed {seed} (run {len(members) + 1} of {len(losses) * len(seeds)})"
            members.append(Member(title, loss, seed, own, folder / "runs" / own.name))
    for member in members[: len(losses)]:
        try:
            make_gan(member.config)
        except UserError as error:
            raise UserError(
                f"{member.loss} cannot be compared on these networks: {error}"
            ) from None
    return members


def _marks(epochs: int, marks: int) -> list[int]:
    """Epochs after which runs are judged: each a multiple of what is about 1 / marks of all."""
    checks.check("marks", marks, checks.whole(1))
    marks = min(marks, epochs)
    return sorted({max(1, round(epochs * (index + 1) / marks)) for index in range(marks)})


def _keep_protocol(folder: Path, parts: Mapping[str, dict[str, Any]]) -> None:
    """Refuses a folder of other settings; losses and seeds may come and go, runs are their own."""
    path = folder / PROTOCOL
    if path.exists():
        try:
            before = json.loads(path.read_text())
            pairs = [(dict(before[name]), now) for name, now in parts.items()]
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path} is damaged, so that nobody knows what the runs there had in common; "
                "choose another folder"
            ) from None
        changed = [line for old, new in pairs for line in workdir.differences(old, new)]
        if changed:
            lines = "\n  ".join(changed)
            raise UserError(
                f"{folder} holds another comparison; go on with that one or choose another folder. "
                f"They differ in:\n  {lines}"
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
