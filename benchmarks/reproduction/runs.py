"""Trains the experiments within a time: each timed first, then cut alike where all do not fit."""

import importlib
import importlib.metadata
import json
import math
import platform
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from benchmarks.reproduction.experiments import CLEAN, EXPERIMENTS
from fish_jax import describe, evaluation, pictures, previews, sampling, training, workdir
from fish_jax.errors import Diverged, Stopped
from fish_jax.files import replacing
from fish_jax.run import Watch
from fish_jax.signals import stop_signals
from fish_jax.state import TrainState, make_gan
from fish_jax.terminal import say

PLAN, FACTS, GRIDS = "plan.json", "facts.json", "grids"
TIMED = 2  # epochs; the first is not timed, as the device warms up in it
JUDGING = 30.0  # seconds that are kept for what comes after the steps of an experiment
FILM = 20  # grids of the same latents in the course of a run

Stopping = Callable[[], int]  # the number of a signal that ends a run, or 0


class Options(NamedTuple):
    """What all experiments have in common.

    Attributes:
      data: a folder of photographs; drawn fish without.
      demo: whether the small networks of `:demo` are trained, on 28 x 64 pixels.
      precision: of the networks' arithmetic.
      keep: whether checkpoints are kept after a run was judged.
      changes: fields of every config, for tests.
    """

    data: str = ""
    demo: bool = False
    precision: str = "float32"
    keep: bool = False
    changes: Mapping[str, object] = {}


def configured(name: str, options: Options) -> ConfigDict:
    """The config of an experiment, with the report's epochs."""
    experiment = EXPERIMENTS[name]
    module = importlib.import_module(f"configs.{experiment.config}")
    config = module.get_config("demo" if options.demo else "")
    config.name, config.epochs = name, experiment.epochs
    config.precision = options.precision
    config.data.path = options.data
    config.data.include = CLEAN if options.data and experiment.clean else ""
    config.keep_checkpoints = 1
    config.update_from_flattened_dict(options.changes)
    config.sample_every_epochs = max(1, config.epochs // FILM)
    return config


def run(folder: Path, names: Sequence[str], options: Options, seconds: float) -> list[str]:
    """Brings experiments to their end, one after the other, as far as time allows.

    The same call goes on where an earlier one was stopped.

    Args:
      folder: a run of each experiment is in it.
      names: of `EXPERIMENTS`, in this order.
      options: of all of them.
      seconds: for all of this call; what would take longer is cut in epochs.

    Returns:
      What did not come to its end.

    Raises:
      Stopped: Ctrl-C or SIGTERM; what was done is saved.
    """
    end = time.monotonic() + seconds
    with stop_signals() as signalled:
        stopping = lambda: signalled() or (signal.SIGALRM if time.monotonic() > end else 0)
        try:
            for name in names:
                if not _rate(folder / name) and not _done(folder / name):
                    _train(folder / name, name, options, TIMED, stopping)
            plan = _planned(folder, names, options, end - time.monotonic())
            for name in names:
                if not _done(folder / name):
                    say(f"{name}: {plan[name]} epochs")
                    _train(folder / name, name, options, plan[name], stopping)
                    _judge(folder / name, name, options, plan[name])
        except Stopped:
            if signalled():
                raise
    return [name for name in names if not _done(folder / name)]


def _done(folder: Path) -> bool:
    return (folder / FACTS).exists()


def _rate(folder: Path) -> float:
    """Images per second in the last epoch so far; 0 before there are two."""
    lines = workdir.read_metrics(folder)
    if not lines or lines[-1]["epoch"] < TIMED:
        return 0.0
    last = [line for line in lines if line["epoch"] == lines[-1]["epoch"]]
    return math.fsum(line["images_per_second"] * line["steps"] for line in last) / math.fsum(
        line["steps"] for line in last
    )


def _planned(
    folder: Path, names: Sequence[str], options: Options, seconds: float
) -> dict[str, int]:
    """Epochs of each experiment; those that were planned before stay as they were."""
    path = folder / PLAN
    plan = json.loads(path.read_text()) if path.exists() else {}
    new = [name for name in names if name not in plan and _rate(folder / name)]
    if new:
        epochs = {name: configured(name, options).epochs for name in new}
        costs = {name: _images(folder / name) / _rate(folder / name) for name in new}
        plan |= shared_out(epochs, costs, seconds - JUDGING * len(new))
        with replacing(path) as file:
            file.write(json.dumps(plan, indent=1).encode())
    for name in new:
        say(f"{name}: {plan[name]} of {epochs[name]} epochs, {costs[name]:.3g} s each")
    return plan


def _images(folder: Path) -> float:
    """Images of one epoch."""
    last = workdir.read_metrics(folder)[-1]
    return last["images"] / last["epoch"]


def shared_out(
    epochs: Mapping[str, int], costs: Mapping[str, float], seconds: float
) -> dict[str, int]:
    """Epochs so that all take no longer than a time, the longest alone being cut.

    Args:
      epochs: that each should have.
      costs: seconds of one epoch of each.
      seconds: for all.

    Returns:
      Epochs of each, from `TIMED`.
    """
    whole = {name: epochs[name] * costs[name] for name in epochs}
    left, waiting, plan = seconds, len(whole), {}
    for name in sorted(whole, key=whole.get):  # what needs less than its share leaves it to others
        share = min(whole[name], max(left, 0.0) / waiting)
        count = epochs[name] if share == whole[name] else int(share / costs[name])
        plan[name] = min(epochs[name], max(TIMED, count))
        left, waiting = left - plan[name] * costs[name], waiting - 1
    return {name: plan[name] for name in epochs}


def _train(folder: Path, name: str, options: Options, epochs: int, stopping: Stopping) -> None:
    """Trains for so many epochs, and draws those whose grids the report shows.

    Raises:
      Stopped: before; saved.
    """
    config = configured(name, options)
    whole, config.epochs = config.epochs, epochs
    gan = make_gan(config)

    def draw(epoch: int, state: TrainState) -> None:
        images = sampling.render(gan, state, range(previews.GRID))
        sheet = pictures.grid(images, previews.GRID // previews.ROWS)
        pictures.write_png(folder / GRIDS / f"{epoch:06d}.png", sheet)

    shown = [epoch for epoch in EXPERIMENTS[name].grids if epoch < epochs]
    last = [epochs] if epochs > TIMED or epochs == whole else []
    try:
        training.train(config, folder, watch=Watch([*shown, *last], draw, stopping))
    except Diverged as error:
        say(f"{name} diverged: {error}")
        _write_facts(folder, config, epochs, error.step)


def _judge(folder: Path, name: str, options: Options, epochs: int) -> None:
    """Keeps what a page needs of a run that has come to its end."""
    if _done(folder):  # it diverged
        return
    config = configured(name, options)
    # XLA takes minutes to compile some scores for a GPU; samples are drawn there nevertheless.
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        judgement = evaluation.evaluate(folder)
    evaluation.write_scores(folder, judgement, config.average.half_life > 0)
    _write_facts(folder, config, epochs, None)
    if not options.keep:
        shutil.rmtree(folder / workdir.CHECKPOINTS)


def _write_facts(folder: Path, config: ConfigDict, epochs: int, diverged: int | None) -> None:
    """Keeps what neither the log nor the config of a run tells."""
    facts = {
        "epochs": epochs,
        "diverged": diverged,
        "flops": describe.step_flops(make_gan(config)),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "fish_jax": importlib.metadata.version("fish_jax"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    with replacing(folder / FACTS) as file:
        file.write(json.dumps(facts, indent=1).encode())
