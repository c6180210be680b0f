"""The training loop: dispatches calls of several steps to the device, and processes their results.

The device computes one call while the host processes the results of the call before: it checks
them, logs metrics and writes previews. A call reuses the memory of the state before it, so previews
of that state are dispatched first. Before a checkpoint is saved, all calls are finished.
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
from fish_jax.runs import checkpoints, layout
from fish_jax.training import data_parallel, metrics_writer
from fish_jax.training.context import LogInterval, Programs, Run
from fish_jax.training.data_parallel import Requests
from fish_jax.training.metrics_writer import MetricsWriter
from fish_jax.training.previews import write_previews
from fish_jax.utils.files import sync
from fish_jax.utils.log import LOGGER
from fish_jax.utils.signals import stop_signals
from fish_jax.utils.terminal import announce, image_bar

CALL_SECONDS = 0.5  # how long a call should take: the bar moves, and Ctrl-C is heard


class Call(NamedTuple):
    """A call that was dispatched to the device and is not finished yet.

    Attributes:
      start: steps done before the call.
      count: its steps.
      history: metrics of each step, on the device.
      agreed: maximum of all processes' requests at its dispatch, on the device; None for a single
        process.
      drawn: previews of the state after it, on the device; empty where none are due.
      given_at: when it was dispatched.
      held: seconds until the dispatch returned. Some devices run a loop whose length is an argument
        only while the host waits.
    """

    start: int
    count: int
    history: Mapping[str, jax.Array]
    agreed: jax.Array | None
    drawn: Mapping[str, jax.Array]
    given_at: float
    held: float


class Progress(NamedTuple):
    """Bookkeeping that the loop carries from one call to the next.

    Attributes:
      step: steps dispatched so far.
      writer: of metrics.
      length: number of steps that the next call should have, from the measured speed.
      agreed: maximum of all processes' requests at the last finished call; None for a single
        process.
      saved_at: when the last checkpoint was begun, or the loop was entered.
      free_at: when the device had finished all that was dispatched before the pending call.
      pending: the call that is not finished yet.
      writing: step of the checkpoint that is being written.
    """

    step: int
    writer: MetricsWriter
    length: int
    agreed: Requests | None
    saved_at: float
    free_at: float = 0.0
    pending: Call | None = None
    writing: int | None = None


def run_steps(
    run: Run, programs: Programs | None, state: TrainState, interval: LogInterval
) -> TrainState:
    """Trains until the run's steps are done; logs, draws and saves on the way.

    Args:
      run: what no step changes.
      programs: for the device; may be None if no step is left to do.
      state: to start from; its memory is reused.
      interval: metrics summed before, for the next logged line.

    Returns:
      The state after the last step, which is saved.

    Raises:
      Diverged: a loss or a parameter is not finite.
      Stopped: Ctrl-C or SIGTERM; the run is saved.
    """
    progress = _begin(run, state, interval)
    stopped = run.callbacks.stopped
    listen = contextlib.nullcontext(stopped) if stopped else stop_signals()
    batch_size = run.epochs.batch_size
    with listen as stopped, image_bar(run.steps * batch_size, progress.step * batch_size) as bar:
        LOGGER.info("begin: steps from %d to %d", progress.step, run.steps)
        _call_back(run, state, progress.step)
        while progress.step < run.steps and not _decide(run, progress, stopped()).stop:
            assert programs is not None
            state, progress = _advance(run, programs, state, progress, bar, stopped())
            if _decide(run, progress, stopped()).save:
                progress = _checkpoint(run, state, progress, bar)
        progress = _finish_pending(run, progress, bar)
        _note_written(run, progress.writing, wait=True)
        _note_written(run, save(run, state, progress.writer.interval), wait=True)
    LOGGER.info("end: steps")
    metrics_writer.plot(run)
    step = progress.step
    if step < run.steps:
        number = _decide(run, progress, stopped()).stop
        raise Stopped(f"stopped after step {step} of {run.steps}, and saved", number)
    announce(f"done: {step} steps, {run.epochs.done(step)} epochs; results in {run.folder}")
    return state


def _begin(run: Run, state: TrainState, interval: LogInterval) -> Progress:
    step, saved_at = int(jax.block_until_ready(state.step)), time.monotonic()
    agreed = Requests() if jax.process_count() > 1 else None
    return Progress(step, metrics_writer.begin(run, step, interval), 1, agreed, saved_at)


def _own_requests(run: Run, progress: Progress, signal: int) -> Requests:
    """What this process asks for now, given the number of a signal or 0."""
    save_due = time.monotonic() - progress.saved_at >= 60 * run.config["checkpoint_minutes"]
    return Requests(signal, int(save_due), progress.length)


def _decide(run: Run, progress: Progress, signal: int) -> Requests:
    """What the loop does next: of several processes, what they agreed on at the last finished call.

    A single process has only its own requests to follow, and follows them at once.
    """
    return progress.agreed or _own_requests(run, progress, signal)


def _advance(
    run: Run, programs: Programs, state: TrainState, progress: Progress, bar: tqdm, signal: int
) -> tuple[TrainState, Progress]:
    """Dispatches the next call, and finishes the one before while the device computes."""
    requests = _own_requests(run, progress, signal)
    length = (progress.agreed or requests).length
    state, call = _dispatch(run, programs, state, progress.step, length, requests)
    progress = _finish_pending(run, progress, bar)
    progress = progress._replace(step=call.start + call.count, pending=call)
    if _holds(call) or _callback_due(run, progress.step):
        progress = _finish_pending(run, progress, bar)
        _call_back(run, state, progress.step)
        progress = progress._replace(free_at=time.monotonic())
    return state, progress._replace(writing=_note_written(run, progress.writing))


def _dispatch(
    run: Run, programs: Programs, state: TrainState, step: int, length: int, requests: Requests
) -> tuple[TrainState, Call]:
    """Dispatches a call, and the previews that are due after it, without waiting for either."""
    count = min(length, programs.max_steps, _next_log_step(run, step) - step)
    images, batches = programs.inputs(step, count)
    given_at = time.monotonic()
    state, history, agreed = programs.advance(state, images, batches, np.int32(count), requests)
    held = time.monotonic() - given_at
    drawn = programs.preview(state) if _preview_due(run, step, step + count) else {}
    return state, Call(step, count, history, agreed, drawn, given_at, held)


def _holds(call: Call) -> bool:
    """Whether its dispatch took so long that dispatching ahead of its results gains nothing.

    Several processes must agree on what they do next, so they do not decide by their own clocks.
    """
    return call.agreed is None and call.held > CALL_SECONDS / 4


def _finish_pending(run: Run, progress: Progress, bar: tqdm) -> Progress:
    """Waits for the pending call, if there is one; checks, logs and draws its results."""
    call = progress.pending
    if call is None:
        return progress
    history = {name: values[: call.count] for name, values in _fetch(call.history).items()}
    # From when the device could begin with the call: what it had to do before does not count.
    seconds = max(time.monotonic() - max(call.given_at, progress.free_at), 1e-9)
    _check_finite(run, history, call.start)
    drawn = _fetch(call.drawn)
    agreed = None if call.agreed is None else Requests(*jax.device_get(call.agreed).tolist())
    free_at = time.monotonic()
    step = call.start + call.count
    writer = metrics_writer.add(progress.writer, history, seconds)
    metrics_writer.show(run, writer, bar, history, step)
    if step == _next_log_step(run, step - 1):
        writer = metrics_writer.write(run, writer, step, drawn)
    write_previews(run.folder, run.epochs.done(step), drawn)
    length = max(1, min(int(call.count * CALL_SECONDS / seconds), 2 * progress.length))
    return progress._replace(
        writer=writer, length=length, agreed=agreed, free_at=free_at, pending=None
    )


def _checkpoint(run: Run, state: TrainState, progress: Progress, bar: tqdm) -> Progress:
    """Finishes the pending call, and begins to save the state after it."""
    progress = _finish_pending(run, progress, bar)
    _note_written(run, progress.writing, wait=True)
    writing = save(run, state, progress.writer.interval)
    metrics_writer.plot(run)
    agreed = progress.agreed._replace(save=0) if progress.agreed else None
    return progress._replace(agreed=agreed, saved_at=time.monotonic(), writing=writing)


def _callback_due(run: Run, step: int) -> bool:
    """Whether a step completes an epoch that the caller registered for."""
    return step in map(run.epochs.steps_until, run.callbacks.epochs)


def _call_back(run: Run, state: TrainState, step: int) -> None:
    if _callback_due(run, step):
        run.callbacks.on_epoch(run.epochs.done(step), data_parallel.first_copy(state))


def _fetch(arrays: Any) -> Any:
    """Copies arrays to the host.

    `device_get` alone would wait for ever for arrays that the device ran out of memory for.
    """
    return jax.device_get(jax.block_until_ready(arrays))


def _next_log_step(run: Run, step: int) -> int:
    """The next step that ends a logged line: a multiple of the interval, or an epoch's last."""
    every = run.config["log_every_steps"]
    epoch_end = run.epochs.steps_until(run.epochs.done(step) + 1)
    return min((step // every + 1) * every, epoch_end, run.steps)


def _preview_due(run: Run, before: int, step: int) -> bool:
    epoch = run.epochs.done(step)
    if epoch == run.epochs.done(before):
        return False
    return epoch % run.config["sample_every_epochs"] == 0 or epoch == run.config["epochs"]


def _check_finite(run: Run, history: Mapping[str, np.ndarray], step: int) -> None:
    """Raises Diverged, naming the first step after `step` whose metrics are not all finite."""
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


def save(run: Run, state: TrainState, interval: LogInterval) -> int | None:
    """Begins to save a checkpoint of a state whose metrics were found finite.

    Args:
      run: what no step changes.
      state: to save.
      interval: metrics summed for the next logged line, saved beside it.

    Returns:
      The step, for `_note_written`; None if it has a checkpoint already.
    """
    step = int(state.step)
    if step in run.manager.all_steps():
        return None
    progress = {"data": run.data_digest, "images": run.epochs.size, **interval._asdict()}
    progress["config"] = run.config
    if run.board is not None:
        for path in (run.folder / layout.METRICS, run.board):
            sync(path)  # a start from this checkpoint does not log these steps again
    LOGGER.info("begin: writing the checkpoint of step %d", step)
    checkpoints.save(run.manager, data_parallel.to_global(state, run.devices), progress)
    return step


def _note_written(run: Run, step: int | None, wait: bool = False) -> int | None:
    """Logs that a checkpoint is complete on disk, or raises OSError if it could not be written.

    Args:
      run: what no step changes.
      step: of the checkpoint, from `save`; None if that was logged.
      wait: whether to wait until it is complete.

    Returns:
      The step while the checkpoint is being written, then None.
    """
    if step is None or (not wait and checkpoints.is_writing(run.manager)):
        return step
    checkpoints.wait(run.manager)
    LOGGER.info("end: writing the checkpoint of step %d", step)
    return None
