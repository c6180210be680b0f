"""Losses compared: the same networks, data, keys and evaluation, several seeds each."""

import functools
import json
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from ml_collections import ConfigDict

from fish_jax import checks, evaluation, health, judge, pictures, sampling, workdir
from fish_jax.data import load_data
from fish_jax.errors import Diverged, Stopped, UserError, first_line
from fish_jax.fields import CONFIG
from fish_jax.files import replacing
from fish_jax.health import Finding
from fish_jax.images import digest
from fish_jax.recipes import apply_recipe, has_advice
from fish_jax.run import Watch
from fish_jax.signals import stop_signals
from fish_jax.standings import Comparison, Mark, Outcome
from fish_jax.state import Gan, TrainState, make_gan
from fish_jax.step import scale_images
from fish_jax.terminal import say
from fish_jax.training import train

PROTOCOL = "protocol.json"
OUTCOME = "outcome.json"
SHOWN = 256  # images of each side whose scores by D are kept
GRID = 32  # images in a grid
POINTS = 200  # of a curve


class Member(NamedTuple):
    """One run of a comparison."""

    title: str
    loss: str
    seed: int
    config: ConfigDict
    folder: Path


Kept = TypeVar("Kept", Mark, Outcome)

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
    _keep_protocol(folder, workdir.plain(config), settings)
    finish = functools.partial(
        _finish, epochs=epochs, references=references, shown=images.train[:SHOWN]
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


def _keep_protocol(folder: Path, config: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuses a folder of other settings; losses and seeds may come and go, runs are their own."""
    path, settings = folder / PROTOCOL, {"config": config, **settings}
    if path.exists():
        try:
            before = dict(json.loads(path.read_text()))
            parts = before.pop("config"), before
        except (KeyError, TypeError, ValueError):
            raise UserError(
                f"{path} is damaged, so that nobody knows what the runs there had in common; "
                "choose another folder"
            ) from None
        others = {name: value for name, value in settings.items() if name != "config"}
        pairs = zip(parts, (config, others))
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
            file.write(json.dumps(settings, indent=2).encode())
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


def _finish(
    member: Member,
    device: jax.Device,
    stopped: Callable[[], int] | None,
    epochs: Sequence[int],
    references: judge.References,
    shown: np.ndarray,
) -> Outcome:
    """Trains and judges a run from where it is."""
    path = member.folder / OUTCOME
    known = _read(path, Outcome)
    if known:
        return known
    say(f"{member.title}: begins")
    gan, diverged = make_gan(member.config), None

    def look(epoch: int, state: TrainState) -> None:
        if not _read(_mark_path(member, epoch), Mark):
            _judge(member, gan, state, epoch, references, shown)

    try:
        train(member.config, member.folder, devices=[device], watch=Watch(epochs, look, stopped))
    except Diverged as error:
        say(f"{member.title} diverged: {error}")
        diverged = error.step
    made = [_read(_mark_path(member, epoch), Mark) for epoch in epochs]
    marks = tuple(mark for mark in made if mark)
    lines = workdir.read_metrics(member.folder)
    findings = _findings(member, gan, diverged, marks, lines, references.floors)
    seconds = _seconds(lines, member.config.batch_size)
    outcome = Outcome(member.loss, member.seed, diverged, marks, seconds, curves(lines), findings)
    for finding in findings:
        say(f"{member.title}: {finding.text}")
    outcome.write(path)
    return outcome


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    """What was kept, or None if there is nothing, or nothing that can be read."""
    try:
        return kind.read(path) if path.exists() else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        say(f"{path} is damaged ({first_line(error)}) and is made anew if it can be")
        return None


def _mark_path(member: Member, epoch: int) -> Path:
    return member.folder / f"mark-{epoch:06d}.json"


def _judge(
    member: Member,
    gan: Gan,
    state: TrainState,
    epoch: int,
    references: judge.References,
    shown: np.ndarray,
) -> None:
    """Leaves a mark and its grid in the run's folder."""
    generated = sampling.render(gan, state, range(references.count))
    judgement = judge.judge(references, generated)
    sheet = pictures.grid(generated[:GRID], 8)
    path = _mark_path(member, epoch)
    pictures.write_png(path.with_suffix(".png"), sheet)
    scores = {score.name: score.value for score in judgement.scores}
    sides = [_scores(gan, state, side) for side in (shown, generated[: len(shown)])]
    step = int(state.step)
    updates = step // gan.loss.discriminator_steps
    Mark(epoch, step * member.config.batch_size, updates, scores, *sides).write(path)


def _scores(gan: Gan, state: TrainState, images: np.ndarray) -> list[float]:
    """What the discriminator says of images, in inference mode."""
    parts = [images[i : i + sampling.BATCH] for i in range(0, len(images), sampling.BATCH)]
    said = [np.asarray(SCORE(state, part, gan=gan), np.float64) for part in parts]
    return np.concatenate(said).tolist()


def _score(state: TrainState, images: jax.Array, gan: Gan) -> jax.Array:
    variables = {"params": state.discriminator_params, "batch_stats": state.discriminator_stats}
    return gan.discriminator.apply(variables, scale_images(images, gan.dtype))[0]


# With `gan` as a static argument, equal ones share a program.
SCORE = jax.jit(_score, static_argnames="gan")


def _findings(
    member: Member,
    gan: Gan,
    diverged: int | None,
    marks: Sequence[Mark],
    lines: Sequence[Mapping[str, float]],
    floors: Mapping[str, float],
) -> tuple[Finding, ...]:
    if diverged is not None:
        text = f"a number was not finite after step {diverged}"
        return (Finding("divergence", diverged * member.config.batch_size, text),)
    found = health.diagnose(health.recent(lines), health.chance(gan.loss))
    last = marks[-1]
    steps = last.images // member.config.batch_size
    of_scores = health.judged(last.scores, floors, last.images, steps)
    names = {finding.name for finding in of_scores}
    return (*(finding for finding in found if finding.name not in names), *of_scores)


def curves(lines: Sequence[Mapping[str, float]], points: int = POINTS) -> dict[str, list[float]]:
    """A run's log, thinned.

    Args:
      lines: of metrics.jsonl.
      points: at most so many remain, each the mean of as many steps, nearly.

    Returns:
      By name, as many numbers each; "images" are those that D had seen. What is not in every
      line is left out.
    """
    if not lines:
        return {}
    names = set.intersection(*(set(line) for line in lines)) - {"step", "epoch", "steps"}
    parts = np.array_split(np.arange(len(lines)), min(points, len(lines)))
    steps = np.array([line["steps"] for line in lines], float)
    made = {}
    for name in sorted(names):
        values = np.array([line[name] for line in lines], float)
        if name == "images":
            made[name] = [float(values[part[-1]]) for part in parts]
        else:
            made[name] = [float(np.average(values[p], weights=steps[p])) for p in parts]
    return made


def _seconds(lines: Sequence[Mapping[str, float]], batch_size: int) -> float:
    """Time spent in steps, without compiling and judging."""
    return sum(line["steps"] * batch_size / line["images_per_second"] for line in lines)
