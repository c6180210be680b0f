"""Trains and evaluates the runs of a comparison, each in its folder, one on each device."""

import queue
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

from fish_jax.comparison.plan import Member
from fish_jax.comparison.results import Mark, Outcome
from fish_jax.data.batches import plan_epochs
from fish_jax.data.dataset import GIVEN
from fish_jax.data.images import ImageSet
from fish_jax.errors import Diverged, Stopped, UserError
from fish_jax.evaluation.judge import judge
from fish_jax.evaluation.scores import References
from fish_jax.gan import inference
from fish_jax.gan.model import Gan
from fish_jax.gan.programs import remember
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, config_file, health, layout, metrics
from fish_jax.training.context import Callbacks
from fish_jax.training.train import train
from fish_jax.utils import pictures, terminal, validation
from fish_jax.utils.messages import first_line
from fish_jax.utils.signals import stop_signals

OUTCOME = "outcome.json"
SHOWN = 256  # real and generated images each whose scores by D are kept
GRID = 32  # samples in a picture
POINTS = 200  # of a curve

# Other epochs are no harm to a run, but here they change when it is evaluated.
HARMLESS = config_file.HARMLESS - {"epochs"}

Kept = TypeVar("Kept", Mark, Outcome)
Lines = Sequence[Mapping[str, float]]  # of metrics.jsonl
Stopping = Callable[[], int]  # the number of a signal that ends a run, or 0
# Brings a run to its end on a device, and tells its outcome.
Finish = Callable[[Member, jax.Device, Stopping | None], Outcome]


def judged_after(epochs: int, marks: int) -> list[int]:
    """Epochs after which a run is evaluated, evenly spaced, the last epoch among them.

    Args:
      epochs: the epochs of the run.
      marks: how many times; the number of epochs if that is less.

    Raises:
      UserError: marks is no whole number from 1.
    """
    validation.check("marks", marks, validation.whole(1))
    marks = min(marks, epochs)
    return sorted({max(1, round(epochs * (index + 1) / marks)) for index in range(marks)})


def check(member: Member) -> None:
    """Refuses to resume a run in the folder of one with other settings.

    Raises:
      UserError: the first line names the run, and each that follows a field.
    """
    begun = (member.folder / layout.CONFIG).exists()
    if not begun and not checkpoints.has_checkpoint(member.folder / layout.CHECKPOINTS):
        return
    before, after = config_file.read_config(member.folder), remembered(member)
    config_file.ask_for_own(member.folder, before, after)
    changed = config_file.differences(before, after, HARMLESS)
    config_file.raise_if_changed(
        changed,
        f"{member.loss}, seed {member.seed}, was started with other settings in {member.folder}; "
        "resume with those, or choose another name or another folder",
    )


def remembered(member: Member) -> dict[str, Any]:
    """The config of a run with what it remembers of its parts, in JSON's types."""
    return remember(config_file.plain(member.config), member.gan(), member.own)


def finish(
    member: Member,
    device: jax.Device,  # pyright: ignore[reportInvalidTypeForm]  # jaxlib has no stubs
    stopped: Stopping | None,
    marks: int,
    references: References,
    images: ImageSet,
) -> Outcome:
    """Trains and evaluates a run, from its newest checkpoint if it has one.

    Args:
      member: the run.
      device: to train on.
      stopped: as `Stopping`; None: the run listens to signals itself.
      marks: how many times the run is evaluated, the last at its end.
      references: the references of all evaluations.
      images: the images of all runs; D scores the first few to train on at each evaluation.

    Returns:
      The outcome, also written to the run's folder, where that of a run at its end is read from.
    """
    path = member.folder / OUTCOME
    floors = references.floors
    if known := _read(path, Outcome, floors):
        return known._replace(loss=member.loss, seed=member.seed)  # which its folder says
    terminal.announce(f"{member.title}: begins")
    gan, diverged, real = member.gan(), None, images.train
    given = images if member.config.data.path == GIVEN else None  # else the run finds its own
    epochs = judged_after(plan_epochs(member.config, len(real)).total, marks)

    def look(epoch: int, state: TrainState, samples: object) -> None:
        if not _read(_mark_path(member, epoch), Mark, floors):
            _judge(member, gan, state, epoch, references, real[:SHOWN])

    try:
        callbacks = Callbacks(on_epoch=look, epochs=epochs, stopped=stopped)
        train(
            member.config,
            member.folder,
            devices=[device],
            callbacks=callbacks,
            images=given,
            **member.own,
        )
    except Diverged as error:
        terminal.announce(f"{member.title} diverged: {error}")
        diverged = error.step
    marks_read = (_read(_mark_path(member, epoch), Mark, floors) for epoch in epochs)
    made = tuple(filter(None, marks_read))
    if diverged is None and not made:
        raise UserError(
            f"{member.folder} has no evaluation that can be read; remove that folder to train the "
            "run again, or choose another folder for the comparison"
        )
    lines, plain = metrics.read_lines(member.folder), remembered(member)
    seconds, logged = step_seconds(lines, member.config.batch_size), curves(lines)
    outcome = Outcome(
        member.loss, member.seed, diverged, made, seconds, logged, planned=epochs, settings=plain
    )
    outcome = outcome._replace(findings=_findings(outcome, gan, lines, references.floors))
    for finding in outcome.findings:
        terminal.announce(f"{member.title}: {finding.text}")
    outcome.write(path)
    return outcome


def _read(path: Path, kind: type[Kept], floors: Mapping[str, float]) -> Kept | None:
    """The result of an earlier call, or None if it cannot be read."""
    if not path.exists():
        return None
    try:
        kept = kind.read(path)
        for mark in kept.marks if isinstance(kept, Outcome) else (kept,):
            if missing := floors.keys() - mark.scores.keys():
                raise ValueError(f"the evaluation has no score {min(missing)}")
        return kept
    except (AttributeError, LookupError, OSError, TypeError, UserError, ValueError) as error:
        terminal.announce(f"{path} is damaged ({first_line(error)}); it is rebuilt if possible")
        return None


def _mark_path(member: Member, epoch: int) -> Path:
    """The file of an evaluation."""
    return member.folder / f"mark-{epoch:06d}.json"


def _judge(
    member: Member,
    gan: Gan,
    state: TrainState,
    epoch: int,
    references: References,
    shown: np.ndarray,
) -> None:
    """Evaluates a run, and writes the mark and a grid of samples to its folder."""
    generated = inference.render(gan, state, range(references.count))
    values = {score.name: score.value for score in judge(references, generated).scores}
    path = _mark_path(member, epoch)
    pictures.write_png(path.with_suffix(".png"), pictures.grid(generated[:GRID], 8))
    sides = [_scores(gan, state, side) for side in (shown, generated[: len(shown)])]
    step = int(state.step)
    updates = step // gan.loss.discriminator_steps
    Mark(epoch, step * member.config.batch_size, updates, values, *sides).write(path)


def _scores(gan: Gan, state: TrainState, images: np.ndarray) -> list[float]:
    """D's outputs for images, in inference mode."""
    parts = [images[i : i + inference.BATCH] for i in range(0, len(images), inference.BATCH)]
    said = [np.asarray(SCORE(state, part, gan=gan), np.float64) for part in parts]
    return np.concatenate(said).tolist()


def _score(state: TrainState, images: jax.Array, gan: Gan) -> jax.Array:
    """D's outputs, [N], for images, uint8 [N, H, W, C]."""
    scaled = inference.scale_images(images, gan.dtype)
    return gan.discriminator.apply(state.discriminator_variables, scaled)[0]


# With `gan` as a static argument, equal ones share a program.
SCORE = jax.jit(_score, static_argnames="gan")


def _findings(
    outcome: Outcome, gan: Gan, lines: Lines, floors: Mapping[str, float]
) -> tuple[health.Finding, ...]:
    """What the health checks find in a run's log and last scores."""
    size = outcome.settings["batch_size"]
    if outcome.diverged is not None:
        return (health.not_finite(outcome.diverged, size),)
    found = health.diagnose(health.recent(lines), health.chance(gan, size))
    last = outcome.marks[-1]
    of_scores = health.judged(last.scores, floors, last.images, last.images // size)
    return health.together(found, of_scores)


def curves(lines: Lines) -> dict[str, list[float]]:
    """Thins a run's log to curves for a report.

    Args:
      lines: the lines of metrics.jsonl.

    Returns:
      By name, at most `POINTS` numbers each, the means of as many steps, nearly; "images" are those
      that D had seen. What is not in every line is left out.
    """
    if not lines:
        return {}
    names = set.intersection(*(set(line) for line in lines)) - {"step", "epoch", "steps"}
    parts = np.array_split(np.arange(len(lines)), min(POINTS, len(lines)))
    steps = np.array([line["steps"] for line in lines], float)
    made = {}
    for name in sorted(names):
        values = np.array([line[name] for line in lines], float)
        if name == "images":
            made[name] = [float(values[part[-1]]) for part in parts]
        else:
            made[name] = [float(np.average(values[p], weights=steps[p])) for p in parts]
    return made


def step_seconds(lines: Lines, batch_size: int) -> float:
    """Seconds spent in steps, without compilation and evaluation."""
    return sum(line["steps"] * batch_size / line["images_per_second"] for line in lines)


def run_all(members: Sequence[Member], finish: Finish, limit: int) -> list[Outcome]:
    """Brings all runs to their end, one after another or one on each of several devices.

    Args:
      members: the runs.
      finish: brings one run to its end.
      limit: devices that may be used, 0 for all.

    Raises:
      Stopped: by a signal; the other devices' runs are stopped first.
    """
    devices = jax.local_devices()[: limit or None]
    if len(devices) == 1:
        return [finish(member, devices[0], None) for member in members]
    free, failed = queue.SimpleQueue(), threading.Event()
    for device in devices:
        free.put(device)

    def on_a_free_one(member: Member, stopped: Stopping) -> Outcome:
        device = free.get()
        try:
            if stopped():
                raise Stopped(f"stopped before {member.title} began", stopped())
            with jax.default_device(device):
                return finish(member, device, stopped)
        except BaseException:
            failed.set()
            raise
        finally:
            free.put(device)

    with stop_signals() as heard, ThreadPoolExecutor(len(devices)) as pool:
        stopped = lambda: heard() or (signal.SIGTERM if failed.is_set() else 0)
        futures = [pool.submit(on_a_free_one, member, stopped) for member in members]
        wait(futures)
    errors = [error for error in (future.exception() for future in futures) if error]
    # Those that another one's failure stopped say less than it does.
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
    return [future.result() for future in futures]
