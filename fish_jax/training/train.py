"""`train`: opens a run's folder, restores or creates its state, compiles, and runs the loop."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import jax
import numpy as np

from fish_jax.data import cache, dataset
from fish_jax.data.batches import plan_epochs
from fish_jax.data.images import ImageSet, report
from fish_jax.data.sources import Indexable
from fish_jax.errors import UserError
from fish_jax.gan.compilation import CREATE, check_jit
from fish_jax.gan.model import Gan, make_gan
from fish_jax.gan.own import Own
from fish_jax.gan.programs import remember
from fish_jax.gan.state import TrainState
from fish_jax.gan.summary import plan_levels
from fish_jax.runs import checkpoints, config_file, directory, health, layout, tensorboard
from fish_jax.runs.checksums import checksums
from fish_jax.runs.fine_tuning import start_from
from fish_jax.training import data_parallel, estimate, input_pipeline, previews
from fish_jax.training.context import Callbacks, LogInterval, Programs, Run
from fish_jax.training.data_parallel import Device
from fish_jax.training.loop import run_steps, save
from fish_jax.training.scorer import make_scorer
from fish_jax.utils import files, malloc, multihost
from fish_jax.utils.config import Config
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.terminal import announce
from fish_jax.utils.validation import shown

DIVERSITY_IMAGES = 256  # real images whose diversity is the baseline of samples


def train(
    config: Config,
    folder: str | Path,
    initial: TrainState | str | Path | None = None,
    devices: Sequence[Device] | None = None,
    callbacks: Callbacks = Callbacks(),
    images: Indexable | None = None,
    **own: Unpack[Own],
) -> TrainState:
    """Trains until the config's epochs are done, from the newest checkpoint if there is one.

    Uses all devices, or `config.devices` of them. Their number changes results by rounding only.
    If several processes train one run, each of them calls this function.

    Writes to the folder: config.json, metrics.jsonl, TensorBoard events, samples/, losses.png,
    checkpoints/, log.txt, lock, for BEGAN equilibrium.png and autoencoder/, and scores.png if
    `config.evaluate_every_epochs` is above 0.

    Args:
      config: as `configs/default.py` makes it.
      folder: the folder of the run.
      initial: where a run without a checkpoint takes its weights and average from: the folder of
        another run, or a state of any step, as from `load` or `from_keras`; None: random weights
        of the config's seed. Step, optimisers and keys are those of a new run. The first state is
        saved at once, and later starts do not need `initial`.
      devices: that share each batch; None: as `config.devices` says.
      callbacks: functions that the loop calls. They cannot change the results of the run.
      images: to train on instead of those of `data.path`: anything that has a length and, at each
        index, a PIL image or a uint8 array, [H, W] or [H, W, C]; or what `load_images` returns. A
        later start needs them again.
      **own: a loss, networks or optimisers in place of the config's, by the names in
        `gan.own.Own`; a run that resumes needs the same.

    Returns:
      The state after the last step, on one device.

    Raises:
      UserError: a mistake in the config, the images or the folder; another process or thread
        trains in the folder; no space.
      Diverged: a loss or a parameter is not finite; earlier checkpoints are kept.
      Stopped: Ctrl-C or SIGTERM; the run is saved.
      Exception: of a callback.
    """
    if not isinstance(callbacks, Callbacks):
        raise UserError(
            f"callbacks must be fish_jax.Callbacks(on_log=...), not {shown(callbacks)}; leave "
            "the argument out for none"
        )
    check_jit()
    folder, gan = Path(folder), make_gan(config, **own)
    directory.check_place(folder, config["data"])
    if devices is None:
        devices = data_parallel.choose_devices(config["devices"], config["batch_size"])
    lock = directory.open_run(folder) if multihost.is_main_process() else contextlib.nullcontext()
    try:
        with lock:
            plain = config_file.with_absolute_paths(config_file.plain(config))
            plain = remember(plain, gan, own)
            return _train(plain, gan, folder, devices, initial, callbacks, images, own)
    except OSError as error:
        raise UserError(
            f"the run in {folder} stopped: {error}. Checkpoints are kept. Fix the cause, then run "
            "the same command to resume"
        ) from error


def _train(
    plain: dict[str, Any],
    gan: Gan,
    folder: Path,
    devices: Sequence[Device],
    initial: TrainState | str | Path | None,
    callbacks: Callbacks,
    given: Indexable | None,
    own: Own,
) -> TrainState:
    backend = jax.default_backend()
    LOGGER.info("begin: start-up of %s, JAX %s on %s", plain["name"], jax.__version__, backend)
    start, place = None, folder / layout.CHECKPOINTS
    if initial is not None and checkpoints.has_checkpoint(place):
        announce("the given initial weights are not used: the run already has a checkpoint")
    elif initial is not None:
        start = start_from(initial, gan, plain["seed"], own)
    if given is not None:
        dataset.mark_given(plain, given)
    loaded, plan, data_digest = _open(plain, folder, len(devices), given)
    images, keep, best = loaded.train, plain["keep_checkpoints"], plain["keep_best"]
    with checkpoints.open_checkpoints(place, keep, best=best) as manager:
        epochs, levels = plan_epochs(plain, len(images)), plan_levels(gan)
        diversity = max(health.diversity(images[:DIVERSITY_IMAGES]), 1.0)
        run = Run(
            plain,
            folder,
            epochs,
            data_digest,
            devices,
            manager,
            chance=health.chance(gan, plain["batch_size"]),
            diversity=diversity,
            levels=levels,
            callbacks=callbacks,
        )
        state, first, interval = _restore(run, gan, start)
        if first == 0:
            announce(estimate.starting_note(plain, levels, len(images), plan, len(devices)))
        if multihost.is_main_process():
            run = run._replace(board=tensorboard.start(folder / layout.TENSORBOARD, first + 1))
            if plain["evaluate_every_epochs"] and first < run.steps:
                run = run._replace(scorer=make_scorer(plain, gan, loaded))
        if start is not None:
            save(run, state, interval)  # a start that is killed early begins there again
        programs = _compile(run, gan, state, images, plan) if first < run.steps else None
        multihost.barrier("first step")
        LOGGER.info("end: start-up")
        return data_parallel.first_copy(run_steps(run, programs, state, interval))


def _open(
    config: dict[str, Any], folder: Path, devices: int, given: Indexable | None
) -> tuple[ImageSet, input_pipeline.Plan, str]:
    """Loads the images, checks that folder and processes agree, and removes unfinished files.

    Returns the images, uint8 [M, H, W, C], how those to train on come to the devices, and the
    checksum of these.
    """
    if multihost.is_main_process():
        directory.check(folder, config)
    images = dataset.load_data(config, show_progress=True, images=given)
    announce(report(images))
    plan = input_pipeline.plan(config, images.train, devices)
    data_digest = cache.digest(images.train)
    multihost.barrier("images")
    multihost.check_agreement(config_file.shared_fields(config) | {"the images": data_digest})
    if multihost.is_main_process():
        files.remove_partial(folder)
        for name in checkpoints.unfinished(folder / layout.CHECKPOINTS):
            announce(f"removing {name}, which was only partly written")
    return images, plan, data_digest


def _restore(run: Run, gan: Gan, start: TrainState | None) -> tuple[TrainState, int, LogInterval]:
    """Restores the newest checkpoint, or begins at `start`, or at random weights if that is None.

    Brings the folder back to the step of the state.
    """
    create = lambda: CREATE(gan, np.uint32(run.config["seed"]))
    expected = jax.eval_shape(create)
    sharding = data_parallel.sharding(run.devices)
    restored = checkpoints.restore_newest(run.manager, expected, sharding, announce)
    if restored:
        _accept(run, restored)
        first = int(restored.state.step)
        state = data_parallel.to_local(restored.state, run.devices)
        interval = LogInterval(*(restored.progress[name] for name in LogInterval._fields))
    else:
        # A new state is drawn while the step is compiled.
        state = data_parallel.replicate(create() if start is None else start, run.devices)
        first, interval = 0, LogInterval({}, 0, 0.0)
    weights = {} if start is None else {"the initial weights": checksums(start, {})}
    multihost.check_agreement({"the checkpoint that can be read": first} | weights)
    if multihost.is_main_process():
        directory.rewind(run.folder, first, run.epochs.done(first))
        config_file.write_config(run.folder, run.config)
    return state, first, interval


def _accept(run: Run, restored: checkpoints.Restored) -> None:
    """Checks that a checkpoint is of this run, and moves damaged newer ones out of the way."""
    state, progress, damaged = restored
    step = int(state.step)
    theirs = config_file.upgrade(progress.get("config", run.config))  # older ones have none
    config_file.raise_if_changed(
        config_file.differences(theirs, run.config),
        f"{run.manager.directory}/{step} is a checkpoint of another run; restore this run's "
        "checkpoint, or choose another --workdir",
    )
    if progress["data"] != run.data_digest:
        raise UserError(
            f"the images of this run have changed since its checkpoint of step {step}: there were "
            f"{progress['images']}, now there are {run.epochs.size}, or some differ; restore them "
            "or choose another --workdir"
        )
    for name in damaged:
        place = checkpoints.set_aside(run.manager, name, multihost.is_main_process())
        announce(f"moved the damaged checkpoint to {place}")
    announce(f"resuming from the checkpoint of step {step}")


def _compile(
    run: Run, gan: Gan, state: TrainState, images: np.ndarray, plan: input_pipeline.Plan
) -> Programs:
    """Compiles ahead, so that the bar's speed and time left are those of the steps."""
    announce("compiling the training step")
    inputs = input_pipeline.make_pipeline(run.config, images, plan, run.devices)
    with phase("compiling"):
        advance, exchanged = data_parallel.compile_steps(
            gan, state, *inputs(0, 1), plan.streams, run.devices
        )
        draw = lambda state: {}
        if multihost.is_main_process():
            draw = previews.compile_preview(gan, data_parallel.first_copy(state), images)
    malloc.trim()  # XLA frees a gigabyte
    if exchanged:
        kinds = " and ".join(f"{size / 1e6:,.3f} MB by {kind}" for kind, size in exchanged.items())
        announce(f"each step, the {len(run.devices)} devices exchange {kinds}")
    preview = lambda state: draw(data_parallel.first_copy(state))
    return Programs(plan.steps, inputs, advance, preview)
