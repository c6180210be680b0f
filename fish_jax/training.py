"""The training loop: everything around the pure step that has to do with the world.

`train` reads top to bottom: prepare, restore, then chunks of steps until the epochs are done,
each followed by what is due: a line in the log, a grid of samples, a checkpoint.
"""

import contextlib
import functools
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from tensorboardX import SummaryWriter
from tqdm import tqdm

from fish_jax import checkpoints, compilation, pictures, schedule, workdir
from fish_jax.data import load_data
from fish_jax.describe import duration, measured_flops_per_second, step_flops
from fish_jax.draws import seed_latents
from fish_jax.errors import Stopped, UserError
from fish_jax.files import remove_partial
from fish_jax.images import ImageSet, digest, report
from fish_jax.state import Gan, TrainState, create_state, make_gan
from fish_jax.step import generate, scale_images, to_pixels, train_steps
from fish_jax.terminal import image_bar, say

CHUNK = 64  # most steps in one call
CHUNK_SECONDS = 0.5  # how long a call should take: the bar moves, and Ctrl-C is heard
GRID = 16  # samples in a grid, from the seeds 0 .. 15
# Share of a matrix product's rate that a step of these networks reached on 2 CPU cores.
STEP_EFFICIENCY = 0.15


class Run(NamedTuple):
    """What a run needs and no step changes.

    Attributes:
      config: of the run.
      folder: where it leaves its results.
      gan: the fixed parts.
      images: the training set on the device, uint8 [M, H, W, 3].
      data_digest: of the training set.
      steps: how many steps the epochs take.
      manager: of the checkpoints.
      events: TensorBoard's writer.
      advance: runs a chunk of steps.
      render: latents to pixels.
    """

    config: Mapping[str, Any]
    folder: Path
    gan: Gan
    images: jax.Array
    data_digest: str
    steps: int
    manager: ocp.CheckpointManager
    events: SummaryWriter
    advance: Callable
    render: Callable


class Interval(NamedTuple):
    """Sums of the metrics since the last line of the log, saved with each checkpoint."""

    sums: dict[str, float]
    count: int
    seconds: float


def train(
    config: Mapping[str, Any], folder: str | Path, initial: TrainState | None = None
) -> TrainState:
    """Trains until the config's epochs are done, from the newest checkpoint where there is one.

    Leaves in the folder: config.json, metrics.jsonl, TensorBoard events, samples/, losses.png,
    checkpoints/, and for BEGAN equilibrium.png and autoencoder/.

    Args:
      config: as `configs/default.py` makes it.
      folder: of the run.
      initial: where a folder without a checkpoint begins, as from `from_keras`; else at random
        weights of the config's seed. Saved at once; later starts go on without it.

    Returns:
      The state after the last step.

    Raises:
      UserError: a mistake in the config, the images or the folder; a loss or a parameter that is
        not finite.
      Stopped: Ctrl-C or SIGTERM; the run is saved.
    """
    folder = Path(folder)
    try:
        return _train(config, folder, initial)
    except OSError as error:
        raise UserError(
            f"the run in {folder} stopped: {error}. What was saved is kept; with that mended, the "
            "same command goes on"
        ) from error


def _train(config: Mapping[str, Any], folder: Path, initial: TrainState | None) -> TrainState:
    gan = make_gan(config)
    workdir.check(folder, workdir.plain(config))
    images = load_data(config)
    say(report(images))
    steps = schedule.steps_until(config["epochs"], len(images.train), config["batch_size"])
    remove_partial(folder)
    place = folder / workdir.CHECKPOINTS
    for name in checkpoints.unfinished(place):
        say(f"removing {name}, whose writing was cut off")
    with checkpoints.open_checkpoints(place, config["keep_checkpoints"]) as manager:
        data_digest = digest(images.train)
        state, interval = _restore(config, gan, manager, images, data_digest, initial)
        first = int(state.step)
        workdir.write_config(folder, workdir.plain(config))
        workdir.rewind_metrics(folder, first)
        done = schedule.epochs_done(first, len(images.train), config["batch_size"])
        workdir.rewind_pictures(folder, done)
        if first == 0:
            say(starting_note(config, gan, images))
        with SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1) as events:
            run = Run(
                config,
                folder,
                gan,
                jnp.asarray(images.train),
                data_digest,
                steps,
                manager,
                events,
                jax.jit(functools.partial(train_steps, gan=gan), donate_argnums=0),
                jax.jit(functools.partial(generate, gan=gan)),
            )
            if initial is not None and first == 0:
                _save(run, state, interval)  # a start that is killed early begins there again
            return _loop(run, state, interval)


def _restore(
    config: Mapping[str, Any],
    gan: Gan,
    manager: ocp.CheckpointManager,
    images: ImageSet,
    data_digest: str,
    initial: TrainState | None,
) -> tuple[TrainState, Interval]:
    create = jax.jit(functools.partial(create_state, gan))
    seed = np.uint32(config["seed"])
    expected = jax.eval_shape(create, seed)
    if initial is not None:
        _check_initial(initial, expected)
    restored = checkpoints.restore_newest(manager, expected, say)
    if restored is None:
        # A copy, as steps take over the memory of the state that they are given.
        state = create(seed) if initial is None else jax.tree.map(jnp.copy, initial)
        return state, Interval({}, 0, 0.0)
    state, progress, damaged = restored
    if progress["data"] != data_digest:
        raise UserError(
            f"the images of this run have changed since its checkpoint of step {int(state.step)}: "
            f"there were {progress['images']}, now there are {len(images.train)}, or some differ; "
            "restore them or choose another --workdir"
        )
    for step in damaged:
        say(f"moved the damaged checkpoint to {checkpoints.set_aside(manager, step)}")
    unused = "; the initial state given is not used" if initial is not None else ""
    say(f"continuing from the checkpoint of step {int(state.step)}{unused}")
    return state, Interval(progress["sums"], progress["count"], progress["seconds"])


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


def starting_note(config: Mapping[str, Any], gan: Gan, images: ImageSet) -> str:
    """How much there is to do and, on a CPU, about how long it will take."""
    size = len(images.train)
    steps = schedule.steps_until(config["epochs"], size, config["batch_size"])
    text = f"{config['epochs']} epochs of {size} images, {steps} steps of {config['batch_size']}"
    if jax.default_backend() != "cpu":
        return text
    rate = STEP_EFFICIENCY * measured_flops_per_second() / step_flops(gan)
    seconds = config["epochs"] * size / rate
    text += f"; on this CPU about {duration(seconds)}, at a guess of {rate:.3g} images/s"
    if seconds > 1800:
        text += (
            ".\nThat is long. With `:demo` behind the file, --config=configs/ralsgan.py:demo, "
            "every experiment of configs/ has a small version that takes a few minutes"
        )
    return text


@contextlib.contextmanager
def _stop_signals() -> Iterator[Callable[[], int]]:
    """Gives a function that tells which of SIGINT and SIGTERM has come, or 0.

    A second signal acts at once. Outside the main thread Python allows no handlers: then Ctrl-C
    is heard by whoever called.
    """
    received = []
    previous = {}

    def receive(number, frame):
        received.append(number)
        signal.signal(number, previous[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, receive)
    except ValueError:
        pass
    try:
        yield lambda: received[0] if received else 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _loop(run: Run, state: TrainState, interval: Interval) -> TrainState:
    batch_size, size = run.config["batch_size"], len(run.images)
    step, saved_at = int(state.step), time.monotonic()
    length = 1  # steps in a call: from the measured speed, once there is one
    if step < run.steps:
        run = run._replace(advance=_compile(run, state))
    with _stop_signals() as stopped, image_bar(run.steps * batch_size, step * batch_size) as bar:
        while step < run.steps and not stopped():
            count = min(length, _next_mark(run, step) - step)
            start = time.monotonic()
            state, history = _advance(run, state, step, count)
            seconds = time.monotonic() - start
            step += count
            _check_finite(run, history, step - count)
            interval = _add(interval, history, seconds)
            _show(bar, run, history, step, count)
            if step == _next_mark(run, step - 1):
                interval = _write_log(run, interval, step)
            epochs = schedule.epochs_done(step, size, batch_size)
            if epochs > schedule.epochs_done(step - count, size, batch_size):
                _finish_epoch(run, state, epochs)
            if time.monotonic() - saved_at >= 60 * run.config["checkpoint_minutes"]:
                _save(run, state, interval)
                _plot(run)
                saved_at = time.monotonic()
            length = max(1, min(CHUNK, int(count * CHUNK_SECONDS / seconds), 2 * length))
        _save(run, state, interval)
        run.manager.wait_until_finished()
    _plot(run)
    if step < run.steps:
        raise Stopped(f"stopped after step {step} of {run.steps}, and saved", stopped())
    epochs = schedule.epochs_done(step, size, batch_size)
    say(f"done: {step} steps, {epochs} epochs; results in {run.folder}")
    return state


def _compile(run: Run, state: TrainState) -> Callable:
    """Compiles ahead, so that the bar's speed and time left are those of the steps."""
    say("compiling the training step")
    batches = np.zeros((CHUNK, run.config["batch_size"]), np.int32)
    lowered = run.advance.lower(state, run.images, batches, np.int32(1))
    return lowered.compile(compiler_options=compilation.options())


def _next_mark(run: Run, step: int) -> int:
    """The next step that ends a line of the log: a multiple of the interval, or an epoch's end."""
    every, size, batch = run.config["log_every_steps"], len(run.images), run.config["batch_size"]
    epoch_end = schedule.steps_until(schedule.epochs_done(step, size, batch) + 1, size, batch)
    return min((step // every + 1) * every, epoch_end, run.steps)


def _advance(run: Run, state: TrainState, step: int, count: int):
    batches = np.zeros((CHUNK, run.config["batch_size"]), np.int32)
    batches[:count] = schedule.batch_indices(
        run.config["seed"], len(run.images), run.config["batch_size"], step, count
    )
    state, history = run.advance(state, run.images, batches, np.int32(count))
    return state, {name: values[:count] for name, values in jax.device_get(history).items()}


def _check_finite(run: Run, history: Mapping[str, np.ndarray], step: int) -> None:
    finite = history["finite"]
    if finite.all():
        return
    index = int(np.argmin(finite))
    values = {name: float(v[index]) for name, v in history.items() if name != "finite"}
    bad = [f"{name} = {value}" for name, value in values.items() if not np.isfinite(value)]
    run.manager.wait_until_finished()
    last = run.manager.latest_step()
    kept = (
        f"the checkpoint of step {last} is kept"
        if last is not None
        else "there is no checkpoint yet"
    )
    raise UserError(
        f"step {step + index + 1} gave {', '.join(bad) or 'a parameter'} "
        f"that is not finite; the run stops and {kept}. A smaller learning rate often helps"
    )


def _add(interval: Interval, history: Mapping[str, np.ndarray], seconds: float) -> Interval:
    sums = dict(interval.sums)
    for name, values in history.items():
        if name != "finite":
            # One by one, so that a sum does not depend on how steps were grouped into calls.
            for value in values:
                sums[name] = sums.get(name, 0.0) + float(value)
    return Interval(sums, interval.count + len(history["finite"]), interval.seconds + seconds)


def _write_log(run: Run, interval: Interval, step: int) -> Interval:
    size, batch_size = len(run.images), run.config["batch_size"]
    means = {name: total / interval.count for name, total in interval.sums.items()}
    epoch = schedule.epochs_done(step - 1, size, batch_size) + 1
    line = {"step": step, "epoch": epoch, "images": step * batch_size, "steps": interval.count}
    line |= means
    line["images_per_second"] = interval.count * batch_size / max(interval.seconds, 1e-9)
    workdir.append_metrics(run.folder, line)
    for name, value in means.items():
        run.events.add_scalar(name, value, step)
    run.events.add_scalar("images_per_second", line["images_per_second"], step)
    return Interval({}, 0, 0.0)


def _finish_epoch(run: Run, state: TrainState, epoch: int) -> None:
    if epoch % run.config["sample_every_epochs"] and epoch != run.config["epochs"]:
        return
    samples = np.asarray(run.render(state, seed_latents(run.gan, list(range(GRID)))))
    pictures.write_png(run.folder / "samples" / f"{epoch:06d}.png", pictures.grid(samples, 4), 800)
    if run.gan.discriminator.decoder:
        sheet = _autoencoder_sheet(run, state, samples[:8])
        pictures.write_png(run.folder / "autoencoder" / f"{epoch:06d}.png", sheet, 800)


def newest_samples(folder: Path) -> Path:
    """The last grid of samples of a run, or its folder where there is none."""
    return max((folder / "samples").glob("*.png"), default=folder)


def _autoencoder_sheet(run: Run, state: TrainState, samples: np.ndarray) -> np.ndarray:
    """Four rows: samples, samples after D's autoencoder, photographs, the same after it."""
    count = min(len(samples), len(run.images))
    pairs = [samples[:count], np.asarray(run.images[:count])]
    variables = {
        "params": state.discriminator_params,
        "batch_stats": state.discriminator_stats,
    }
    rows = []
    for images in pairs:
        reconstructed = run.gan.discriminator.apply(
            variables, scale_images(jnp.asarray(images), run.gan.dtype), method="reconstruct"
        )
        rows += [images, np.asarray(to_pixels(reconstructed))]
    return pictures.grid(np.concatenate(rows), count)


def _save(run: Run, state: TrainState, interval: Interval) -> None:
    progress = {"data": run.data_digest, "images": len(run.images), **interval._asdict()}
    run.events.flush()
    checkpoints.save(run.manager, state, progress)


def _plot(run: Run) -> None:
    lines = workdir.read_metrics(run.folder)
    if not lines:
        return
    title = f"{run.config['name']}, {run.config['height']} x {run.config['width']}"
    pictures.plot_losses(run.folder / "losses.png", lines, title)
    if "m_global" in lines[0]:
        pictures.plot_equilibrium(run.folder / "equilibrium.png", lines, title)


def _show(bar: tqdm, run: Run, history: Mapping[str, np.ndarray], step: int, count: int) -> None:
    batch_size = run.config["batch_size"]
    epoch = schedule.epochs_done(step - 1, len(run.images), batch_size) + 1
    bar.set_description_str(f"epoch {epoch}/{run.config['epochs']}", refresh=False)
    losses = f"D {history['d_loss'][-1]:.4f} G {history['g_loss'][-1]:.4f}"
    bar.set_postfix_str(losses, refresh=False)
    bar.update(count * batch_size)
