"""The training loop: dispatches calls of several steps to the device, and processes their results.

The device computes one call while the host processes the results of the call before: it checks
them, logs metrics and writes previews. A call reuses the memory of the state before it, so previews
of that state are dispatched first. Before a checkpoint is saved, all calls are finished.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from fish_jax.errors import Diverged, Stopped
from fish_jax.gan.state import TrainState
from fish_jax.runs import checkpoints, layout, tensorboard
from fish_jax.training import data_parallel
from fish_jax.training.context import LogInterval, Programs, Run
from fish_jax.training.data_parallel import Requests
from fish_jax.training.metrics_writer import MetricsWriter
from fish_jax.training.previews import write_previews
from fish_jax.utils import multihost
from fish_jax.utils.files import sync
from fish_jax.utils.log import LOGGER, phase
from fish_jax.utils.messages import plural
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
    """

    start: int
    count: int
    history: Mapping[str, jax.Array]
    agreed: jax.Array | None
    drawn: Mapping[str, jax.Array]
    given_at: float


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
    first, batch_size = int(jax.block_until_ready(state.step)), run.epochs.batch_size
    stopped = run.callbacks.stopped
    listen = contextlib.nullcontext(stopped) if stopped else stop_signals()
    with listen as stopped, image_bar(run.steps * batch_size, first * batch_size) as bar:
        loop = Loop(run, state, interval, stopped, bar)
        LOGGER.info("begin: steps from %d to %d", first, run.steps)
        loop.train(programs)
    LOGGER.info("end: steps")
    loop.writer.plot()
    if loop.step < run.steps:
        message = f"stopped after step {loop.step} of {run.steps}; the checkpoint is saved"
        raise Stopped(message, loop.next_requests().stop)
    steps, epochs = plural(loop.step, "step"), plural(run.epochs.done(loop.step), "epoch")
    announce(f"done: {steps}, {epochs}; results in {run.folder}")
    return loop.state


class Loop:
    """Trains a run call by call, and holds its state in between.

    Args:
      run: what no step changes.
      state: to start from.
      interval: metrics summed before, for the next logged line.
      stopped: returns the number of the signal that ends the run, or 0.
      bar: shows the progress.

    Attributes:
      state: after the steps dispatched so far.
      step: how many these are.
      writer: the writer of metrics.
    """

    def __init__(
        self,
        run: Run,
        state: TrainState,
        interval: LogInterval,
        stopped: Callable[[], int],
        bar: tqdm,
    ) -> None:
        self.run, self.state, self._stopped, self._bar = run, state, stopped, bar
        self.step = int(jax.block_until_ready(state.step))
        self.writer = MetricsWriter(run, self.step, interval)
        self._length = 1  # of the next call, from the measured speed
        # What all processes requested at the last finished call; None for a single process.
        self._agreed = Requests() if jax.process_count() > 1 else None
        self._saved_at = time.monotonic()  # when the last checkpoint was begun
        self._free_at = 0.0  # when the device had finished all before the pending call
        self._pending: Call | None = None
        self._scores: dict[str, float] = {}  # of the state, which is to be saved with them
        self._writing: tuple[int, dict[str, float]] | None = None  # step and scores of a checkpoint

    def train(self, programs: Programs | None) -> None:
        """Runs all steps, or those until a signal, and saves the state after them."""
        if self.run.callbacks.epochs is not None and self._looked_at(self.step - 1):
            self._show_epoch({})
        while self.step < self.run.steps and not self.next_requests().stop:
            assert programs is not None
            self._advance(programs)
            if self._scores or self.next_requests().save:
                self._save()
                self.writer.plot()
                self._agreed = self._agreed and self._agreed._replace(save=0)
                self._saved_at = time.monotonic()
        self._save()
        self._note_written(wait=True)

    def next_requests(self) -> Requests:
        """What the loop does next: what all processes agreed on at the last finished call.

        A single process has only its own requests to follow, and follows them at once.
        """
        return self._agreed or self._own_requests()

    def _own_requests(self) -> Requests:
        minutes = self.run.config["checkpoint_minutes"]
        save_due = time.monotonic() - self._saved_at >= 60 * minutes
        return Requests(self._stopped(), int(save_due), self._length)

    def _advance(self, programs: Programs) -> None:
        """Dispatches the next call, and finishes the one before while the device computes."""
        run, start, requests = self.run, self.step, self._own_requests()
        length = (self._agreed or requests).length
        count = min(length, programs.max_steps, _next_log_step(run, start) - start)
        arguments = *programs.inputs(start, count), np.int32(count), requests
        given_at = time.monotonic()
        self.state, history, agreed = programs.advance(self.state, *arguments)
        # Some devices run a loop whose length is an argument only while the host waits: to dispatch
        # ahead then gains nothing. Several processes must agree, and do not go by their own clocks.
        held = agreed is None and time.monotonic() - given_at > CALL_SECONDS / 4
        due = _due(run, start, start + count, run.config["sample_every_epochs"])
        drawn = programs.preview(self.state) if due else {}
        self._finish_pending()
        self.step = start + count
        self._pending = Call(start, count, history, agreed, drawn, given_at)
        if held or self._looked_at(start) or self._evaluation_due(start):
            self._finish_pending()
            self._free_at = time.monotonic()
        self._note_written()

    def _finish_pending(self) -> None:
        """Waits for the pending call, if there is one; checks, scores, logs and draws its results.

        What looks at the state itself comes before the next call, which takes over its memory.
        """
        run, writer, call, self._pending = self.run, self.writer, self._pending, None
        if call is None:
            return
        history = {name: values[: call.count] for name, values in _fetch(call.history).items()}
        # From when the device could begin with the call: what it had to do before does not count.
        seconds = max(time.monotonic() - max(call.given_at, self._free_at), 1e-9)
        _check_finite(run, history, call.start)
        drawn = _fetch(call.drawn)
        if call.agreed is not None:
            self._agreed = Requests(*jax.device_get(call.agreed).tolist())
        self._free_at = time.monotonic()
        step = call.start + call.count
        writer.add(history, seconds)
        if self._evaluation_due(call.start):
            self._scores = self._evaluate()
        if step == _next_log_step(run, step - 1):
            writer.write(step, drawn, self._scores)
        writer.show(self._bar, history, step)
        sheets = write_previews(run.folder, run.epochs.done(step), drawn)
        if sheets and run.board is not None:
            tensorboard.add_pictures(run.board, sheets, step)
        if self._looked_at(call.start):
            self._show_epoch(drawn)
        self._length = max(1, min(int(call.count * CALL_SECONDS / seconds), 2 * self._length))

    def _save(self) -> None:
        """Finishes the pending call, and begins to save the state after it."""
        self._finish_pending()
        self._note_written(wait=True)
        scores, self._scores = self._scores, {}
        step = save(self.run, self.state, self.writer.interval, scores)
        self._writing = None if step is None else (step, scores)

    def _note_written(self, wait: bool = False) -> None:
        """Reports a checkpoint that is complete on disk; raises OSError if it could not be."""
        run = self.run
        if self._writing is not None and (wait or not run.manager.is_saving_in_progress()):
            checkpoints.wait(run.manager)
            (step, scores), self._writing = self._writing, None
            LOGGER.info("end: writing the checkpoint of step %d", step)
            if run.callbacks.on_checkpoint is not None and run.board is not None:
                run.callbacks.on_checkpoint(step, scores)

    def _evaluation_due(self, before: int) -> bool:
        return _due(self.run, before, self.step, self.run.config["evaluate_every_epochs"])

    def _evaluate(self) -> dict[str, float]:
        """The scores of the state, by the main process; the others wait for them."""
        run, scores = self.run, {}
        if run.scorer is not None:
            self._bar.set_postfix_str("evaluating")
            with phase(f"scores of epoch {run.epochs.done(self.step)}"):
                scores = run.scorer.score(data_parallel.first_copy(self.state))
        multihost.barrier(f"scores of step {self.step}")
        return multihost.of_main(scores)

    def _looked_at(self, before: int) -> bool:
        """Whether the steps after `before` complete an epoch that calls `on_epoch`."""
        run, callbacks = self.run, self.run.callbacks
        if callbacks.on_epoch is None:
            return False
        if callbacks.epochs is None:
            return _due(run, before, self.step, run.config["sample_every_epochs"])
        completed = range(run.epochs.done(before) + 1, run.epochs.done(self.step) + 1)
        return any(epoch in callbacks.epochs for epoch in completed)

    def _show_epoch(self, drawn: Mapping[str, np.ndarray]) -> None:
        """Gives the caller copies of the state and of its samples."""
        run, on_epoch = self.run, self.run.callbacks.on_epoch
        if on_epoch is not None and run.board is not None:
            size = (run.config["height"], run.config["width"], run.config["data"]["channels"])
            none = np.zeros((0, *size), np.uint8)
            state = _copy(data_parallel.first_copy(self.state))
            on_epoch(run.epochs.done(self.step), state, drawn.get(layout.SAMPLES, none).copy())
        multihost.barrier(f"callbacks of step {self.step}")


def _fetch(arrays: Any) -> Any:
    """Copies arrays to the host.

    `device_get` alone would wait for ever for arrays that the device ran out of memory for.
    """
    return jax.device_get(jax.block_until_ready(arrays))


def _copy(arrays: Any) -> Any:
    """Copies arrays on their device, so that nothing done to the copies can reach them."""
    return jax.tree.map(jnp.copy, arrays)


def _next_log_step(run: Run, step: int) -> int:
    """The next step that ends a logged line: a multiple of the interval, or an epoch's last."""
    every = run.config["log_every_steps"]
    epoch_end = run.epochs.steps_until(run.epochs.done(step) + 1)
    return min((step // every + 1) * every, epoch_end, run.steps)


def _due(run: Run, before: int, step: int, every: int) -> bool:
    """Whether `every` epochs, or all of the run, end between two steps; never for 0."""
    epoch = run.epochs.done(step)
    if not every or epoch == run.epochs.done(before):
        return False
    return epoch % every == 0 or step >= run.steps


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
        "there is no checkpoint yet" if last is None else f"the checkpoint of step {last} is kept"
    )
    raise Diverged(
        f"step {step + index + 1} gave {', '.join(bad) or 'a parameter or a running statistic'} "
        f"that is not finite; the run stops and {kept}. A smaller learning rate often helps",
        step + index + 1,
    )


def save(
    run: Run,
    state: TrainState,
    interval: LogInterval,
    scores: Mapping[str, float] = MappingProxyType({}),
) -> int | None:
    """Begins to save a checkpoint of a state whose metrics were found finite.

    Args:
      run: what no step changes.
      state: to save.
      interval: metrics summed for the next logged line, saved beside it.
      scores: the scores of the state, saved beside it, too.

    Returns:
      The step; None if it has a checkpoint already.
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
    checkpoints.save(run.manager, data_parallel.to_global(state, run.devices), progress, scores)
    return step
