"""The loop of a run: calls of many steps, each given to the device before the last is looked at.

What a call gave (metrics, pictures) is settled while the device runs the next one: checked, logged,
drawn. A call takes over the memory of the state before it, so whatever else that state is needed
for is asked of the device first. A checkpoint is rare, and waits until all calls are settled.
"""

import contextlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from fish_jax.errors import Diverged, Stopped
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, config_file, layout
from fish_jax.training import data_parallel, metrics_writer
from fish_jax.training.context import Interval, Programs, Run
from fish_jax.training.data_parallel import Wishes
from fish_jax.training.metrics_writer import MetricsWriter
from fish_jax.training.previews import write_previews
from fish_jax.utils.files import sync
from fish_jax.utils.log import LOGGER
from fish_jax.utils.signals import stop_signals
from fish_jax.utils.terminal import announce, image_bar

CALL_SECONDS = 0.5  # how long a call should take: the bar moves, and Ctrl-C is heard


class Call(NamedTuple):
    """What the device was asked for and has not given yet.

    Attributes:
      start: steps done before the call.
      count: its steps.
      history: metrics of each step, on the device.
      heard: wishes of all processes when it was given, on the device; None if there is but one.
      drawn: pictures of the state after it, on the device; none if none are due.
      given_at: when the device got the call.
      held: seconds until it let the host go on. Some devices run a loop whose length is an argument
        only while the host waits.
    """

    start: int
    count: int
    history: Mapping[str, jax.Array]
    heard: jax.Array | None
    drawn: Mapping[str, jax.Array]
    given_at: float
    held: float


class Ledger(NamedTuple):
    """What the calls settled so far leave to the next.

    Attributes:
      journal: of the run.
      length: steps that a call should have, from the measured speed.
      heard: what all processes wished at the last call; None if there is but one.
      free_at: when the device had done all that was asked before the call that it has now.
    """

    journal: MetricsWriter
    length: int
    heard: Wishes | None
    free_at: float


def run_steps(
    run: Run, programs: Programs | None, state: TrainState, interval: Interval
) -> TrainState:
    """Trains until the run's steps are done, and leaves in its folder all that is due.

    Args:
      run: what no step changes.
      programs: for the device; None will do where no step is left to do.
      state: to begin at; its memory is taken over.
      interval: what the log's next line has so far.

    Returns:
      The state after the last step, saved.

    Raises:
      Diverged: a loss or a parameter is not finite.
      Stopped: Ctrl-C or SIGTERM; the run is saved.
    """
    batch_size = run.config["batch_size"]
    step, saved_at = int(jax.block_until_ready(state.step)), time.monotonic()
    heard = Wishes() if jax.process_count() > 1 else None
    ledger = Ledger(metrics_writer.begin(run, step, interval), 1, heard, 0.0)
    pending, writing = None, None
    due = lambda: time.monotonic() - saved_at >= 60 * run.config["checkpoint_minutes"]
    listen = contextlib.nullcontext(run.watch.stopped) if run.watch.stopped else stop_signals()
    with listen as stopped, image_bar(run.steps * batch_size, step * batch_size) as bar:
        LOGGER.info("begin: steps from %d to %d", step, run.steps)
        own = lambda: Wishes(stopped(), due(), ledger.length)
        agreed = lambda: ledger.heard or own()
        _look(run, state, step)
        while step < run.steps and not agreed().stop:
            state, call = _give(run, programs, state, step, agreed().length, own())
            step += call.count
            if pending:
                ledger = _settle(run, bar, pending, ledger)
            pending = call
            if _holds(call, ledger) or _watched(run, step):
                ledger, pending = _settle(run, bar, pending, ledger), None
                _look(run, state, step)
                ledger = ledger._replace(free_at=time.monotonic())
            writing = _note_written(run, writing)
            if agreed().save:
                if pending:
                    ledger, pending = _settle(run, bar, pending, ledger), None
                _note_written(run, writing, wait=True)
                writing = save(run, state, ledger.journal.interval)
                metrics_writer.plot(run)
                saved_at = time.monotonic()
                if ledger.heard:
                    ledger = ledger._replace(heard=ledger.heard._replace(save=0))
        if pending:
            ledger = _settle(run, bar, pending, ledger)
        _note_written(run, writing, wait=True)
        _note_written(run, save(run, state, ledger.journal.interval), wait=True)
    LOGGER.info("end: steps")
    metrics_writer.plot(run)
    if step < run.steps:
        number = agreed().stop
        raise Stopped(f"stopped after step {step} of {run.steps}, and saved", number)
    epochs = run.epochs.done(step)
    announce(f"done: {step} steps, {epochs} epochs; results in {run.folder}")
    return state


def _holds(call: Call, ledger: Ledger) -> bool:
    """Whether nothing is gained by giving the next call before this one is settled.

    Several processes must agree on what they do next, and so do not go by a clock of their own.
    """
    return ledger.heard is None and call.held > CALL_SECONDS / 4


def _give(
    run: Run, programs: Programs, state: TrainState, step: int, length: int, wishes: Wishes
) -> tuple[TrainState, Call]:
    """Asks the device for a call and for the pictures that are due after it, and waits for none."""
    count = min(length, programs.longest, _next_mark(run, step) - step)
    images, batches = programs.feed(step, count)
    given_at = time.monotonic()
    state, history, heard = programs.advance(state, images, batches, np.int32(count), wishes)
    held = time.monotonic() - given_at
    drawn = programs.preview(state) if _preview_due(run, step, step + count) else {}
    return state, Call(step, count, history, heard, drawn, given_at, held)


def _settle(run: Run, bar: tqdm, call: Call, ledger: Ledger) -> Ledger:
    """Waits for a call and does what the host does about it."""
    history = {name: values[: call.count] for name, values in _computed(call.history).items()}
    # From when the device could begin with the call: what else it had to do before does not count.
    seconds = max(time.monotonic() - max(call.given_at, ledger.free_at), 1e-9)
    _check_finite(run, history, call.start)
    drawn = _computed(call.drawn)
    heard = None if call.heard is None else Wishes(*jax.device_get(call.heard).tolist())
    free_at = time.monotonic()
    step = call.start + call.count
    written = metrics_writer.add(ledger.journal, history, seconds)
    metrics_writer.show(run, written, bar, history, step)
    if step == _next_mark(run, step - 1):
        written = metrics_writer.write(run, written, step, drawn)
    write_previews(run.folder, run.epochs.done(step), drawn)
    fitting = max(1, min(int(call.count * CALL_SECONDS / seconds), 2 * ledger.length))
    return Ledger(written, fitting, heard, free_at)


def _watched(run: Run, step: int) -> bool:
    """Whether a step is the last of an epoch that the caller wants to see."""
    return step in map(run.epochs.steps_until, run.watch.epochs)


def _look(run: Run, state: TrainState, step: int) -> None:
    if _watched(run, step):
        run.watch.look(run.epochs.done(step), data_parallel.first_copy(state))


def _computed(arrays: Any) -> Any:
    """Arrays on the host. To get them alone would wait for ever if memory for them ran out."""
    return jax.device_get(jax.block_until_ready(arrays))


def _next_mark(run: Run, step: int) -> int:
    """The next step that ends a line of the log: a multiple of the interval, or an epoch's end."""
    every = run.config["log_every_steps"]
    epoch_end = run.epochs.steps_until(run.epochs.done(step) + 1)
    return min((step // every + 1) * every, epoch_end, run.steps)


def _preview_due(run: Run, before: int, step: int) -> bool:
    epoch = run.epochs.done(step)
    if epoch == run.epochs.done(before):
        return False
    return epoch % run.config["sample_every_epochs"] == 0 or epoch == run.config["epochs"]


def _check_finite(run: Run, history: Mapping[str, np.ndarray], step: int) -> None:
    finite = history["finite"]
    if finite.all():
        return
    index = int(np.argmin(finite))
    values = {name: float(v[index]) for name, v in history.items() if name != "finite"}
    bad = [f"{name} = {value}" for name, value in values.items() if not np.isfinite(value)]
    checkpoints.wait(run.manager)
    last = run.manager.latest_step()
    kept = (
        f"the checkpoint of step {last} is kept"
        if last is not None
        else "there is no checkpoint yet"
    )
    raise Diverged(
        f"step {step + index + 1} gave {', '.join(bad) or 'a parameter or a running statistic'} "
        f"that is not finite; the run stops and {kept}. A smaller learning rate often helps",
        step + index + 1,
    )


def save(run: Run, state: TrainState, interval: Interval) -> int | None:
    """Begins to save a state whose metrics were found finite, and the log's next line so far.

    Returns:
      Its step, for `_note_written`, or None where it is saved already.
    """
    step = int(state.step)
    if step in run.manager.all_steps():
        return None
    progress = {"data": run.data_digest, "images": run.epochs.size, **interval._asdict()}
    progress["config"] = config_file.plain(run.config)
    if run.board is not None:
        for path in (run.folder / layout.METRICS, run.board):
            sync(path)  # a start from this checkpoint does not log these steps again
    LOGGER.info("begin: writing the checkpoint of step %d", step)
    checkpoints.save(run.manager, data_parallel.to_global(state, run.devices), progress)
    return step


def _note_written(run: Run, step: int | None, wait: bool = False) -> int | None:
    """Logs that a checkpoint is complete on disk, or raises OSError if it could not be written.

    Args:
      run: of the checkpoint.
      step: of the checkpoint, from `save`; None if that was logged.
      wait: until it is so; else it may be found later.

    Returns:
      The step while the checkpoint is being written, then None.
    """
    if step is None or (not wait and checkpoints.is_writing(run.manager)):
        return step
    checkpoints.wait(run.manager)
    LOGGER.info("end: writing the checkpoint of step %d", step)
    return None
