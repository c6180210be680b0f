"""What comes before the loop: `train` prepares the folder, the images, the state and programs."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from fish_jax.data import batches
from fish_jax.data.cache import digest
from fish_jax.data.dataset import load_data
from fish_jax.data.images import ImageSet, report
from fish_jax.errors import UserError
from fish_jax.gan.compilation import CREATE
from fish_jax.gan.model import Gan, make_gan
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, config_file, directory, health, layout, tensorboard
from fish_jax.training import data_parallel, input_pipeline
from fish_jax.training.context import Interval, Norms, Programs, Run, Watch
from fish_jax.training.estimate import starting_note
from fish_jax.training.loop import run_steps, save
from fish_jax.training.previews import compile_preview
from fish_jax.utils import multihost
from fish_jax.utils.files import remove_partial
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.terminal import announce

SHOWN = 256  # real images whose diversity samples are held against


def train(
    config: Mapping[str, Any],
    folder: str | Path,
    initial: TrainState | None = None,
    devices: Sequence[jax.Device] | None = None,
    watch: Watch = Watch(),
) -> TrainState:
    """Trains until the config's epochs are done, from the newest checkpoint where there is one.

    On all devices that there are, or `config.devices` of them: their number does not change the
    results, but for rounding. Where several processes train one run, all call this.

    Leaves in the folder: config.json, metrics.jsonl, TensorBoard events, samples/, losses.png,
    checkpoints/, log.txt, lock, and for BEGAN equilibrium.png and autoencoder/.

    Args:
      config: as `configs/default.py` makes it.
      folder: of the run.
      initial: where a folder without a checkpoint begins, as from `from_keras`; else at random
        weights of the config's seed. Saved at once; later starts go on without it.
      devices: that share each batch; None: as `config.devices` says.
      watch: what the caller wants to see in its course.

    Returns:
      The state after the last step, on one device.

    Raises:
      UserError: a mistake in the config, the images or the folder; another process or thread
        trains in the folder; no space.
      Diverged: a loss or a parameter is not finite; what was saved before is kept.
      Stopped: Ctrl-C or SIGTERM; the run is saved.
    """
    folder, gan = Path(folder), make_gan(config)
    directory.check_place(folder, config["data"])
    if devices is None:
        devices = data_parallel.choose_devices(config["devices"], config["batch_size"])
    try:
        with (
            directory.open_run(folder) if multihost.is_main_process() else contextlib.nullcontext()
        ):
            return _train(config, gan, folder, devices, initial, watch)
    except OSError as error:
        raise UserError(
            f"the run in {folder} stopped: {error}. What was saved is kept; with that mended, the "
            "same command goes on"
        ) from error


def _train(
    config: Mapping[str, Any],
    gan: Gan,
    folder: Path,
    devices: Sequence[jax.Device],
    initial: TrainState | None,
    watch: Watch,
) -> TrainState:
    backend = jax.default_backend()
    LOGGER.info("begin: start-up of %s, JAX %s on %s", config["name"], jax.__version__, backend)
    if multihost.is_main_process():
        directory.check(folder, config_file.plain(config))
    images = load_data(config, show_progress=True)
    announce(report(images))
    plan = input_pipeline.plan(config, images.train, len(devices))
    data_digest = digest(images.train)
    multihost.barrier("images")
    shared = config_file.shared_fields(config_file.plain(config))
    multihost.check_agreement(shared | {"the images": data_digest})
    place = folder / layout.CHECKPOINTS
    if multihost.is_main_process():
        remove_partial(folder)
        for name in checkpoints.unfinished(place):
            announce(f"removing {name}, whose writing was cut off")
    with checkpoints.open_checkpoints(place, config["keep_checkpoints"]) as manager:
        create = functools.partial(CREATE, gan, np.uint32(config["seed"]))
        expected = jax.eval_shape(create)
        if initial is not None:
            _check_initial(initial, expected)
        restored = checkpoints.restore_newest(
            manager, expected, data_parallel.sharding(devices), announce
        )
        if restored:
            _accept(restored, manager, config, images, data_digest, initial)
        first = int(restored.state.step) if restored else 0
        state, interval = _begin_at(restored, create, initial, devices)
        multihost.check_agreement({"the checkpoint that can be read": first})
        if multihost.is_main_process():
            _rewind(config, folder, first, len(images.train))
        if first == 0:
            announce(starting_note(config, gan, len(images.train), plan, len(devices)))
        board = (
            tensorboard.start(folder / "tensorboard", first + 1)
            if multihost.is_main_process()
            else None
        )
        size = len(images.train)
        steps = batches.steps_until(config["epochs"], size, config["batch_size"])
        norms = Norms(health.chance(gan.loss), max(health.diversity(images.train[:SHOWN]), 1.0))
        run = Run(config, folder, size, data_digest, steps, devices, manager, board, norms, watch)
        if initial is not None and first == 0:
            save(run, state, interval)  # a start that is killed early begins there again
        programs = None
        if first < steps:
            programs = _compile(config, gan, state, images.train, plan, devices)
        multihost.barrier("first step")
        LOGGER.info("end: start-up")
        return data_parallel.first_copy(run_steps(run, programs, state, interval))


def _begin_at(
    restored: checkpoints.Restored | None,
    create: Callable[[], TrainState],
    initial: TrainState | None,
    devices: Sequence[jax.Device],
) -> tuple[TrainState, Interval]:
    if restored:
        interval = Interval(*(restored.progress[name] for name in Interval._fields))
        return data_parallel.to_local(restored.state, devices), interval
    # A new state is drawn while the step is compiled. A given one is copied, as steps take over the
    # memory of what they are given.
    state = create() if initial is None else jax.tree.map(jnp.copy, initial)
    return data_parallel.replicate(state, devices), Interval({}, 0, 0.0)


def _rewind(config: Mapping[str, Any], folder: Path, first: int, size: int) -> None:
    """Brings the folder to where a start begins, after `first` steps."""
    directory.rewind(folder, first, batches.epochs_done(first, size, config["batch_size"]))
    config_file.write_config(folder, config_file.plain(config))


def _compile(
    config: Mapping[str, Any],
    gan: Gan,
    state: TrainState,
    images: np.ndarray,
    plan: input_pipeline.Plan,
    devices: Sequence[jax.Device],
) -> Programs:
    """Compiles ahead, so that the bar's speed and time left are those of the steps."""
    announce("compiling the training step")
    give = input_pipeline.make_feed(config, images, plan, devices)
    with phase("compiling"):
        arguments = give(0, 1)
        advance, exchanged = data_parallel.compile_steps(
            gan, state, *arguments, plan.streams, devices
        )
        if not multihost.is_main_process():
            return Programs(plan.steps, give, advance, lambda state: {})
        draw = compile_preview(gan, data_parallel.first_copy(state), images)
    if exchanged:
        kinds = " and ".join(f"{size / 1e6:,.3f} MB by {kind}" for kind, size in exchanged.items())
        announce(f"the {len(devices)} devices exchange in each step {kinds}")
    return Programs(plan.steps, give, advance, lambda state: draw(data_parallel.first_copy(state)))


def _accept(
    restored: checkpoints.Restored,
    manager: ocp.CheckpointManager,
    config: Mapping[str, Any],
    images: ImageSet,
    data_digest: str,
    initial: TrainState | None,
) -> None:
    """Checks whose a checkpoint is, and moves damaged ones out of the way."""
    state, progress, damaged = restored
    theirs = config_file.upgrade(progress.get("config", config))  # older checkpoints have none
    changed = config_file.differences(theirs, config_file.plain(config))
    config_file.raise_if_changed(
        changed,
        f"{manager.directory}/{int(state.step)} is a checkpoint of another run; put this run's "
        "back, or choose another --workdir",
    )
    if progress["data"] != data_digest:
        raise UserError(
            f"the images of this run have changed since its checkpoint of step {int(state.step)}: "
            f"there were {progress['images']}, now there are {len(images.train)}, or some differ; "
            "restore them or choose another --workdir"
        )
    for step in damaged:
        place = checkpoints.set_aside(manager, step, multihost.is_main_process())
        announce(f"moved the damaged checkpoint to {place}")
    unused = "; the initial state given is not used" if initial is not None else ""
    announce(f"continuing from the checkpoint of step {int(state.step)}{unused}")


def _check_initial(initial: TrainState, expected: TrainState) -> None:
    """Refuses a state of another config."""
    shapes = lambda tree: {
        jax.tree_util.keystr(path): (leaf.shape, leaf.dtype)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    ours, theirs = shapes(initial), shapes(expected)
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"the initial state is not of this config: {name} is {ours.get(name)} there, and "
                f"{theirs.get(name)} by the config"
            )
    if initial.step:
        raise UserError(f"an initial state must be at step 0, not {int(initial.step)}")
