"""Trains the experiments within a time: each timed first, then cut alike where all do not fit."""

import contextlib
import importlib
import importlib.metadata
import json
import platform
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from ml_collections import ConfigDict

from benchmarks.reproduction.experiments import EXPERIMENTS
from fish_jax.comparison.runner import step_seconds
from fish_jax.data.dataset import load_data
from fish_jax.errors import Diverged, Stopped
from fish_jax.evaluation import evaluate, scores_file
from fish_jax.gan import inference, summary
from fish_jax.gan.model import make_gan
from fish_jax.gan.state import TrainState
from fish_jax.runs import config_file, layout, metrics
from fish_jax.training import train
from fish_jax.training.context import Callbacks
from fish_jax.utils import pictures
from fish_jax.utils.files import replacing
from fish_jax.utils.signals import stop_signals
from fish_jax.utils.terminal import announce

PLAN, FACTS, GRIDS = "plan.json", "facts.json", "grids"
TIMED = 2  # epochs; the first is not timed, as the device warms up in it
AROUND = 30.0  # seconds that are kept for what an experiment takes beside its steps
FILM = 20  # grids of the same latents in the course of a run

Stopping = Callable[[], int]  # the number of a signal that ends a run, or 0


class Options(NamedTuple):
    """What all experiments have in common.

    Attributes:
      data: a folder of photographs; drawn fish without.
      clean: patterns of the names of those that most experiments are trained on; empty: all.
      demo: whether the small networks of `:demo` are trained, on 28 x 64 pixels.
      precision: of the networks' arithmetic.
      keep: whether checkpoints are kept after a run was judged.
    """

    data: str = ""
    clean: str = ""
    demo: bool = False
    precision: str = "float32"
    keep: bool = False


def offered(options: Options) -> list[str]:
    """Experiments that differ: without `clean` those of all photographs are the same as others."""
    return [name for name, each in EXPERIMENTS.items() if each.clean or options.clean]


def configured(name: str, options: Options) -> ConfigDict:
    """The config of an experiment, with the report's epochs."""
    experiment = EXPERIMENTS[name]
    package = "benchmarks.recipe" if experiment.config == "flat" else "fish_jax.configs"
    module = importlib.import_module(f"{package}.{experiment.config}")
    config = module.get_config("demo" if options.demo else "")
    config.name, config.epochs = name, experiment.epochs
    config.precision = options.precision
    config.data.path = options.data
    config.data.include = options.clean if experiment.clean else ""
    config.keep_checkpoints = 1
    config.sample_every_epochs = max(1, config.epochs // FILM)
    return config


def run(folder: Path, names: Sequence[str], options: Options, seconds: float) -> list[str]:
    """Brings experiments to their end, one after the other, as far as time allows.

    The same call resumes.

    Args:
      folder: a run of each experiment is in it.
      names: of `EXPERIMENTS`, in this order.
      options: of all of them.
      seconds: for all of this call; what would take longer is cut in epochs.

    Returns:
      What did not come to its end.

    Raises:
      UserError: a folder holds a run of other options.
      Stopped: Ctrl-C or SIGTERM; what was done is saved.
    """
    for name in names:
        _check(folder / name, configured(name, options))
    end = time.monotonic() + seconds
    with stop_signals() as signalled:
        stopping = lambda: signalled() or (signal.SIGTERM if time.monotonic() > end else 0)
        try:
            for name in _left(folder, names):
                if not _rate(folder / name):
                    _train(folder / name, name, options, TIMED, stopping)
            plan = _planned(folder, names, options, end - time.monotonic())
            for name in _left(folder, plan):
                announce(f"{name}: {plan[name]} of {EXPERIMENTS[name].epochs} epochs, as planned")
                _train(folder / name, name, options, plan[name], stopping, whole=True)
                _judge(folder / name, name, options, plan[name], stopping)
        except Stopped:
            if signalled():
                raise
    if not options.keep:
        for name in names:
            if _done(folder / name):
                shutil.rmtree(folder / name / layout.CHECKPOINTS, ignore_errors=True)
    return _left(folder, names)


def _done(folder: Path) -> bool:
    return (folder / FACTS).exists()


def _left(folder: Path, names: Sequence[str]) -> list[str]:
    return [name for name in names if not _done(folder / name)]


def _check(folder: Path, config: ConfigDict) -> None:
    """Refuses a folder of other options, whose results are not those asked for."""
    if not (folder / layout.CONFIG).exists():
        return
    before, after = config_file.read_config(folder), config_file.plain(config)
    changed = config_file.differences(before, after)
    if bool(before["data"]["path"]) != bool(after["data"]["path"]):
        changed.append(f"data.path: {before['data']['path']!r} there, {config.data.path!r} now")
    config_file.raise_if_changed(
        changed, f"{folder} was begun with other options; go on with those, or choose another --out"
    )


def _rate(folder: Path) -> float:
    """Images per second in the last epoch so far; 0 before there are two."""
    lines = metrics.read_lines(folder)
    if not lines or lines[-1]["epoch"] < TIMED:
        return 0.0
    last = [line for line in lines if line["epoch"] == lines[-1]["epoch"]]
    batch_size = config_file.read_config(folder)["batch_size"]
    return sum(line["steps"] for line in last) * batch_size / step_seconds(last, batch_size)


def _planned(
    folder: Path, names: Sequence[str], options: Options, seconds: float
) -> dict[str, int]:
    """Epochs of each experiment; those that were planned before stay as they were.

    Without time for more than was timed nothing is planned.
    """
    path, left = folder / PLAN, _left(folder, names)
    plan = json.loads(path.read_text()) if path.exists() else {}
    costs = {name: _epoch_seconds(folder / name) for name in left}
    owed = sum((plan[name] - _epochs(folder / name)) * costs[name] for name in left if name in plan)
    new = [name for name in left if name not in plan]
    seconds -= owed + AROUND * len(left)
    if new and seconds <= 0:
        announce("no time is left to train on; give more --minutes")
    elif new:
        epochs = {name: configured(name, options).epochs for name in new}
        spent = sum(TIMED * costs[name] for name in new)
        plan |= shared_out(epochs, {name: costs[name] for name in new}, seconds + spent)
        with replacing(path) as file:
            file.write(json.dumps(plan, indent=1).encode())
    return {name: plan[name] for name in names if name in plan}


def _epochs(folder: Path) -> int:
    """Epochs done."""
    return int(metrics.read_lines(folder)[-1]["epoch"])


def _epoch_seconds(folder: Path) -> float:
    """Seconds of one epoch, by the last."""
    images = metrics.read_lines(folder)[-1]["images"] / _epochs(folder)
    return images / _rate(folder)


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


def _train(
    folder: Path,
    name: str,
    options: Options,
    epochs: int,
    stopping: Stopping,
    whole: bool = False,
) -> None:
    """Trains for so many epochs, and draws those whose grids the report shows.

    Args:
      folder: of the run.
      name, options: as of `configured`.
      epochs: until which to train.
      stopping: whether to stop before.
      whole: whether the run ends there, and its last grid is drawn.

    Raises:
      Stopped: before; saved.
    """
    _go_on(stopping)
    config = configured(name, options)
    config.epochs = epochs
    gan = make_gan(config)

    def draw(epoch: int, state: TrainState, samples: object) -> None:
        images = inference.render(gan, state, range(pictures.PREVIEW_COUNT))
        sheet = pictures.grid(images, pictures.PREVIEW_COUNT // pictures.PREVIEW_ROWS)
        pictures.write_png(folder / GRIDS / f"{epoch:06d}.png", sheet)

    wanted = (*EXPERIMENTS[name].grids, *EXPERIMENTS[name].looks)
    shown = {epoch for epoch in wanted if epoch <= epochs}
    chosen = sorted(shown | {epochs} if whole else shown)
    callbacks = Callbacks(on_epoch=draw, epochs=chosen, stopped=stopping)
    try:
        train.train(config, folder, callbacks=callbacks)
    except Diverged as error:
        announce(f"{name} diverged: {error}")
        _write_facts(folder, config, error.step)


def _go_on(stopping: Stopping) -> None:
    """Raises Stopped if there is reason to."""
    if number := stopping():
        raise Stopped("stopped; the same command resumes", number)


def _judge(folder: Path, name: str, options: Options, epochs: int, stopping: Stopping) -> None:
    """Keeps what a page needs of a run that has come to its end."""
    if _done(folder):  # it diverged
        return
    _go_on(stopping)
    config = configured(name, options)
    config.epochs = epochs
    with _on_cpu():
        judgement = evaluate.evaluate(folder, show_progress=True)
    scores_file.write_scores(folder, judgement, config.average.half_life > 0)
    _write_facts(folder, config, None)


@contextlib.contextmanager
def _on_cpu() -> Iterator[None]:
    """Scores are computed there, if it may be used: XLA takes minutes to compile some for a GPU.

    Samples are drawn where the weights are.
    """
    before = jax.config.jax_default_device
    with contextlib.suppress(RuntimeError):  # there is none
        jax.config.update("jax_default_device", jax.local_devices(backend="cpu")[0])
    try:
        yield
    finally:
        jax.config.update("jax_default_device", before)


def _write_facts(folder: Path, config: ConfigDict, diverged: int | None) -> None:
    """Keeps what neither the log nor the config of a run tells."""
    facts = {
        "epochs": config.epochs,
        "images": len(load_data(config).train),
        "diverged": diverged,
        "flops": summary.step_flops(make_gan(config)),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
        "fish_jax": importlib.metadata.version("fish_jax"),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    with replacing(folder / FACTS) as file:
        file.write(json.dumps(facts, indent=1).encode())
